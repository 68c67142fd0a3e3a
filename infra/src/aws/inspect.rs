//! A close look at one resource, by calls of its own: what listings do not show.

use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::state::ResourceAddress;

use super::bundle;
use super::bundle::BundleSource;
use super::drift::FieldDrift;
use super::function;
use super::log_group;
use super::mapping;
use super::notification;
use super::queue;
use super::resources::AwsResources;
use super::role;
use super::rule;
use super::schedule;
use super::task_definition;
use crate::ports::Objects;
use crate::ports::PortError;

impl<O: Objects, B: BundleSource> AwsResources<'_, O, B> {
    /// Where a resource differs from its document; none when it is not there, or not ours.
    ///
    /// # Errors
    /// When AWS can not be asked, or the address stands for nothing here.
    pub async fn inspect(&self, address: &ResourceAddress) -> Result<Option<Vec<FieldDrift>>, PortError> {
        let site = self.site;
        // Objects that are addressed by their content do not drift: they are there or not.
        let whole = |present: bool| Ok(present.then(Vec::new));
        let Some(spec) = self.document(address)? else { return whole(self.is_present(address).await?) };
        let drift = match spec {
            ResourceSpec::Bundle(_) => return whole(self.is_present(address).await?),
            ResourceSpec::Role(spec) => role::drift(site, spec).await?,
            ResourceSpec::Logs(spec) => log_group::inspect(site, spec).await?,
            ResourceSpec::Queue(spec) => queue::drift(site, address, spec).await?,
            ResourceSpec::Function(spec) => {
                // Without its bundle, the code is compared with what the function was made with.
                let facts = bundle::facts(self.objects, &spec.bundle.digest).await.ok();
                let code = facts.map(|facts| facts.code_sha256());
                function::inspect(site, address, spec, code.as_deref()).await?
            }
            ResourceSpec::Mapping(spec) => mapping::find(site, spec).await?.map(|found| mapping::drift(spec, &found)),
            ResourceSpec::Task(spec) => task_definition::inspect(site, spec).await?,
            ResourceSpec::Schedule(spec) => schedule::inspect(site, address, spec).await?,
            ResourceSpec::Notification(spec) => {
                let found = notification::list(site, &spec.bucket).await?;
                Some(notification::drift(site, address, spec, &found)?)
            }
            ResourceSpec::Rule(spec) => rule::inspect(site, spec).await?,
        };
        Ok(drift)
    }

    async fn is_present(&self, address: &ResourceAddress) -> Result<bool, PortError> {
        use crate::ports::Resources as _;
        let asked = [address.clone()].into();
        Ok(self.present(&asked).await?.contains(address))
    }
}
