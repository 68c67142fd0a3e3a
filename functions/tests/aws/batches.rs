//! Many messages at once: in batches of ten, of which SQS may take a part.

use liminal_functions::aws::queue::SqsQueue;
use liminal_functions::ports::Queue as _;

use crate::answers::Answers;

const URL: (u16, &str) = (200, r#"{"QueueUrl":"http://127.0.0.1/000000000000/steps"}"#);
const TWO_REFUSED: (u16, &str) = (
    200,
    r#"{"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":"x"}],"Failed":[{"Id":"3","Code":"InternalError","SenderFault":false},{"Id":"7","Code":"InternalError","SenderFault":false}]}"#,
);
const SENT: (u16, &str) = (200, r#"{"MessageId":"m","MD5OfMessageBody":"x"}"#);

/// Case 17 of the thirty: two of ten messages of a batch are refused.
#[tokio::test]
async fn case_17_of_a_batch_that_is_taken_in_part_only_the_rest_is_sent_again() {
    let answers = Answers::of(&[URL, TWO_REFUSED, SENT]).await;
    let queue = SqsQueue::new(&answers.clients().await);
    let bodies: Vec<String> = (0..10).map(|number| format!("message {number}")).collect();
    queue.send_many("steps", &bodies).await.expect("sent");
    let asked = answers.asked();
    assert_eq!(asked[1]["Entries"].as_array().map(Vec::len), Some(10), "{asked:?}");
    let again: Vec<&str> = asked[2..].iter().filter_map(|request| request["MessageBody"].as_str()).collect();
    assert_eq!(again, ["message 3", "message 7"]);
}
