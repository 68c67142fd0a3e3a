//! Things that others have a part in: queues with work in them, names that outlive a document, the notifications of a
//! bucket.

use aws_sdk_s3::types::NotificationConfiguration;
use aws_sdk_s3::types::QueueConfiguration;
use liminal_infra::aws::AwsError;
use liminal_infra::ports::Resources as _;
use liminal_schemas::aws::resource::ResourceSpec;

use crate::documents;
use crate::documents::Everything;
use crate::world::World;
use crate::world::s3;
use crate::world::worlds;

#[tokio::test]
async fn a_queue_with_work_in_it_or_its_dead_letter_queue_is_kept_until_that_is_allowed() {
    for mut world in worlds().await {
        let everything = Everything::of(&mut world);
        world.resources().create(&everything.queue).await.expect("a queue");
        let name = world.documents[&everything.queue].spec.name();
        let sqs = aws_sdk_sqs::Client::new(&world.config);
        for (name, waiting, failed) in [(name.clone(), 1, 0), (format!("{name}-dlq"), 0, 1)] {
            let url = sqs.get_queue_url().queue_name(&name).send().await.expect("a queue").queue_url.expect("a URL");
            sqs.send_message().queue_url(&url).message_body("work").send().await.expect("a message");
            let error = world.resources().delete(&everything.queue).await.expect_err("work would be lost");
            let Some(AwsError::MessagesLeft { waiting: found_waiting, failed: found_failed, .. }) =
                error.downcast_ref()
            else {
                panic!("{error}");
            };
            assert_eq!((*found_waiting, *found_failed), (waiting, failed));
            assert!(error.to_string().contains("--allow-destroy"), "{error}");
            let received = sqs.receive_message().queue_url(&url).send().await.expect("a message");
            let handle = received.messages().first().and_then(|message| message.receipt_handle()).expect("a message");
            let error = world.resources().delete(&everything.queue).await.expect_err("work is under way");
            assert!(matches!(error.downcast_ref(), Some(AwsError::MessagesLeft { .. })), "{error}");
            sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.expect("deletion");
        }
        let url = sqs.get_queue_url().queue_name(&name).send().await.expect("a queue").queue_url.expect("a URL");
        sqs.send_message().queue_url(&url).message_body("work").send().await.expect("a message");
        world.delete_messages = true;
        world.resources().delete(&everything.queue).await.expect("deletion is allowed");
        assert_eq!(world.inventory().await, []);
    }
}

#[tokio::test]
async fn a_queue_that_came_to_serve_another_document_is_not_deleted_with_the_old_one() {
    for mut world in worlds().await {
        let mut spec = documents::trigger_queue(&world);
        let old = world.add(ResourceSpec::Queue(spec.clone()));
        world.resources().create(&old).await.expect("a queue");
        spec.senders
            .insert("events.amazonaws.com".to_owned(), ["arn:aws:events:eu-central-1:1:rule/x".to_owned()].into());
        let new = world.add(ResourceSpec::Queue(spec));
        let asked = [old.clone(), new.clone()].into();
        assert_eq!(world.resources().present(&asked).await.expect("a listing"), [old.clone()].into());
        world.resources().create(&new).await.expect("a queue");
        assert_eq!(world.resources().present(&asked).await.expect("a listing"), [new.clone()].into());
        world.resources().delete(&old).await.expect("nothing to do");
        assert_eq!(world.resources().present(&asked).await.expect("a listing"), [new.clone()].into());
        world.resources().delete(&new).await.expect("deletion");
        assert_eq!(world.inventory().await, []);
    }
}

async fn ids(world: &World) -> Vec<String> {
    let request = s3(&world.config).get_bucket_notification_configuration().bucket(&world.site.place.bucket);
    let found = request.send().await.expect("a configuration").queue_configurations.unwrap_or_default();
    found.into_iter().filter_map(|entry| entry.id).collect()
}

#[tokio::test]
async fn notifications_of_others_stay_and_a_new_document_takes_the_place_of_the_old_one() {
    for mut world in worlds().await {
        // Tests that run beside this one have entries in the bucket of the account.
        let bucket = format!("data-{}", world.project());
        let s3 = s3(&world.config);
        let constraint = aws_sdk_s3::types::CreateBucketConfiguration::builder();
        let constraint = constraint.location_constraint("eu-central-1".into()).build();
        s3.create_bucket().bucket(&bucket).create_bucket_configuration(constraint).send().await.expect("a bucket");
        world.site.place.bucket.clone_from(&bucket);
        let triggers = documents::trigger_queue(&world);
        let queue_arn = format!("arn:aws:sqs:eu-central-1:{}:{}", world.site.place.account, triggers.name);
        let triggers = world.add(ResourceSpec::Queue(triggers));
        world.resources().create(&triggers).await.expect("a queue");
        let entry = QueueConfiguration::builder().id("theirs").queue_arn(&queue_arn);
        let entry = entry.events("s3:ObjectRemoved:*".into()).build().expect("an entry");
        let configuration = NotificationConfiguration::builder().queue_configurations(entry).build();
        let request = s3.put_bucket_notification_configuration().bucket(&bucket);
        request.notification_configuration(configuration).send().await.expect("a configuration");

        let old = world.add(ResourceSpec::Notification(documents::notification(&world, &["in/", "more/"])));
        world.resources().create(&old).await.expect("notifications");
        assert_eq!(ids(&world).await.len(), 3);
        let new = world.add(ResourceSpec::Notification(documents::notification(&world, &["in/", "other/"])));
        let asked = [old.clone(), new.clone()].into();
        assert_eq!(world.resources().present(&asked).await.expect("a listing"), [old.clone()].into());
        world.resources().create(&new).await.expect("notifications");
        assert_eq!(world.resources().present(&asked).await.expect("a listing"), [new.clone()].into());
        let before = ids(&world).await;
        assert_eq!(before.len(), 3);
        world.resources().delete(&old).await.expect("nothing to do");
        assert_eq!(ids(&world).await, before);
        world.resources().delete(&new).await.expect("deletion");
        assert_eq!(ids(&world).await, ["theirs"]);
    }
}
