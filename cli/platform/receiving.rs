//! The receiver of an environment on AWS: made, looked at and removed by itself, beside what is applied.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use liminal_functions::ports::Etag;
use liminal_functions::ports::ObjectStore as _;
use liminal_infra::apply::window::all;
use liminal_infra::aws;
use liminal_infra::aws::FieldDrift;
use liminal_infra::desired::ReceiverInput;
use liminal_infra::desired::receiver_resources;
use liminal_infra::drift::Found;
use liminal_infra::plan::Observed;
use liminal_infra::ports::PortError;
use liminal_infra::ports::Resources as _;
use liminal_schemas::aws::names;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::gitops::GITOPS_SCHEMA;
use liminal_schemas::gitops::ReceiverRecord;
use liminal_schemas::keys;
use liminal_schemas::release::SecretRef;
use liminal_schemas::state::ResourceAddress;
use liminal_schemas::state::ResourceKind;

use super::Environment;
use super::aws::Aws;
use super::aws::RunnerFile;
use super::environment::Platform;
use super::resources::Material;
use super::resources::Workshop;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;
use crate::progress::Progress;
use crate::project;
use crate::records::AT_ONCE;

/// What became of a part of a receiver.
pub(crate) enum Part {
    /// It was made.
    Made,
    /// It was as it should be.
    Unchanged,
    /// It was there, but for these fields, and is brought back.
    Mended(Vec<FieldDrift>),
    /// It was removed.
    Removed,
}

/// A receiver that is there.
pub(crate) struct Receiver {
    /// Where deliveries go; none when it was taken away.
    pub(crate) url: Option<String>,
    /// Where the secret is that they are signed with.
    pub(crate) secret: SecretRef,
    /// The function.
    pub(crate) function: String,
    /// The queue that agents wait at.
    pub(crate) queue: String,
}

/// Is told of each part, by its kind and its name.
pub(crate) type Tell<'a> = &'a mut (dyn FnMut(&str, &str, &Part) + Send);

type Documents = BTreeMap<ResourceAddress, CloudResource>;

impl Environment {
    /// Makes the receiver, or brings the one that is there to what is wanted; gives its address.
    pub(crate) async fn make_receiver(
        &self,
        context: &Context,
        secret: &SecretRef,
        tell: Tell<'_>,
    ) -> Result<String, CliError> {
        let aws = self.on_aws()?;
        let (place, owner) = (&aws.site.place, &aws.site.owner);
        let wanted = receiver_resources(&ReceiverInput {
            place,
            project: &owner.project,
            environment: &owner.environment,
            secret,
            runner: RunnerFile::find(aws.spec.arch)?.digest,
            arch: aws.spec.arch,
            log_retention_days: aws.spec.log_retention_days,
        })
        .or_failed(|| "there can be no such receiver".to_owned())?;
        let order: Vec<ResourceAddress> = wanted.iter().map(|resource| resource.spec.address()).collect();
        let wanted: Documents = wanted.into_iter().map(|resource| (resource.spec.address(), resource)).collect();
        let earlier = self.receiver_record().await?;
        let mut documents = wanted.clone();
        if let Some((record, _)) = &earlier {
            documents.extend(record.resources.clone());
        }
        self.write_receiver_record(secret, documents.clone()).await?;

        let (packages, progress) = (BTreeMap::new(), Progress::new(&context.printer));
        let workshop = self.receiver_workshop(&packages, &progress, documents.clone())?;
        let resources = workshop.resources();
        for address in &order {
            let name = documents[address].spec.name();
            let failed = |error: PortError| part_failed("made", address, &name, &error);
            let part = match resources.look_at(address, &Observed::default()).await.map_err(failed)? {
                None => Part::Unchanged,
                Some(found) => {
                    resources.create(address).await.map_err(failed)?;
                    match found {
                        Found::Gone => Part::Made,
                        Found::Changed(fields) => Part::Mended(fields),
                    }
                }
            };
            tell(address.kind.as_str(), &name, &part);
        }
        let function = names::receiver(&owner.project, &owner.environment);
        let opened = aws.effects().around(aws::open_function(&aws.site, &function)).await;
        let opened = opened.or_failed(|| format!("function {function} can not be given an address"))?;
        tell("address", &opened.url, if opened.changed { &Part::Made } else { &Part::Unchanged });

        let lasting: BTreeSet<String> = wanted.values().filter_map(|it| it.spec.lasting_name()).collect();
        let is_replaced =
            |resource: &CloudResource| resource.spec.lasting_name().is_none_or(|name| !lasting.contains(&name));
        let left = documents.iter().filter(|(address, it)| !wanted.contains_key(*address) && is_replaced(it));
        self.remove_parts(&workshop, &documents, left.map(|(address, _)| address).collect(), tell).await?;
        self.write_receiver_record(secret, wanted).await?;
        Ok(opened.url)
    }

    /// The receiver, if there is one.
    pub(crate) async fn receiver(&self) -> Result<Option<Receiver>, CliError> {
        let aws = self.on_aws()?;
        let owner = &aws.site.owner;
        let Some((record, _)) = self.receiver_record().await? else { return Ok(None) };
        let function = names::receiver(&owner.project, &owner.environment);
        let url = aws::function_address(&aws.site, &function).await;
        let url = url.or_failed(|| format!("function {function} can not be looked at"))?;
        let queue = names::deliveries_queue(&owner.project, &owner.environment);
        Ok(Some(Receiver { url, secret: record.secret, function, queue }))
    }

    /// Removes the receiver with all that it wrote down; false when there is none.
    pub(crate) async fn remove_receiver(&self, context: &Context, tell: Tell<'_>) -> Result<bool, CliError> {
        let aws = self.on_aws()?;
        let Some((record, _)) = self.receiver_record().await? else { return Ok(false) };
        let owner = &aws.site.owner;
        let function = names::receiver(&owner.project, &owner.environment);
        let closed = aws.effects().around(aws::close_function(&aws.site, &function)).await;
        closed.or_failed(|| format!("the address of function {function} can not be taken away"))?;
        let (packages, progress) = (BTreeMap::new(), Progress::new(&context.printer));
        let workshop = self.receiver_workshop(&packages, &progress, record.resources.clone())?;
        // Functions go before what they need.
        let mut order: Vec<&ResourceAddress> = record.resources.keys().collect();
        order.sort_by_key(|address| (address.kind != ResourceKind::Function, *address));
        self.remove_parts(&workshop, &record.resources, order, tell).await?;
        let prefix = keys::DELIVERIES_PREFIX;
        let seen = self.store().list(prefix).await.or_failed(|| format!("{prefix} can not be listed"))?;
        let deletions = seen.iter().map(|key| self.store().delete(key));
        for (deleted, key) in all(deletions, AT_ONCE).await.into_iter().zip(&seen) {
            deleted.or_failed(|| format!("{key} can not be deleted"))?;
        }
        let key = keys::receiver(self.name());
        self.store().delete(&key).await.or_failed(|| format!("{key} can not be deleted"))?;
        Ok(true)
    }

    /// Whether there is a receiver, as far as can be told.
    pub(crate) async fn has_receiver(&self) -> bool {
        matches!(self.platform, Platform::Aws(_)) && self.receiver_record().await.is_ok_and(|record| record.is_some())
    }

    fn on_aws(&self) -> Result<&Aws, CliError> {
        let name = self.name();
        if self.template().is_some() {
            return Err(CliError::new(format!("environment {name} is made from a template, and has no receiver"))
                .hint("-e ENV names one that stays: an agent that it wakes sees to all environments")
                .exit(ExitCode::Usage));
        }
        match &self.platform {
            Platform::Aws(aws) => Ok(aws),
            Platform::Local(_) => Err(CliError::new(format!("environment {name} is on this machine"))
                .hint("-e ENV names an environment with `platform: aws`")
                .hint("`liminal gitops webhook` takes deliveries on this machine")
                .exit(ExitCode::Usage)),
        }
    }

    fn receiver_workshop<'a>(
        &'a self,
        packages: &'a BTreeMap<liminal_schemas::digest::Digest, liminal_schemas::release::PackageSpec>,
        progress: &'a Progress,
        documents: Documents,
    ) -> Result<Workshop<'a>, CliError> {
        // Messages only tell that there is something to fetch, which agents do by themselves too.
        let delete_messages = true;
        let files = Arc::new(project::snapshot(&project::locate(&self.directory)?, None)?);
        Ok(self.workshop(progress, Material { files, packages, documents, delete_messages }))
    }

    async fn remove_parts(
        &self,
        workshop: &Workshop<'_>,
        documents: &Documents,
        addresses: Vec<&ResourceAddress>,
        tell: Tell<'_>,
    ) -> Result<(), CliError> {
        let shared: BTreeSet<ResourceAddress> = match self.state().await? {
            Some(loaded) => loaded.state.resources.keys().cloned().collect(),
            None => BTreeSet::new(),
        };
        let resources = workshop.resources();
        for address in addresses {
            // The function that starts runs has the same bundle.
            if shared.contains(address) {
                continue;
            }
            let name = documents[address].spec.name();
            let removed = resources.delete(address).await;
            removed.map_err(|error| part_failed("removed", address, &name, &error))?;
            tell(address.kind.as_str(), &name, &Part::Removed);
        }
        Ok(())
    }

    async fn receiver_record(&self) -> Result<Option<(ReceiverRecord, Etag)>, CliError> {
        let key = keys::receiver(self.name());
        let object = self.store().get(&key).await.or_failed(|| format!("{key} can not be read"))?;
        let Some(object) = object else { return Ok(None) };
        let record = serde_json::from_slice(&object.bytes).or_failed(|| format!("{key} is damaged"))?;
        Ok(Some((record, object.etag)))
    }

    /// Writes down what the receiver is made of, in place of whatever was written before. What two write at the same time is
    /// made of the same names.
    async fn write_receiver_record(&self, secret: &SecretRef, resources: Documents) -> Result<(), CliError> {
        let key = keys::receiver(self.name());
        let failed = || format!("{key} can not be written");
        let record = ReceiverRecord { schema: GITOPS_SCHEMA, secret: secret.clone(), resources };
        let bytes = serde_json::to_vec(&record).or_failed(failed)?;
        let written = match self.receiver_record().await? {
            Some((there, _)) if there == record => true,
            Some((_, etag)) => {
                let swapped = self.store().put_if_match(&key, &bytes, &etag).await.or_failed(failed)?;
                matches!(swapped, liminal_functions::ports::Swap::Swapped(_))
            }
            None => {
                let put = self.store().put_if_absent(&key, &bytes).await.or_failed(failed)?;
                matches!(put, liminal_functions::ports::Put::Created(_))
            }
        };
        if written {
            return Ok(());
        }
        Err(CliError::new("somebody else makes or removes the receiver at the same time")
            .hint("the same command goes on where this one ended")
            .exit(ExitCode::LockHeld))
    }
}

fn part_failed(what: &str, address: &ResourceAddress, name: &str, error: &PortError) -> CliError {
    CliError::because(format!("{} {name} can not be {what}", address.kind.as_str()), error.as_ref())
        .hint("once the cause is gone, the same command goes on")
}
