//! Passes on what a delivery is worth, and gives the answer to the host.

use std::error::Error;
use std::future::Future;

use liminal_schemas::keys;

use super::judge::DeliveryId;
use super::judge::Limit;
use super::judge::Verdict;
use crate::ports::ObjectStore;
use crate::ports::Put;
use crate::ports::StoreError;

/// Tells whoever fetches that there is something to fetch.
pub trait Messenger: Send + Sync {
    /// Tells of a push. Being told twice must do no harm.
    fn tell(&self, delivery: &DeliveryId) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send;
}

/// What the host is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The push was passed on.
    Told,
    /// It had been passed on before.
    Seen,
    /// Somebody is there.
    Pong,
    /// It is about something else.
    Other,
    /// It is not signed.
    Unsigned,
    /// It has no id.
    Nameless,
    /// It is longer than the limit.
    TooLong(Limit),
    /// It can not be told whether it is signed: the host may send it again.
    SecretUnread,
    /// It could not be passed on, or that could not be written down: the host may send it again.
    NotPassedOn,
}

impl Answer {
    /// The status of HTTP.
    pub const fn status(self) -> u16 {
        match self {
            Self::Told => 202,
            Self::Seen | Self::Pong | Self::Other => 200,
            Self::Unsigned => 401,
            Self::Nameless => 400,
            Self::TooLong(_) => 413,
            Self::SecretUnread | Self::NotPassedOn => 503,
        }
    }

    /// The answer in words.
    pub fn text(self) -> String {
        let text = match self {
            Self::Told => "the remote is fetched",
            Self::Seen => "this delivery was seen before",
            Self::Pong => "pong",
            Self::Other => "only pushes matter here",
            Self::Unsigned => "the signature is missing or wrong",
            Self::Nameless => "X-GitHub-Delivery has no id of a delivery",
            Self::TooLong(limit) => return format!("the body has more than {} bytes", limit.0),
            Self::SecretUnread => "the secret of the receiver can not be read; send it again",
            Self::NotPassedOn => "the delivery can not be written down; send it again",
        };
        text.to_owned()
    }
}

/// Why a push was not passed on, or may be passed on twice.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// It can not be told whether it came before, or written down that it came.
    #[error("the delivery can not be written down")]
    Store(#[from] StoreError),
    /// Nobody could be told.
    #[error("the delivery can not be passed on")]
    Messenger(#[source] Box<dyn Error + Send + Sync>),
}

/// Does what a verdict asks for. A delivery is written down only once it was passed on: so one that comes again after a
/// failure is never taken for one that was seen, and at worst somebody fetches twice.
///
/// # Errors
/// When the store or the messenger fails; the answer is [`Answer::NotPassedOn`] then.
pub async fn receive(
    verdict: Verdict,
    store: &impl ObjectStore,
    messenger: &impl Messenger,
) -> Result<Answer, ReceiveError> {
    let delivery = match verdict {
        Verdict::TooLong(limit) => return Ok(Answer::TooLong(limit)),
        Verdict::Unsigned => return Ok(Answer::Unsigned),
        Verdict::Nameless => return Ok(Answer::Nameless),
        Verdict::Ping => return Ok(Answer::Pong),
        Verdict::Other => return Ok(Answer::Other),
        Verdict::Push(delivery) => delivery,
    };
    let key = keys::delivery(delivery.as_str());
    if store.exists(&key).await? {
        return Ok(Answer::Seen);
    }
    messenger.tell(&delivery).await.map_err(ReceiveError::Messenger)?;
    match store.put_if_absent(&key, b"{}").await? {
        Put::Created(_) => Ok(Answer::Told),
        Put::Exists => Ok(Answer::Seen),
    }
}

#[cfg(test)]
#[cfg(feature = "local")]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::local::store::DirectoryStore;
    use crate::ports::Etag;
    use crate::ports::Object;
    use crate::ports::Swap;
    use crate::webhook::Headers;
    use crate::webhook::SigningSecret;
    use crate::webhook::judge;

    /// The example of GitHub's "Validating webhook deliveries".
    fn push() -> Verdict {
        struct Signed;
        impl Headers for Signed {
            fn header(&self, name: &str) -> Option<&[u8]> {
                match name {
                    "x-hub-signature-256" => {
                        Some(b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
                    }
                    "x-github-delivery" => Some(b"d-1"),
                    "x-github-event" => Some(b"push"),
                    _ => None,
                }
            }
        }
        let secret = SigningSecret::new("It's a Secret to Everybody").expect("long enough");
        judge(&secret, Limit(100), &Signed, b"Hello, World!")
    }

    /// Carries out the first operations of a delivery as they are told to come out, and all others.
    struct Failing<'a> {
        store: &'a DirectoryStore,
        fates: Mutex<Vec<Fate>>,
        told: Mutex<usize>,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fate {
        Done,
        Refused,
        LostResponse,
    }

    impl Failing<'_> {
        fn fate(&self) -> Fate {
            self.fates.lock().expect("a lock").pop().unwrap_or(Fate::Done)
        }

        async fn perform<T>(
            &self,
            operation: impl Future<Output = Result<T, StoreError>> + Send,
        ) -> Result<T, StoreError> {
            let failed = || StoreError::Unavailable { key: "d-1".to_owned(), source: "no answer".into() };
            match self.fate() {
                Fate::Done => operation.await,
                Fate::Refused => Err(failed()),
                Fate::LostResponse => operation.await.and_then(|_| Err(failed())),
            }
        }
    }

    struct Shared(std::sync::Arc<Failing<'static>>);

    impl ObjectStore for Shared {
        async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
            self.0.store.get(key).await
        }
        async fn put_if_absent(&self, key: &str, bytes: &[u8]) -> Result<Put, StoreError> {
            self.0.perform(self.0.store.put_if_absent(key, bytes)).await
        }
        async fn put_if_match(&self, key: &str, bytes: &[u8], etag: &Etag) -> Result<Swap, StoreError> {
            self.0.store.put_if_match(key, bytes, etag).await
        }
        async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
            self.0.store.list(prefix).await
        }
        async fn delete(&self, key: &str) -> Result<(), StoreError> {
            self.0.store.delete(key).await
        }
        async fn exists(&self, key: &str) -> Result<bool, StoreError> {
            self.0.perform(self.0.store.exists(key)).await
        }
    }

    impl Messenger for Shared {
        async fn tell(&self, _: &DeliveryId) -> Result<(), Box<dyn Error + Send + Sync>> {
            let fate = self.0.fate();
            if fate != Fate::Refused {
                *self.0.told.lock().expect("a lock") += 1;
            }
            if fate == Fate::Done { Ok(()) } else { Err("no answer".into()) }
        }
    }

    #[tokio::test]
    async fn whatever_fails_a_push_is_passed_on_before_it_counts_as_seen() {
        let fates = [Fate::Done, Fate::Refused, Fate::LostResponse];
        let all = fates.iter().flat_map(|one| fates.iter().flat_map(move |two| fates.map(|three| [*one, *two, three])));
        for fates in all {
            let folder = tempfile::tempdir().expect("a folder");
            let store = Box::leak(Box::new(DirectoryStore::open(folder.path()).expect("a store")));
            let failing =
                std::sync::Arc::new(Failing { store, fates: Mutex::new(fates.to_vec()), told: Mutex::new(0) });
            let (objects, messenger) = (Shared(failing.clone()), Shared(failing.clone()));
            let mut answers = Vec::new();
            for _ in 0..5 {
                let answer = receive(push(), &objects, &messenger).await.unwrap_or(Answer::NotPassedOn);
                answers.push(answer);
                let told = *failing.told.lock().expect("a lock");
                assert!(told > 0 || answer == Answer::NotPassedOn, "{fates:?} {answers:?}");
            }
            assert_eq!(answers.last(), Some(&Answer::Seen), "{fates:?} {answers:?}");
            let told = *failing.told.lock().expect("a lock");
            let failures = answers.iter().filter(|answer| **answer == Answer::NotPassedOn).count();
            assert!(told <= failures + 1, "{fates:?} {answers:?}: told {told} times");
        }
    }

    #[tokio::test]
    async fn what_is_no_push_is_answered_without_a_look_at_the_store() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Box::leak(Box::new(DirectoryStore::open(folder.path()).expect("a store")));
        let fates = Mutex::new(vec![Fate::Refused; 10]);
        let failing = std::sync::Arc::new(Failing { store, fates, told: Mutex::new(0) });
        for (verdict, status) in [
            (Verdict::TooLong(Limit(9)), 413),
            (Verdict::Unsigned, 401),
            (Verdict::Nameless, 400),
            (Verdict::Ping, 200),
            (Verdict::Other, 200),
        ] {
            let answer = receive(verdict, &Shared(failing.clone()), &Shared(failing.clone())).await;
            assert_eq!(answer.expect("an answer").status(), status);
        }
        assert_eq!(failing.fates.lock().expect("a lock").len(), 10, "nothing was asked");
    }
}
