//! What an account needs once: made, seen by others as it should be, left alone by the next run, and mended where somebody
//! damaged it.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::BucketVersioningStatus;
use aws_sdk_s3::types::ExpirationStatus;
use aws_sdk_s3::types::LifecycleExpiration;
use aws_sdk_s3::types::LifecycleRule;
use aws_sdk_s3::types::ServerSideEncryption;
use liminal_emulators::MiniStack;
use liminal_infra::aws::Clients;
use liminal_infra::aws::bootstrap::BootstrapError;
use liminal_infra::aws::bootstrap::Done;
use liminal_infra::aws::bootstrap::bootstrap;
use liminal_schemas::aws::names;
use serde_json::Value;
use serde_json::json;

use crate::answers::Answer;
use crate::answers::answering;
use crate::bootstrap_account::Account;
use crate::bootstrap_account::HOST;
use crate::bootstrap_account::SUBJECT;
use crate::bootstrap_account::accounts;

/// Where the CLI tells how a bucket encrypts.
const ENCRYPTION: &str = "/ServerSideEncryptionConfiguration/Rules/0/ApplyServerSideEncryptionByDefault/SSEAlgorithm";

/// A rule of somebody else.
fn foreign_rule() -> LifecycleRule {
    let expiration = LifecycleExpiration::builder().days(3).build();
    let filter = aws_sdk_s3::types::LifecycleRuleFilter::builder().prefix("scratch/").build();
    let rule = LifecycleRule::builder().id("theirs").status(ExpirationStatus::Enabled).filter(filter);
    rule.expiration(expiration).build().expect("complete")
}

#[tokio::test]
async fn all_that_an_account_needs_is_there_as_others_see_it_and_a_second_run_changes_nothing() {
    for account in accounts().await {
        let done = account.bootstrap().await;
        assert!(done.iter().all(|(_, done)| *done == Done::Created), "{done:?}");
        let kinds: Vec<&str> = done.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["bucket", "permission boundary", "cluster", "image repository", "role"]);
        account.is_left_alone().await;

        let bucket = account.place.bucket.as_str();
        let of_bucket = |operation: &str| account.aws(&["s3api", operation, "--bucket", bucket]);
        assert_eq!(of_bucket("get-bucket-versioning")["Status"], "Enabled");
        let encryption = of_bucket("get-bucket-encryption");
        assert_eq!(encryption.pointer(ENCRYPTION), Some(&json!("AES256")));
        let closed = json!({ "BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true });
        assert_eq!(of_bucket("get-public-access-block")["PublicAccessBlockConfiguration"], closed);
        let ownership = of_bucket("get-bucket-ownership-controls");
        assert_eq!(ownership["OwnershipControls"]["Rules"], json!([{ "ObjectOwnership": "BucketOwnerEnforced" }]));
        let policy = of_bucket("get-bucket-policy")["Policy"].as_str().expect("a text").to_owned();
        let policy: Value = serde_json::from_str(&policy).expect("JSON");
        for (statement, condition) in [
            (0, json!({ "Bool": { "aws:SecureTransport": "false" } })),
            (1, json!({ "NumericLessThan": { "s3:TlsVersion": "1.2" } })),
        ] {
            let statement = &policy["Statement"][statement];
            assert_eq!((&statement["Effect"], &statement["Principal"]), (&json!("Deny"), &json!("*")));
            assert_eq!(statement["Condition"], condition);
        }
        let rules = of_bucket("get-bucket-lifecycle-configuration")["Rules"].clone();
        let rule = |id: &str| {
            let mut rules = rules.as_array().expect("a list").iter();
            rules.find(|rule| rule["ID"] == id).cloned().unwrap_or_else(|| panic!("{id} is among {rules:?}"))
        };
        assert_eq!(rule("liminal-abort-uploads")["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"], 7);
        let versions = rule("liminal-old-versions");
        assert_eq!(versions["NoncurrentVersionExpiration"]["NoncurrentDays"], 90);
        assert_eq!(versions["Expiration"]["ExpiredObjectDeleteMarker"], true);
        let tags = of_bucket("get-bucket-tagging");
        assert_eq!(tags["TagSet"], json!([{ "Key": "liminal:bootstrap", "Value": "1" }]));

        let clusters = account.aws(&["ecs", "describe-clusters", "--clusters", "liminal"]);
        assert_eq!(clusters["clusters"][0]["status"], "ACTIVE");
        assert_eq!(clusters["clusters"][0]["capacityProviders"].as_array().map_or(0, Vec::len), 0);
        let repositories = account.aws(&["ecr", "describe-repositories", "--repository-names", "liminal"]);
        let repository = &repositories["repositories"][0];
        assert_eq!(repository["imageTagMutability"], "MUTABLE");
        assert_eq!(repository["imageScanningConfiguration"]["scanOnPush"], true);

        let boundary = names::boundary_arn(&account.place);
        let of_boundary = ["iam", "get-policy-version", "--version-id", "v1", "--policy-arn", &boundary];
        let statements = account.aws(&of_boundary)["PolicyVersion"]["Document"]["Statement"].clone();
        let may_pass = statements.as_array().expect("a list").iter().find(|it| it["Action"] == "iam:PassRole");
        let to = &may_pass.expect("a statement")["Condition"]["StringEquals"]["iam:PassedToService"];
        assert_eq!(to, "ecs-tasks.amazonaws.com");

        let name = account.role();
        let role = account.aws(&["iam", "get-role", "--role-name", &name]);
        let trust = &role["Role"]["AssumeRolePolicyDocument"]["Statement"][0];
        assert_eq!(trust["Principal"]["Federated"], account.deployer().provider);
        let condition =
            json!({ "StringEquals": { format!("{HOST}:aud"): "sts.amazonaws.com", format!("{HOST}:sub"): SUBJECT } });
        assert_eq!(trust["Condition"], condition);
        let of_role = ["iam", "get-role-policy", "--role-name", &name, "--policy-name", "deploy"];
        let statements = account.aws(&of_role)["PolicyDocument"]["Statement"].clone();
        let may_make = statements.as_array().expect("a list").iter().find(|it| it["Sid"] == "RolesWithinTheBoundary");
        let within = &may_make.expect("a statement")["Condition"]["StringEquals"]["iam:PermissionsBoundary"];
        assert_eq!(*within, json!(boundary));
    }
}

#[tokio::test]
async fn a_bucket_that_was_damaged_is_mended_and_what_of_it_is_said() {
    for account in accounts().await {
        account.bootstrap().await;
        let (s3, bucket) = (account.s3(), account.place.bucket.as_str());

        let suspended = aws_sdk_s3::types::VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended);
        let request = s3.put_bucket_versioning().bucket(bucket).versioning_configuration(suspended.build());
        request.send().await.expect("no versions");
        account.is_mended("bucket", &["versioning"]).await;

        // S3 itself encrypts all the same, and says so; others do not.
        s3.delete_bucket_encryption().bucket(bucket).send().await.expect("not encrypted");
        account.bootstrap().await;
        let encryption = account.aws(&["s3api", "get-bucket-encryption", "--bucket", bucket]);
        assert_eq!(encryption.pointer(ENCRYPTION), Some(&json!("AES256")));

        let ajar = aws_sdk_s3::types::PublicAccessBlockConfiguration::builder().block_public_acls(true).build();
        let request = s3.put_public_access_block().bucket(bucket).public_access_block_configuration(ajar);
        request.send().await.expect("half open");
        account.is_mended("bucket", &["public access block"]).await;
        s3.delete_public_access_block().bucket(bucket).send().await.expect("open");
        account.is_mended("bucket", &["public access block"]).await;

        s3.delete_bucket_ownership_controls().bucket(bucket).send().await.expect("nobody's");
        account.is_mended("bucket", &["object ownership"]).await;

        s3.delete_bucket_policy().bucket(bucket).send().await.expect("no policy");
        account.is_mended("bucket", &["policy (TLS only)"]).await;
        let policy = s3.get_bucket_policy().bucket(bucket).send().await.expect("a policy").policy.expect("a text");
        let weaker = policy.replace("\"1.2\"", "\"1.0\"");
        assert_ne!(weaker, policy);
        s3.put_bucket_policy().bucket(bucket).policy(weaker).send().await.expect("a weaker policy");
        account.is_mended("bucket", &["policy (TLS only)"]).await;
    }
}

#[tokio::test]
async fn rules_of_ours_that_were_changed_are_mended_whole_and_those_of_others_stay() {
    for account in accounts().await {
        account.bootstrap().await;
        let whole = account.rules().await;

        let mut rules = whole.clone();
        rules.push(foreign_rule());
        account.put_rules(rules.clone()).await;
        account.is_left_alone().await;

        for rule in &mut rules[..2] {
            rule.status = ExpirationStatus::Disabled;
        }
        account.put_rules(rules.clone()).await;
        account.is_mended("bucket", &["lifecycle rules"]).await;

        for rule in rules.iter_mut().filter(|rule| rule.id() == Some("liminal-old-versions")) {
            rule.status = ExpirationStatus::Enabled;
            let days = aws_sdk_s3::types::NoncurrentVersionExpiration::builder().noncurrent_days(1).build();
            rule.noncurrent_version_expiration = Some(days);
        }
        account.put_rules(rules).await;
        account.is_mended("bucket", &["lifecycle rules"]).await;

        account.put_rules(vec![foreign_rule()]).await;
        account.is_mended("bucket", &["lifecycle rules"]).await;
        let mended = account.rules().await;
        assert_eq!(mended.len(), 3, "{mended:?}");
        let theirs = mended.iter().find(|rule| rule.id() == Some("theirs")).expect("it stays");
        assert_eq!(theirs.expiration().and_then(LifecycleExpiration::days), Some(3));
        assert!(whole.iter().all(|rule| mended.contains(rule)), "{mended:?}");
    }
}

#[tokio::test]
async fn a_boundary_and_a_role_that_were_widened_are_brought_back_however_often() {
    let anything =
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    let anything = anything.to_string();
    for account in accounts().await {
        account.bootstrap().await;
        let (iam, arn) = (account.iam(), names::boundary_arn(&account.place));
        // A policy has five versions at most, and each time takes two.
        for _ in 0..4 {
            let versions = iam.list_policy_versions().policy_arn(&arn).send().await.expect("versions").versions;
            let mut old = versions.unwrap_or_default();
            old.retain(|version| !version.is_default_version());
            if let (4.., Some(old)) = (old.len(), old.first().and_then(|version| version.version_id())) {
                iam.delete_policy_version().policy_arn(&arn).version_id(old).send().await.expect("room for one");
            }
            let wider = iam.create_policy_version().policy_arn(&arn).policy_document(&anything).set_as_default(true);
            wider.send().await.expect("a wider boundary");
            account.is_mended("permission boundary", &["policy"]).await;
        }

        let role = account.role();
        let trusting = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole" }] });
        let request = iam.update_assume_role_policy().role_name(&role).policy_document(trusting.to_string());
        request.send().await.expect("anybody may");
        account.is_mended("role", &["who may assume it"]).await;
        let request = iam.put_role_policy().role_name(&role).policy_name("deploy").policy_document(&anything);
        request.send().await.expect("anything");
        account.is_mended("role", &["permissions"]).await;
        iam.delete_role_policy().role_name(&role).policy_name("deploy").send().await.expect("nothing");
        account.is_mended("role", &["permissions"]).await;

        let of_role = ["iam", "get-role-policy", "--role-name", &role, "--policy-name", "deploy"];
        assert_ne!(account.aws(&of_role)["PolicyDocument"]["Statement"][0]["Action"], "*");
    }
}

#[tokio::test]
async fn a_repository_that_takes_no_newer_images_is_opened_and_what_is_gone_is_made_again() {
    for account in accounts().await {
        account.bootstrap().await;
        let (ecr, repository) = (account.ecr(), names::DEFAULT_REPOSITORY);
        let request = ecr.put_image_tag_mutability().repository_name(repository);
        request.image_tag_mutability(aws_sdk_ecr::types::ImageTagMutability::Immutable).send().await.expect("closed");
        account.is_mended("image repository", &["tags that can be pushed again"]).await;
        // The SDK leaves out what is false.
        let never = ["--repository-name", repository, "--image-scanning-configuration", "scanOnPush=false"];
        account.aws(&[["ecr", "put-image-scanning-configuration"].as_slice(), &never].concat());
        account.is_mended("image repository", &["scan on push"]).await;

        ecr.delete_repository().repository_name(repository).force(true).send().await.expect("no repository");
        account.ecs().delete_cluster().cluster(names::DEFAULT_CLUSTER).send().await.expect("no cluster");
        let mut done = account.bootstrap().await;
        done.retain(|(_, done)| *done != Done::Unchanged);
        let made = ["cluster", "image repository"].map(|kind| (kind.to_owned(), Done::Created));
        assert_eq!(done, made);
        account.is_left_alone().await;
    }
}

#[tokio::test]
async fn a_bucket_that_encrypts_with_a_key_of_kms_is_refused_before_anything_is_changed() {
    for account in accounts().await {
        let (s3, bucket) = (account.s3(), account.place.bucket.as_str());
        let region = aws_sdk_s3::types::BucketLocationConstraint::from(account.place.region.as_str());
        let there = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(region).build();
        s3.create_bucket().bucket(bucket).create_bucket_configuration(there).send().await.expect("a bucket");
        let by_default = aws_sdk_s3::types::ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::AwsKms)
            .kms_master_key_id(format!("arn:aws:kms:{}:{}:key/0a", account.place.region, account.place.account));
        let rule = aws_sdk_s3::types::ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(by_default.build().expect("complete"))
            .build();
        let configuration = aws_sdk_s3::types::ServerSideEncryptionConfiguration::builder().rules(rule).build();
        let request = s3.put_bucket_encryption().bucket(bucket);
        let request = request.server_side_encryption_configuration(configuration.expect("complete"));
        request.send().await.expect("a key");

        let refused = account.try_bootstrap().await.expect_err("a key").to_string();
        assert!(refused.contains(bucket) && refused.contains("aws:kms") && refused.contains("AES256"), "{refused}");
        let versioning = account.aws(&["s3api", "get-bucket-versioning", "--bucket", bucket]);
        assert_eq!(versioning.get("Status"), None);
        let boundary = account.iam().get_policy().policy_arn(names::boundary_arn(&account.place)).send().await;
        assert_eq!(boundary.expect_err("no boundary").code().map(|code| code.starts_with("NoSuchEntity")), Some(true));
    }
}

#[tokio::test]
async fn a_bucket_of_somebody_else_is_refused_and_left_alone() {
    let account = Account::on(MiniStack::start()).await;
    for (head, create) in [(403, 409), (404, 409)] {
        let answers = answering(move |call| match call.operation.split_once(' ') {
            Some(("HEAD", _)) => Answer::xml(head, ""),
            Some(("PUT", _)) => {
                Answer::xml(create, "<Error><Code>BucketAlreadyExists</Code><Message>It is taken.</Message></Error>")
            }
            _ => panic!("{call:?}"),
        });
        let clients = Clients::with_config(&answers.config());
        let refused = bootstrap(&clients, &account.place, None, &mut |part| panic!("{part:?}")).await;
        let refused = refused.expect_err("somebody else's");
        assert!(matches!(refused, BootstrapError::ForeignBucket(_)), "{refused}");
        assert!(refused.to_string().contains(&account.place.bucket) && refused.to_string().contains("`bucket:`"));
        // To make it is tried where it was not seen, and nothing else.
        let written = answers.seen().into_iter().filter(|call| !call.operation.starts_with("HEAD")).count();
        assert_eq!(written, usize::from(head == 404));
    }
}
