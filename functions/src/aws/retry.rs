//! Trying again where the SDK does not: answers that say "somebody else is writing this very object", and bodies that
//! break off after a good beginning.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_s3::config::ConfigBag;
use aws_sdk_s3::config::Intercept;
use aws_sdk_s3::config::RuntimeComponents;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::error::BoxError;

use crate::clock::SystemClock;
use crate::clock::SystemNonces;
use crate::ports::Clock as _;
use crate::ports::Nonces as _;

/// How often a write is tried that meets another one each time. With the pauses below: some three seconds.
pub(crate) const CONFLICT_TRIES: u32 = 8;

/// How often a body is read that breaks off each time.
pub(crate) const BODY_TRIES: u32 = 4;

const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Waits before another try: twice as long each time at most, and by chance, so that rivals part.
pub(crate) async fn pause(failed_tries: u32) {
    let longest = FIRST_PAUSE.saturating_mul(1 << failed_tries.min(10)).min(LONGEST_PAUSE);
    SystemClock.sleep(longest.mul_f64(SystemNonces.fraction())).await;
}

/// Counts how often the SDK sent a request. After more than one the first may have been carried out, with its response
/// lost: a refusal of the last one may then be owed to our own write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sendings(Arc<AtomicU32>);

impl Sendings {
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for Sendings {
    fn name(&self) -> &'static str {
        "Sendings"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
