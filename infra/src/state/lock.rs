//! The lock of an environment: a lease that is renewed while its holder lives.
//!
//! It only spares wasted work. What keeps two applies apart is the swap of the state, so a lock that was taken over too
//! early costs a refused write and nothing else.

use std::future::Future;
use std::time::Duration;

use liminal_schemas::keys;
use liminal_schemas::name::EnvironmentName;
use liminal_schemas::state::Lock;
use liminal_schemas::state::LockHolder;
use liminal_schemas::state::STATE_SCHEMA;
use liminal_schemas::time::UtcTime;

use crate::ports::Clock;
use crate::ports::Objects;
use crate::ports::PortError;

/// How long a lease lasts unless it is renewed. Long enough for a laptop to be busy, short enough to wait for.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// How often somebody who waits for a lock looks again.
const POLL: Duration = Duration::from_millis(200);

/// Who wants a lock, and how long they wait for it.
pub struct LockRequest<'a> {
    /// Who: `since` and `until` are filled in.
    pub holder: LockHolder,
    /// How long to wait while somebody else holds it.
    pub timeout: Duration,
    /// Whether a process of this host is alive.
    pub is_alive: &'a (dyn Fn(u32) -> bool + Sync),
}

/// Why a lock was not taken, renewed or released.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error("{} has held the lock for {age}{from}", describe(.holder), age = age(*.held_seconds), from = commit(.holder))]
    Held {
        /// Who.
        holder: Box<LockHolder>,
        /// For how long, in seconds.
        held_seconds: f64,
    },
    /// The store failed.
    #[error("the lock {key} can not be read or written")]
    Store {
        /// The object.
        key: String,
        /// Why.
        source: PortError,
    },
    /// The lock can not be written as JSON.
    #[error("the lock can not be written as JSON")]
    Json(#[from] serde_json::Error),
}

fn describe(holder: &LockHolder) -> String {
    let user = holder.user.as_deref().unwrap_or("somebody");
    format!("{user} on {} (process {}, `liminal {}`)", holder.host, holder.pid, holder.command)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an age that is shown, never below zero")]
fn age(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

fn commit(holder: &LockHolder) -> String {
    let short = |commit: &String| format!(", working from commit {}", commit.chars().take(12).collect::<String>());
    holder.commit.as_ref().map(short).unwrap_or_default()
}

/// A lock that is held.
#[derive(Debug)]
pub struct Lease<'a, O, C> {
    objects: &'a O,
    clock: &'a C,
    key: String,
    holder: LockHolder,
    etag: String,
}

/// Takes the lock of an environment. One that has run out, or whose holder was a process of this host that is dead, is
/// taken over.
///
/// # Errors
/// [`LockError::Held`] when somebody else still holds it after the timeout.
pub async fn acquire<'a, O: Objects, C: Clock>(
    objects: &'a O,
    clock: &'a C,
    environment: &EnvironmentName,
    request: LockRequest<'_>,
) -> Result<Lease<'a, O, C>, LockError> {
    let key = keys::lock(environment);
    let started = tokio::time::Instant::now();
    loop {
        let now = clock.now();
        let mut holder = request.holder.clone();
        holder.since = now;
        holder.until = lease_end(now);
        let bytes = document(Some(&holder))?;
        let store = |source| LockError::Store { key: key.clone(), source };
        let current = objects.get(&key).await.map_err(store)?;
        let taken = match &current {
            None => objects.put_if_absent(&key, bytes).await.map_err(store)?,
            Some(object) => match holder_of(&object.bytes) {
                Some(other) if is_in_force(&other, now, &request) => {
                    if started.elapsed() >= request.timeout {
                        let held_seconds = now.seconds_since(other.since);
                        return Err(LockError::Held { holder: Box::new(other), held_seconds });
                    }
                    None
                }
                Some(_) | None => objects.put_if_match(&key, &object.etag, bytes).await.map_err(store)?,
            },
        };
        match taken {
            Some(etag) => return Ok(Lease { objects, clock, key, holder, etag }),
            // Somebody holds it, or was faster: look again.
            None => tokio::time::sleep(POLL.min(request.timeout)).await,
        }
    }
}

fn lease_end(now: UtcTime) -> UtcTime {
    now.plus_millis(i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX))
}

fn is_in_force(other: &LockHolder, now: UtcTime, request: &LockRequest<'_>) -> bool {
    let dead = other.host == request.holder.host && !(request.is_alive)(other.pid);
    other.until > now && !dead
}

fn document(holder: Option<&LockHolder>) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec_pretty(&Lock { schema: STATE_SCHEMA, holder: holder.cloned() })
}

/// Who holds a lock; nobody when the document makes no sense, since a lock that nobody can read protects nothing.
fn holder_of(bytes: &[u8]) -> Option<LockHolder> {
    serde_json::from_slice::<Lock>(bytes).ok()?.holder
}

impl<O: Objects, C: Clock> Lease<'_, O, C> {
    /// Does some work and renews the lease meanwhile. A lease that was lost is not renewed, and the work goes on: it is
    /// the swap of the state that decides.
    pub async fn while_held<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(LEASE / 3) => {
                    let renewed = self.renew().await;
                    if matches!(renewed, Ok(false)) {
                        return work.await;
                    }
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<bool, LockError> {
        let mut holder = self.holder.clone();
        holder.until = lease_end(self.clock.now());
        let written = self.objects.put_if_match(&self.key, &self.etag, document(Some(&holder))?).await;
        let Some(etag) = written.map_err(|source| LockError::Store { key: self.key.clone(), source })? else {
            return Ok(false);
        };
        self.etag = etag;
        self.holder = holder;
        Ok(true)
    }

    /// Gives the lock back by swapping in a free one: not every store can delete on a condition.
    ///
    /// # Errors
    /// When the store fails. A lock that somebody else took meanwhile is left to them.
    pub async fn release(self) -> Result<(), LockError> {
        let freed = self.objects.put_if_match(&self.key, &self.etag, document(None)?).await;
        freed.map(|_| ()).map_err(|source| LockError::Store { key: self.key, source })
    }
}

/// Who holds the lock of an environment.
///
/// # Errors
/// When the store fails.
pub async fn holder(objects: &impl Objects, environment: &EnvironmentName) -> Result<Option<LockHolder>, LockError> {
    let key = keys::lock(environment);
    match objects.get(&key).await {
        Ok(object) => Ok(object.and_then(|object| holder_of(&object.bytes))),
        Err(source) => Err(LockError::Store { key, source }),
    }
}

/// Frees the lock of an environment, whoever holds it; gives who did.
///
/// # Errors
/// When the store fails.
pub async fn unlock(objects: &impl Objects, environment: &EnvironmentName) -> Result<Option<LockHolder>, LockError> {
    let key = keys::lock(environment);
    let store = |source| LockError::Store { key: key.clone(), source };
    loop {
        let Some(object) = objects.get(&key).await.map_err(store)? else { return Ok(None) };
        let Some(holder) = holder_of(&object.bytes) else { return Ok(None) };
        if objects.put_if_match(&key, &object.etag, document(None)?).await.map_err(store)?.is_some() {
            return Ok(Some(holder));
        }
    }
}
