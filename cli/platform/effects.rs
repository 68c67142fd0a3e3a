//! The store and queue that effects go through. In builds with the feature `failpoints` they can make the process abort
//! at a chosen effect, so that tests kill it everywhere; in all others they are the plain ones.

#[cfg(feature = "failpoints")]
mod chosen {
    use liminal_functions::local::crash::Crash;
    use liminal_functions::local::crash::Crashing;
    use liminal_functions::local::queue::SqliteQueue;
    use liminal_functions::local::store::DirectoryStore;

    use crate::env_vars;

    pub(crate) type EffectStore = Crashing<DirectoryStore>;
    pub(crate) type EffectQueue = Crashing<SqliteQueue>;

    /// Counts the effects of this process.
    #[derive(Clone, Debug)]
    pub(crate) struct Effects(Crash);

    impl Effects {
        pub(crate) fn new() -> Self {
            Self(Crash::new(env_vars::read(env_vars::LIMINAL_CRASH_AT).and_then(|text| text.parse().ok())))
        }

        pub(crate) fn store(&self, store: DirectoryStore) -> EffectStore {
            Crashing::new(store, self.0.clone())
        }

        pub(crate) fn queue(&self, queue: SqliteQueue) -> EffectQueue {
            Crashing::new(queue, self.0.clone())
        }
    }

    /// The plain store below.
    pub(crate) fn plain(store: &EffectStore) -> &DirectoryStore {
        store.inner()
    }
}

#[cfg(not(feature = "failpoints"))]
mod chosen {
    use liminal_functions::local::queue::SqliteQueue;
    use liminal_functions::local::store::DirectoryStore;

    pub(crate) type EffectStore = DirectoryStore;
    pub(crate) type EffectQueue = SqliteQueue;

    /// Lets every effect through.
    #[derive(Clone, Debug)]
    pub(crate) struct Effects;

    impl Effects {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) const fn store(&self, store: DirectoryStore) -> EffectStore {
            store
        }

        pub(crate) const fn queue(&self, queue: SqliteQueue) -> EffectQueue {
            queue
        }
    }

    /// The plain store below.
    pub(crate) const fn plain(store: &EffectStore) -> &DirectoryStore {
        store
    }
}

pub(crate) use chosen::EffectQueue;
pub(crate) use chosen::EffectStore;
pub(crate) use chosen::Effects;
pub(crate) use chosen::plain;
