use crate::starter::event::Event;
use crate::starter::event::parse;

fn objects(body: &str) -> (Vec<String>, Vec<String>) {
    match parse(body) {
        Event::Objects { created, dropped } => {
            let created =
                created.iter().map(|object| format!("{} {} {}", object.bucket, object.key, object.identity()));
            (created.collect(), dropped)
        }
        other => panic!("a notification, not {other:?}"),
    }
}

fn record(name: &str, object: &str) -> String {
    format!(
        r#"{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-central-1","eventTime":"2026-11-24T23:02:39.512Z",
        "eventName":"{name}","s3":{{"s3SchemaVersion":"1.0","configurationId":"liminal-x","bucket":{{"name":"data",
        "ownerIdentity":{{"principalId":"A"}},"arn":"arn:aws:s3:::data"}},"object":{object}}}}}"#
    )
}

fn key(key: &str) -> String {
    let object = format!(r#"{{"key":"{key}","size":1,"eTag":"e1","sequencer":"0055AED6DCD90281E5"}}"#);
    let body = format!(r#"{{"Records":[{}]}}"#, record("ObjectCreated:Put", &object));
    let (created, dropped) = objects(&body);
    assert_eq!(dropped, Vec::<String>::new());
    created.concat()
}

#[test]
fn keys_are_decoded_as_buckets_encode_them() {
    insta::assert_snapshot!(key("in/a.csv"), @"data in/a.csv 0055AED6DCD90281E5");
    insta::assert_snapshot!(key("in/two+words.csv"), @"data in/two words.csv 0055AED6DCD90281E5");
    insta::assert_snapshot!(key("in/a%2Bb%3Dc%2520.csv"), @"data in/a+b=c%20.csv 0055AED6DCD90281E5");
    insta::assert_snapshot!(key("in/%C3%BC%F0%9F%8C%8D.csv"), @"data in/ü🌍.csv 0055AED6DCD90281E5");
    insta::assert_snapshot!(key("in/100%.csv"), @"data in/100%.csv 0055AED6DCD90281E5");
    insta::assert_snapshot!(key("in/%zz%4"), @"data in/%zz%4 0055AED6DCD90281E5");
}

#[test]
fn a_notification_may_hold_many_records_of_which_only_creations_of_objects_count() {
    let records = [
        record("ObjectCreated:Put", r#"{"key":"a","versionId":"v1","eTag":"e","sequencer":"1"}"#),
        record("ObjectCreated:CompleteMultipartUpload", r#"{"key":"b","versionId":"null","eTag":"\"e\""}"#),
        record("ObjectRemoved:Delete", r#"{"key":"c"}"#),
        record("ObjectCreated:Put", r#"{"key":"folder/"}"#),
        record("ObjectCreated:Put", r#"{"key":"%FF"}"#),
        r#"{"eventName":"ObjectCreated:Put"}"#.to_owned(),
    ];
    let (created, dropped) = objects(&format!(r#"{{"Records":[{}]}}"#, records.join(",")));
    assert_eq!(created, ["data a v1", "data b e"]);
    assert_eq!(
        dropped,
        [
            "the key \"%FF\" of a notification is no UTF-8",
            "a record of a notification makes no sense: missing field `eventTime`"
        ]
    );
}

#[test]
fn what_a_bucket_sends_to_try_a_queue_is_ignored() {
    let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-24T23:02:39.512Z","Bucket":"data",
        "RequestId":"5582815E1AEA5ADF","HostId":"8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR"}"#;
    assert_eq!(parse(test), Event::Nothing);
}

#[test]
fn a_stopped_task_is_known_by_its_arguments_and_one_that_still_stops_is_left_alone() {
    let event = |status: &str| {
        format!(
            r#"{{"version":"0","id":"x","detail-type":"ECS Task State Change","source":"aws.ecs","account":"1","time":"2026-11-24T23:02:39Z",
            "detail":{{"clusterArn":"c","taskArn":"arn:task/1","lastStatus":"{status}","desiredStatus":"STOPPED","startedBy":"abc",
            "stopCode":"SpotInterruption","stoppedReason":"Your Spot Task was interrupted.","version":6,
            "containers":[{{"name":"other","exitCode":0}},{{"name":"step","exitCode":137,"reason":"OutOfMemoryError: killed"}}],
            "overrides":{{"containerOverrides":[{{"name":"step","command":["task","--attempt","1"]}}]}}}}}}"#
        )
    };
    assert_eq!(parse(&event("STOPPING")), Event::Nothing);
    insta::assert_debug_snapshot!(parse(&event("STOPPED")), @r#"
    TaskStopped(
        TaskStopped {
            task: "arn:task/1",
            started_by: Some(
                "abc",
            ),
            arguments: [
                "task",
                "--attempt",
                "1",
            ],
            code: Some(
                "SpotInterruption",
            ),
            reason: Some(
                "OutOfMemoryError: killed",
            ),
            exit_code: Some(
                137,
            ),
        },
    )
    "#);
}

#[test]
fn what_makes_no_sense_is_told_apart_and_breaks_nothing() {
    let problem = |body: &str| match parse(body) {
        Event::Unknown(problem) => problem,
        other => panic!("{body} is {other:?}"),
    };
    insta::assert_snapshot!(problem("{\"Records\":["), @"it is no JSON: EOF while parsing a list at line 1 column 12");
    insta::assert_snapshot!(problem("[]"), @"it is neither a notification of a bucket nor an event of ECS");
    insta::assert_snapshot!(problem(r#"{"liminal":"dance"}"#), @"it is no message of this liminal: unknown variant `dance`, expected `sweep` or `schedule`");
    insta::assert_snapshot!(problem(r#"{"detail-type":"EC2 Instance State-change Notification"}"#), @"`EC2 Instance State-change Notification` is no event that starts or ends anything");
    insta::assert_snapshot!(problem(r#"{"detail-type":"ECS Task State Change","detail":{}}"#), @"it is no event of a task: missing field `taskArn`");
    let deep = "[".repeat(200_000);
    insta::assert_snapshot!(problem(&deep), @"it is no JSON: recursion limit exceeded at line 1 column 128");
}
