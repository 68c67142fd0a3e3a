//! What an account has besides: other regions, buckets and deployers, stacks, and what the owner of a bucket set.

use aws_sdk_iam::Client as Iam;
use aws_sdk_s3::types::BucketLocationConstraint;
use aws_sdk_s3::types::CreateBucketConfiguration;
use aws_sdk_s3::types::ObjectOwnership;
use liminal_emulators::MiniStack;
use liminal_infra::aws::bootstrap::Done;
use liminal_infra::aws::bootstrap::bootstrap;
use liminal_infra::aws::bootstrap::template::Deployer;
use liminal_infra::aws::bootstrap::template::TEMPLATE;
use liminal_schemas::aws::AwsPlace;
use liminal_schemas::aws::names;
use serde_json::Value;
use serde_json::json;

use crate::bootstrap_account::Account;
use crate::bootstrap_account::SUBJECT;
use crate::bootstrap_account::accounts;

/// Makes the bucket of an account as somebody does who knows nothing of liminal.
async fn make_bucket(account: &Account, ownership: ObjectOwnership) {
    let region = BucketLocationConstraint::from(account.place.region.as_str());
    let there = CreateBucketConfiguration::builder().location_constraint(region).build();
    let request = account.s3().create_bucket().bucket(&account.place.bucket).create_bucket_configuration(there);
    request.object_ownership(ownership.clone()).send().await.expect("a bucket");
    // Not every emulator hears of it when a bucket is made.
    let rules = format!("Rules=[{{ObjectOwnership={}}}]", ownership.as_str());
    let of_bucket = ["--bucket", &account.place.bucket, "--ownership-controls", &rules];
    account.aws(&[["s3api", "put-bucket-ownership-controls"].as_slice(), &of_bucket].concat());
}

/// The policy of the bucket.
async fn bucket_policy(account: &Account) -> Value {
    let request = account.s3().get_bucket_policy().bucket(&account.place.bucket).send().await;
    serde_json::from_str(&request.expect("a policy").policy.expect("a text")).expect("JSON")
}

/// Trust and permissions of a role, as IAM writes them.
async fn role(iam: &Iam, name: &str) -> (Option<String>, String) {
    let role = iam.get_role().role_name(name).send().await.expect("a role").role.expect("a role");
    let policy = iam.get_role_policy().role_name(name).policy_name("deploy").send().await.expect("a policy");
    (role.assume_role_policy_document, policy.policy_document)
}

/// Where the boundary lets roles write.
async fn written(account: &Account) -> Vec<String> {
    let (iam, arn) = (account.iam(), names::boundary_arn(&account.place));
    let policy = iam.get_policy().policy_arn(&arn).send().await.expect("a policy").policy.expect("a policy");
    let version = policy.default_version_id.expect("a version");
    let of_version = ["iam", "get-policy-version", "--version-id", &version, "--policy-arn", &arn];
    let statements = account.aws(&of_version)["PolicyVersion"]["Document"]["Statement"].clone();
    let writes = statements.as_array().expect("a list").iter().find(|statement| statement["Sid"] == "WriteObjects");
    let resources = writes.expect("a statement")["Resource"].as_array().expect("a list").clone();
    resources.iter().map(|arn| arn.as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn another_subject_or_bucket_takes_nothing_from_those_that_were_there() {
    for account in accounts().await {
        // What an earlier liminal made for all of them together.
        let (iam, old) = (account.iam(), "liminal-deploy");
        let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "lambda:ListFunctions", "Resource": "*" }] });
        let anybody = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": { "AWS": account.place.account }, "Action": "sts:AssumeRole" }] });
        let request = iam.create_role().role_name(old).assume_role_policy_document(anybody.to_string());
        request.send().await.expect("an old role");
        let request = iam.put_role_policy().role_name(old).policy_name("deploy").policy_document(policy.to_string());
        request.send().await.expect("an old policy");
        let before = role(&iam, old).await;

        account.bootstrap().await;
        let first = role(&iam, &account.role()).await;
        let production = account.deployer();
        let staging = Deployer { subject: "repo:shop/models:environment:staging".to_owned(), ..production.clone() };
        let elsewhere = AwsPlace { bucket: format!("other-{}", account.place.bucket), ..account.place.clone() };
        for (place, deployer) in [(&account.place, &staging), (&elsewhere, &production)] {
            let parts = bootstrap(&account.clients, place, Some(deployer), &mut |_| {}).await.expect("bootstrapped");
            let made = parts.last().expect("a role");
            assert_eq!(
                (made.what.clone(), &made.done),
                (format!("role {}", deployer.role_name(place)), &Done::Created)
            );
        }
        assert_eq!(role(&iam, &account.role()).await, first);
        assert_eq!(role(&iam, old).await, before);
        account.is_left_alone().await;
        let arns = written(&account).await;
        for bucket in [&account.place.bucket, &elsewhere.bucket] {
            assert!(arns.contains(&format!("arn:aws:s3:::{bucket}/*")), "{bucket} is among {arns:?}");
        }
    }
}

#[tokio::test]
async fn statements_that_the_owner_of_a_bucket_has_in_its_policy_stay() {
    for account in accounts().await {
        make_bucket(&account, ObjectOwnership::BucketOwnerEnforced).await;
        let all =
            [format!("arn:aws:s3:::{}", account.place.bucket), format!("arn:aws:s3:::{}/*", account.place.bucket)];
        let endpoint = json!({ "Sid": "OnlyByTheEndpoint", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": all,
            "Condition": { "StringNotEquals": { "aws:SourceVpce": "vpce-0a" } } });
        let partner = json!({ "Sid": "Partner", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" },
            "Action": "s3:GetObject", "Resource": all[1] });
        let theirs = json!({ "Version": "2012-10-17", "Id": "theirs", "Statement": [endpoint, { "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": all }, partner] });
        let request = account.s3().put_bucket_policy().bucket(&account.place.bucket).policy(theirs.to_string());
        request.send().await.expect("a policy of their own");

        account.bootstrap().await;
        let policy = bucket_policy(&account).await;
        assert_eq!(policy["Id"], "theirs");
        let statements = policy["Statement"].as_array().expect("a list");
        let sids: Vec<&str> = statements.iter().map(|statement| statement["Sid"].as_str().expect("a name")).collect();
        assert_eq!(sids, ["OnlyByTheEndpoint", "TlsOnly", "Partner", "ModernTlsOnly"]);
        assert_eq!((&statements[0], &statements[2]), (&endpoint, &partner));
        assert_eq!(statements[1]["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }));
        account.is_left_alone().await;
    }
}

#[tokio::test]
async fn a_bucket_of_others_whose_objects_may_have_acls_is_refused_until_its_owner_gives_them_up() {
    for account in accounts().await {
        let bucket = account.place.bucket.as_str();
        make_bucket(&account, ObjectOwnership::BucketOwnerPreferred).await;
        let refused = account.try_bootstrap().await.expect_err("ACLs").to_string();
        assert!(refused.contains(bucket) && refused.contains("BucketOwnerPreferred"), "{refused}");
        account.s3().delete_bucket_ownership_controls().bucket(bucket).send().await.expect("none");
        let refused = account.try_bootstrap().await.expect_err("ACLs").to_string();
        assert!(refused.contains("object ownership none") && refused.contains("ACLs"), "{refused}");
        let versioning = account.aws(&["s3api", "get-bucket-versioning", "--bucket", bucket]);
        assert_eq!(versioning.get("Status"), None);

        let rules = "Rules=[{ObjectOwnership=BucketOwnerEnforced}]";
        let enforce = ["s3api", "put-bucket-ownership-controls", "--bucket", bucket, "--ownership-controls", rules];
        account.aws(&enforce);
        account.bootstrap().await;
        account.is_left_alone().await;
    }
}

#[tokio::test]
async fn what_the_template_makes_needs_no_mending() {
    // moto writes policies of templates down as no JSON.
    let account = Account::on(MiniStack::start()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("liminal.yml");
    std::fs::write(&file, TEMPLATE).expect("written");
    let body = format!("file://{}", file.display());
    let provider = format!("ParameterKey=OidcProviderArn,ParameterValue={}", account.deployer().provider);
    let subject = format!("ParameterKey=OidcSubject,ParameterValue={SUBJECT}");
    let role = format!("ParameterKey=DeployRoleName,ParameterValue={}", account.role());
    // Those stay, too, when the command comes after the stack.
    let theirs = "ParameterKey=OtherBuckets,ParameterValue=arn:aws:s3:::theirs/*".to_owned();
    let stack = ["cloudformation", "create-stack", "--stack-name", "liminal", "--template-body", &body];
    let capable = ["--capabilities", "CAPABILITY_NAMED_IAM", "--parameters", &provider, &subject, &role, &theirs];
    account.aws(&[stack.as_slice(), &capable].concat());
    account.aws(&["cloudformation", "wait", "stack-create-complete", "--stack-name", "liminal"]);
    // It leaves these out; that they are the same is watched beside their code.
    account.is_mended("bucket", &["lifecycle rules"]).await;
    let arns = written(&account).await;
    assert!(arns.contains(&"arn:aws:s3:::theirs/*".to_owned()) && arns.len() == 3, "{arns:?}");
}

#[tokio::test]
async fn a_second_stack_takes_the_boundary_the_cluster_and_the_repository_of_the_first() {
    let account = Account::on(MiniStack::start()).await;
    account.bootstrap().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("liminal.yml");
    std::fs::write(&file, TEMPLATE).expect("written");
    let body = format!("file://{}", file.display());
    let given = |key: &str, value: &str| format!("ParameterKey={key},ParameterValue={value}");
    let parameters = [
        given("BucketName", "second"),
        given("MakeBoundary", "no"),
        given("MakeClusterAndRepository", "no"),
        given("OidcProviderArn", &account.deployer().provider),
        given("OidcSubject", SUBJECT),
    ];
    let stack = ["cloudformation", "create-stack", "--stack-name", "second", "--template-body", &body];
    let mut command = [stack.as_slice(), &["--capabilities", "CAPABILITY_NAMED_IAM", "--parameters"]].concat();
    command.extend(parameters.iter().map(String::as_str));
    account.aws(&command);
    account.aws(&["cloudformation", "wait", "stack-create-complete", "--stack-name", "second"]);
    let resources = account.aws(&["cloudformation", "describe-stack-resources", "--stack-name", "second"]);
    let resources = resources["StackResources"].as_array().expect("a list").clone();
    let mut made: Vec<&str> =
        resources.iter().map(|resource| resource["LogicalResourceId"].as_str().expect("a name")).collect();
    made.sort_unstable();
    assert_eq!(made, ["Bucket", "BucketPolicy", "DeployRole"]);
    account.is_left_alone().await;
}
