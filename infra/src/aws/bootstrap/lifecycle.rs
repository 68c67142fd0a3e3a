//! The rules that tidy up the bucket: uploads that never ended, old versions, and what deletions leave.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::AbortIncompleteMultipartUpload;
use aws_sdk_s3::types::BucketLifecycleConfiguration;
use aws_sdk_s3::types::ExpirationStatus;
use aws_sdk_s3::types::LifecycleExpiration;
use aws_sdk_s3::types::LifecycleRule;
use aws_sdk_s3::types::LifecycleRuleFilter;
use aws_sdk_s3::types::NoncurrentVersionExpiration;

use super::BootstrapError;
use super::failed;
use super::found;
use crate::aws::clients::Clients;

/// Uploads that were never finished are removed after so many days.
const ABORT_UPLOADS_DAYS: i32 = 7;

/// Overwritten and deleted objects can be had back for so many days.
const OLD_VERSIONS_DAYS: i32 = 90;

/// Brings the rules of ours to what they should be, whole. Others of the bucket stay as they are.
pub(super) async fn mend(
    clients: &Clients,
    name: &str,
    what: &str,
    mended: &mut Vec<&'static str>,
) -> Result<(), BootstrapError> {
    let there = clients.s3.get_bucket_lifecycle_configuration().bucket(name).send().await;
    let there = found(there, &["NoSuchLifecycleConfiguration"]).map_err(failed(what, "looked at"))?;
    // Whoever writes rules without it sets it to S3's own choice, for the rules of others too.
    let least_size = there.as_ref().and_then(|there| there.transition_default_minimum_object_size.clone());
    let mut rules = there.and_then(|there| there.rules).unwrap_or_default();
    let wanted = lifecycle_rules().map_err(failed(what, "given rules"))?;
    if wanted.iter().all(|rule| rules.iter().any(|there| is_rule(there, rule))) {
        return Ok(());
    }
    rules.retain(|there| !wanted.iter().any(|rule| rule.id() == there.id()));
    rules.extend(wanted);
    let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
    let configuration = configuration.map_err(failed(what, "given rules"))?;
    let call = clients.s3.put_bucket_lifecycle_configuration().bucket(name).lifecycle_configuration(configuration);
    let call = call.set_transition_default_minimum_object_size(least_size);
    call.send().await.map_err(failed(what, "given rules"))?;
    mended.push("lifecycle rules");
    Ok(())
}

/// The rules of ours, each for all objects. In a bucket with versions, whatever is deleted leaves a marker, and a run deletes
/// many a mark: once no version is behind a marker any more, it goes too. S3 takes that for itself alone or beside old
/// versions, and not where a rule names days or a date for what is current.
fn lifecycle_rules() -> Result<[LifecycleRule; 2], BuildError> {
    let uploads = AbortIncompleteMultipartUpload::builder().days_after_initiation(ABORT_UPLOADS_DAYS).build();
    let versions = NoncurrentVersionExpiration::builder().noncurrent_days(OLD_VERSIONS_DAYS).build();
    let markers = LifecycleExpiration::builder().expired_object_delete_marker(true).build();
    let rule = |id| LifecycleRule::builder().id(id).status(ExpirationStatus::Enabled).filter(everything());
    Ok([
        rule("liminal-abort-uploads").abort_incomplete_multipart_upload(uploads).build()?,
        rule("liminal-old-versions").noncurrent_version_expiration(versions).expiration(markers).build()?,
    ])
}

fn everything() -> LifecycleRuleFilter {
    LifecycleRuleFilter::builder().prefix("").build()
}

/// Whether a rule that is there is the wanted one in all that it says. That it is for all objects is written in several ways.
fn is_rule(there: &LifecycleRule, wanted: &LifecycleRule) -> bool {
    let mut there = there.clone();
    #[expect(deprecated, reason = "S3 still answers with it where a rule was made with it")]
    let prefix = there.prefix.take().unwrap_or_default();
    let filter = there.filter.take().unwrap_or_else(everything);
    let is_for_all = filter == everything() || filter == LifecycleRuleFilter::builder().build();
    there.filter = Some(everything());
    prefix.is_empty() && is_for_all && there == *wanted
}

#[cfg(test)]
mod tests {
    use liminal_schemas::aws::AwsPlace;
    use serde_json::json;

    use super::super::template::Template;
    use super::*;

    #[test]
    fn the_template_has_the_same_rules() {
        let place = AwsPlace {
            partition: "aws".to_owned(),
            region: "eu-central-1".to_owned(),
            account: "123456789012".to_owned(),
            bucket: "data".to_owned(),
            endpoint: None,
        };
        let template = Template::new(&place, None).expect("readable");
        let rules = template.part(&["Bucket", "Properties", "LifecycleConfiguration", "Rules"]).expect("complete");
        let [uploads, versions] = lifecycle_rules().expect("complete");
        let of_uploads =
            uploads.abort_incomplete_multipart_upload().and_then(AbortIncompleteMultipartUpload::days_after_initiation);
        let of_versions =
            versions.noncurrent_version_expiration().and_then(NoncurrentVersionExpiration::noncurrent_days);
        let of_markers = versions.expiration().and_then(LifecycleExpiration::expired_object_delete_marker);
        let wanted = json!([
            { "Id": uploads.id(), "Status": "Enabled", "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": of_uploads } },
            { "Id": versions.id(), "Status": "Enabled", "NoncurrentVersionExpiration": { "NoncurrentDays": of_versions }, "ExpiredObjectDeleteMarker": of_markers },
        ]);
        assert_eq!(rules, wanted);
    }

    #[test]
    fn a_rule_is_ours_only_when_all_that_it_says_is_however_it_says_that_it_is_for_everything() {
        let [uploads, versions] = lifecycle_rules().expect("complete");
        assert!(is_rule(&uploads, &uploads) && !is_rule(&uploads, &versions));
        let changed = |change: &dyn Fn(&mut LifecycleRule)| {
            let mut rule = versions.clone();
            change(&mut rule);
            is_rule(&rule, &versions)
        };
        assert!(changed(&|rule| rule.filter = None));
        assert!(changed(&|rule| rule.filter = Some(LifecycleRuleFilter::builder().build())));
        let short = || LifecycleRuleFilter::builder().prefix("shop/").build();
        assert!(!changed(&|rule| rule.filter = Some(short())));
        assert!(!changed(&|rule| rule.status = ExpirationStatus::Disabled));
        let days = |days| NoncurrentVersionExpiration::builder().noncurrent_days(days).build();
        assert!(!changed(&|rule| rule.noncurrent_version_expiration = Some(days(1))));
        assert!(!changed(&|rule| rule.expiration = None));
        assert!(!changed(&|rule| rule.expiration = Some(LifecycleExpiration::builder().days(1).build())));
    }
}
