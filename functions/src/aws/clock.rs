//! The clock of the store: what workers on different machines agree on.
//!
//! Leases are written by one worker and judged by another. Each machine's own clock may be wrong, but every answer of the
//! store says what time it is there (`Date`, RFC 9110 §6.6.1), so that all workers of an environment can go by one clock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_s3::config::ConfigBag;
use aws_sdk_s3::config::Intercept;
use aws_sdk_s3::config::RuntimeComponents;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::error::BoxError;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::Storable;
use aws_smithy_types::config_bag::StoreReplace;
use aws_smithy_types::date_time::Format;
use liminal_schemas::time::UtcTime;

use crate::clock::SystemClock;
use crate::ports::Clock;

/// `Date` counts whole seconds: what it says was so at some time within the second that follows, in milliseconds.
const DATE_RESOLUTION: i64 = 1000;

/// The machine's clock, corrected by as little as agrees with what the store said. Copies share what they learned.
#[derive(Clone)]
pub struct StoreClock {
    machine: fn() -> UtcTime,
    correction: Arc<AtomicI64>,
}

impl StoreClock {
    /// A clock that has heard nothing from the store yet, and goes by the machine's.
    pub fn new(machine: fn() -> UtcTime) -> Self {
        Self { machine, correction: Arc::default() }
    }

    /// Learns from an answer that says `date`, to a request that left and was answered at these moments of the machine's clock. The
    /// store's clock is then ahead of it by `date - answered` at least and by `date + 1 s - left` at most.
    fn learn(&self, left: UtcTime, answered: UtcTime, date: UtcTime) {
        let least = date.millis() - answered.millis();
        let most = date.millis() + DATE_RESOLUTION - left.millis();
        if least <= most {
            let known = self.correction.load(Ordering::Relaxed);
            self.correction.store(known.clamp(least, most), Ordering::Relaxed);
        }
    }
}

impl Default for StoreClock {
    fn default() -> Self {
        Self::new(|| SystemClock.now())
    }
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreClock").field("correction", &self.correction).finish_non_exhaustive()
    }
}

impl Clock for StoreClock {
    fn now(&self) -> UtcTime {
        (self.machine)().plus_millis(self.correction.load(Ordering::Relaxed))
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

/// When the machine's clock saw a request leave.
#[derive(Clone, Copy, Debug)]
struct Left(UtcTime);

impl Storable for Left {
    type Storer = StoreReplace<Self>;
}

impl Intercept for StoreClock {
    fn name(&self) -> &'static str {
        "StoreClock"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        bag.interceptor_state().store_put(Left((self.machine)()));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok()?.to_millis().ok());
        if let (Some(date), Some(Left(left))) = (date, bag.load::<Left>()) {
            self.learn(*left, (self.machine)(), UtcTime::from_millis(date));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> UtcTime {
        UtcTime::from_millis(1_800_000_000_000)
    }

    #[test]
    fn a_clock_that_agrees_with_the_store_stays_as_it_is() {
        let clock = StoreClock::new(noon);
        clock.learn(noon().plus_millis(-80), noon(), noon().plus_millis(-600));
        assert_eq!(clock.now(), noon());
    }

    #[test]
    fn a_clock_that_is_ten_minutes_off_comes_within_a_second_of_the_store() {
        for minutes in [-10, 10] {
            let clock = StoreClock::new(noon);
            let there = noon().plus_millis(minutes * 60_000);
            clock.learn(noon().plus_millis(-40), noon(), there);
            let off = clock.now().millis() - there.millis();
            assert!((0..=1040).contains(&off), "{off} ms");
        }
    }

    #[test]
    fn an_answer_that_took_long_says_little_and_moves_the_clock_by_as_little() {
        let clock = StoreClock::new(noon);
        clock.learn(noon().plus_millis(-20_000), noon(), noon().plus_millis(-15_000));
        assert_eq!(clock.now(), noon());
    }

    #[test]
    fn copies_share_what_one_of_them_learned() {
        let clock = StoreClock::new(noon);
        clock.clone().learn(noon(), noon(), noon().plus_millis(60_000));
        assert_eq!(clock.now(), noon().plus_millis(60_000));
    }
}
