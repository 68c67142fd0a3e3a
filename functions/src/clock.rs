//! The machine's clock, and its source of random values.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use liminal_schemas::time::UtcTime;
use uuid::Uuid;

use crate::ports::Clock;
use crate::ports::Nonces;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UtcTime {
        #[expect(clippy::disallowed_methods, reason = "this is the clock's adapter")]
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UtcTime::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The machine's source of random values.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNonces;

impl Nonces for SystemNonces {
    fn nonce(&self) -> String {
        draw().simple().to_string()
    }

    fn fraction(&self) -> f64 {
        let bits = u32::try_from(draw().as_u128() & u128::from(u32::MAX)).unwrap_or(0);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

fn draw() -> Uuid {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter of the source of random values")]
    Uuid::new_v4()
}
