//! Deliveries that the receiver of an environment on AWS passed on: they come by a queue.

use std::time::Duration;

use liminal_functions::aws::clients::Clients;
use liminal_functions::aws::clients::Connection;
use liminal_functions::aws::queue::SqsQueue;
use liminal_functions::ports::Queue as _;
use liminal_functions::ports::QueueError;
use liminal_functions::ports::Receipt;
use liminal_schemas::aws::names;
use liminal_schemas::definition::EnvironmentSettings;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::platform::PlatformSpec;

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// How long one request waits for a message: the most that SQS allows.
const WAIT: Duration = Duration::from_secs(20);

/// How long a message is hidden while its push is seen to. One that takes longer is seen to twice, which changes nothing.
const VISIBILITY: Duration = Duration::from_mins(5);

/// How long a message is put off whose push could not be seen to.
const RETRY: Duration = Duration::from_secs(15);

/// The most messages that are taken for one pass. Further ones are taken after it.
const MOST: usize = 100;

/// The queue of one receiver.
pub(super) struct Deliveries {
    region: String,
    name: String,
    patient: SqsQueue,
    quick: SqsQueue,
}

impl Deliveries {
    /// The queue of the receiver of an environment, among those that a definition lists. `known` is the one that was found
    /// before, which is kept where it is still the same.
    pub(super) async fn find(
        known: Option<Self>,
        environment: &EnvironmentName,
        listed: &[EnvironmentSettings],
    ) -> Result<Self, CliError> {
        let settings = listed.iter().find(|settings| settings.environment == *environment);
        let settings = settings.ok_or_else(|| {
            CliError::new(format!("there is no environment {environment} whose deliveries could be taken"))
                .hint("--deliveries ENV names one of the definition on the default branch")
        })?;
        let PlatformSpec::Aws(spec) = &settings.platform else {
            return Err(CliError::new(format!("environment {environment} is not on AWS, and has no receiver"))
                .hint("--deliveries ENV names one with `platform: aws`")
                .exit(ExitCode::Usage));
        };
        let name = names::deliveries_queue(&settings.project, environment);
        if let Some(known) = known.filter(|known| known.name == name && known.region == spec.region) {
            return Ok(known);
        }
        let region = spec.region.clone();
        let clients = Clients::connect(Connection { region: Some(region.clone()), ..Connection::default() }).await;
        Ok(Self { region, name, patient: SqsQueue::new(&clients).waiting(WAIT), quick: SqsQueue::new(&clients) })
    }

    /// Waits a while for a push to be told of, and takes all that was told by then; none when nothing was.
    pub(super) async fn receive(&self) -> Result<Vec<Receipt>, QueueError> {
        let mut taken = Vec::new();
        let mut next = self.patient.receive(&self.name, VISIBILITY).await?;
        while let Some(delivery) = next {
            taken.push(delivery.receipt);
            if taken.len() == MOST {
                break;
            }
            // What was taken counts, whatever becomes of the rest.
            next = self.quick.receive(&self.name, VISIBILITY).await.unwrap_or(None);
        }
        Ok(taken)
    }

    /// Lets messages go whose pushes were seen to.
    pub(super) async fn done(&self, receipts: &[Receipt]) -> Result<(), QueueError> {
        for receipt in receipts {
            self.patient.delete(receipt).await?;
        }
        Ok(())
    }

    /// Puts messages off whose pushes could not be seen to.
    pub(super) async fn put_back(&self, receipts: &[Receipt]) -> Result<(), QueueError> {
        for receipt in receipts {
            self.patient.extend(receipt, RETRY).await?;
        }
        Ok(())
    }
}
