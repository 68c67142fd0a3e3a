//! Messages that nobody could handle, and that wait in dead-letter queues for somebody to send them again.

use std::collections::BTreeMap;

use liminal_infra::apply::window::all;
use liminal_infra::aws;
use liminal_schemas::aws::names;
use liminal_schemas::aws::resource::ResourceSpec;

use super::Environment;
use super::environment::Platform;
use crate::error::CliError;
use crate::error::While as _;
use crate::records::AT_ONCE;

impl Environment {
    /// How many messages could not be delivered, by the queue that they were for. There are none on this machine.
    pub(crate) async fn undelivered(&self) -> Result<BTreeMap<String, u64>, CliError> {
        let Platform::Aws(aws) = &self.platform else { return Ok(BTreeMap::new()) };
        let Some(loaded) = self.state().await? else { return Ok(BTreeMap::new()) };
        let specs = loaded.state.resources.values().filter_map(|record| Some(&record.resource.as_deref()?.spec));
        let queues = specs.filter_map(|spec| match spec {
            ResourceSpec::Queue(queue) => Some(queue.name.clone()),
            _ => None,
        });
        let site = aws.site();
        let counts = all(queues.map(|queue| async move { (aws::undelivered(site, &queue).await, queue) }), AT_ONCE);
        let mut found = BTreeMap::new();
        for (count, queue) in counts.await {
            let count = count.or_failed(|| format!("the messages of queue {queue} can not be counted"))?;
            if count > 0 {
                found.insert(queue, count);
            }
        }
        Ok(found)
    }

    /// How many messages that were to start runs could not be delivered. None where that can not be known.
    pub(crate) async fn undelivered_triggers(&self) -> u64 {
        let Platform::Aws(aws) = &self.platform else { return 0 };
        let site = aws.site();
        let queue = names::trigger_queue(&site.owner.project, &site.owner.environment);
        // Who may not ask is shown all the rest.
        aws::undelivered(site, &queue).await.unwrap_or_default()
    }

    /// Sends again what could not be delivered to a queue, and counts it.
    pub(crate) async fn send_undelivered(&self, queue: &str) -> Result<u64, CliError> {
        let Platform::Aws(aws) = &self.platform else { return Ok(0) };
        let sent = aws::send_undelivered(aws.site(), queue).await;
        sent.or_failed(|| format!("the messages of queue {queue} can not all be sent again"))
    }
}
