//! Drives futures in a simulated world: time passes when nobody has anything to do.

use std::future::Future;
use std::pin::Pin;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use super::world::World;

/// Something that goes on beside what a test waits for.
pub(crate) type Background = Pin<Box<dyn Future<Output = ()>>>;

/// More polls than any test takes: beyond it, something hangs.
const MAX_POLLS: u32 = 2_000_000;

/// Waits for a future while others go on.
pub(crate) fn until<T>(world: &World, awaited: impl Future<Output = T>, mut others: Vec<Background>) -> T {
    let mut awaited = pin!(awaited);
    let context = &mut Context::from_waker(Waker::noop());
    for _ in 0..MAX_POLLS {
        let before = world.activity();
        if let Poll::Ready(output) = awaited.as_mut().poll(context) {
            return output;
        }
        let count = others.len();
        others.retain_mut(|other| other.as_mut().poll(context).is_pending());
        let changed = others.len() < count;
        assert!(changed || world.activity() != before || world.pass_time(), "nobody does anything, and nobody waits");
    }
    panic!("what is awaited has not happened after {MAX_POLLS} polls");
}
