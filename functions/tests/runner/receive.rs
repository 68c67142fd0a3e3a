//! What goes wrong while a delivery of a code host is taken, and what comes of it.

use std::time::Duration;

use liminal_emulators::Fault;
use liminal_emulators::FaultProxy;
use liminal_emulators::Rule;
use liminal_schemas::aws::names;
use liminal_schemas::keys;
use serde_json::Value;
use serde_json::json;

use crate::direct::Serving;
use crate::world::World;

/// The example of GitHub's "Validating webhook deliveries".
const SECRET: &str = "It's a Secret to Everybody";
const BODY: &str = "Hello, World!";
const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

const LONG: Duration = Duration::from_secs(120);

/// Refused for good: nothing that is tried again.
const REFUSED: Fault = Fault::Answer { status: 403, code: "AccessDenied" };

/// A receiver behind a proxy.
struct Receiver {
    world: World,
    proxy: FaultProxy,
    queue: String,
    runner: Serving,
}

impl Receiver {
    async fn new() -> Self {
        let world = World::new().await;
        let queue = names::deliveries_queue(&world.served.project, &world.served.environment);
        world.deploy(&["queue", &queue, "30"]);
        let secret = format!("webhook-{}", world.served.environment);
        world.deploy(&["secret", &secret, SECRET]);
        let proxy = FaultProxy::start(world.emulator);
        let mut variables = proxy.env();
        let reference = format!("secretsmanager:{secret}");
        variables.push(("LIMINAL_MODE".to_owned(), "receive".to_owned()));
        variables.push(("LIMINAL_SIGNING_SECRET".to_owned(), reference));
        let runner = Serving::start(&world, &variables);
        Self { world, proxy, queue, runner }
    }

    fn deliver_within(&mut self, id: &str, left: Duration) -> u64 {
        let event = json!({
            "version": "2.0", "rawPath": "/", "body": BODY, "isBase64Encoded": false,
            "headers": { "x-hub-signature-256": SIGNATURE, "x-github-delivery": id, "x-github-event": "push" },
            "requestContext": { "http": { "method": "POST", "path": "/" } },
        });
        let answer: Value = self.runner.event(&event, left);
        assert!(!answer.to_string().contains(SECRET), "{answer}");
        answer["result"]["statusCode"].as_u64().unwrap_or_else(|| panic!("{answer}"))
    }

    fn deliver(&mut self, id: &str) -> u64 {
        self.deliver_within(id, LONG)
    }

    fn messages(&self) -> String {
        self.world.deploy(&["messages", &self.queue])
    }

    async fn is_remembered(&self, id: &str) -> bool {
        self.world.object(&keys::delivery(id)).await.is_some()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_could_not_be_passed_on_is_not_remembered_and_counts_when_it_comes_again() {
    let mut receiver = Receiver::new().await;
    receiver.proxy.add(Rule::once(REFUSED).containing("SendMessage"));
    assert_eq!(receiver.deliver("d-1"), 503);
    assert!(!receiver.is_remembered("d-1").await);
    assert_eq!(receiver.messages(), "0");
    assert_eq!(receiver.deliver("d-1"), 202);
    assert_eq!(receiver.deliver("d-1"), 200);
    assert_eq!(receiver.messages(), "1");
    // Trouble that passes is passed over.
    receiver.proxy.add(Rule::once(Fault::Reset).containing("SendMessage"));
    receiver.proxy.add(Rule::once(Fault::Answer { status: 503, code: "SlowDown" }).method("PUT").containing("d-2"));
    assert_eq!(receiver.deliver("d-2"), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_could_not_be_written_down_is_passed_on_once_more_and_never_lost() {
    let mut receiver = Receiver::new().await;
    receiver.proxy.add(Rule::once(REFUSED).method("PUT").containing("deliveries/d-1"));
    assert_eq!(receiver.deliver("d-1"), 503);
    assert_eq!(receiver.deliver("d-1"), 202);
    assert_eq!(receiver.deliver("d-1"), 200);
    assert_eq!(receiver.messages(), "2", "being told twice does no harm");
    receiver.proxy.add(Rule::once(Fault::LoseResponse).method("PUT").containing("deliveries/d-2"));
    assert_eq!(receiver.deliver("d-2"), 202, "it was written, though nobody heard of it at first");
    receiver.proxy.add(Rule::once(REFUSED).method("HEAD").containing("deliveries/d-3"));
    assert_eq!(receiver.deliver("d-3"), 503, "whether it came before is not known");
    assert!(!receiver.is_remembered("d-3").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_gets_an_answer_while_there_is_time_for_one() {
    let mut receiver = Receiver::new().await;
    assert_eq!(receiver.deliver("d-1"), 202);
    receiver.proxy.add(Rule::always(Fault::Slow(LONG)).containing("SendMessage"));
    assert_eq!(receiver.deliver_within("d-2", Duration::from_secs(3)), 503);
    assert!(!receiver.is_remembered("d-2").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_an_error_of_whoever_sent_it() {
    let mut receiver = Receiver::new().await;
    for event in [json!({}), json!({ "Records": [] }), json!("x"), Value::Null] {
        let answer = receiver.runner.event(&event, LONG);
        assert!(answer["error"].as_str().is_some_and(|text| text.contains("makes no sense")), "{answer}");
    }
    assert_eq!(receiver.deliver("d-1"), 202, "and the next one is taken");
}
