//! What effects go through. In builds with the feature `failpoints` the process can be made to abort at a chosen effect,
//! so that tests kill it everywhere; in all others effects go straight through.

#[cfg(feature = "failpoints")]
mod chosen {
    use liminal_functions::local::crash::Crash;
    use liminal_functions::local::crash::Crashing;

    use crate::env_vars;

    pub(crate) type EffectStore<S> = Crashing<S>;
    pub(crate) type EffectQueue<Q> = Crashing<Q>;

    /// Counts the effects of this process.
    #[derive(Clone, Debug)]
    pub(crate) struct Effects(Crash);

    impl Effects {
        pub(crate) fn new() -> Self {
            Self(Crash::new(env_vars::read(env_vars::LIMINAL_CRASH_AT).and_then(|text| text.parse().ok())))
        }

        pub(crate) fn of<T>(&self, port: T) -> Crashing<T> {
            Crashing::new(port, self.0.clone())
        }

        /// An effect that goes through no port.
        pub(crate) async fn around<R>(&self, effect: impl Future<Output = R> + Send) -> R {
            self.of(()).effect(effect).await
        }
    }

    /// The plain store below.
    pub(crate) fn plain<S>(store: &EffectStore<S>) -> &S {
        store.inner()
    }
}

#[cfg(not(feature = "failpoints"))]
mod chosen {
    pub(crate) type EffectStore<S> = S;
    pub(crate) type EffectQueue<Q> = Q;

    /// Lets every effect through.
    #[derive(Clone, Debug)]
    pub(crate) struct Effects;

    impl Effects {
        pub(crate) const fn new() -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "the counterpart for tests counts here")]
        pub(crate) fn of<T>(&self, port: T) -> T {
            port
        }

        /// An effect that goes through no port.
        pub(crate) async fn around<R>(&self, effect: impl Future<Output = R> + Send) -> R {
            effect.await
        }
    }

    /// The plain store below.
    pub(crate) const fn plain<S>(store: &EffectStore<S>) -> &S {
        store
    }
}

pub(crate) use chosen::EffectQueue;
pub(crate) use chosen::EffectStore;
pub(crate) use chosen::Effects;
pub(crate) use chosen::plain;
