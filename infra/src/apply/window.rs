//! A bounded number of futures under way at once, within one task.

use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// Futures under way.
pub struct Window<'a, T> {
    running: Vec<Pin<Box<dyn Future<Output = T> + Send + 'a>>>,
}

impl<'a, T> Window<'a, T> {
    /// None yet.
    pub fn new() -> Self {
        Self { running: Vec::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Begins another.
    pub fn add(&mut self, future: impl Future<Output = T> + Send + 'a) {
        self.running.push(Box::pin(future));
    }

    /// The output of whichever is done first; none when nothing is under way.
    pub async fn next(&mut self) -> Option<T> {
        if self.running.is_empty() {
            return None;
        }
        poll_fn(|context| {
            for index in 0..self.running.len() {
                if let Poll::Ready(output) = self.running[index].as_mut().poll(context) {
                    drop(self.running.remove(index));
                    return Poll::Ready(Some(output));
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl<T> Default for Window<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The outputs of futures, in their order, with so many of them under way at once.
pub async fn all<'a, T, F>(futures: impl IntoIterator<Item = F>, most: usize) -> Vec<T>
where
    T: Send + 'a,
    F: Future<Output = T> + Send + 'a,
{
    let mut waiting = futures.into_iter().enumerate();
    let mut window = Window::new();
    let mut outputs: Vec<Option<T>> = Vec::new();
    loop {
        while window.len() < most.max(1)
            && let Some((index, future)) = waiting.next()
        {
            outputs.push(None);
            window.add(async move { (index, future.await) });
        }
        let Some((index, output)) = window.next().await else { break };
        if let Some(place) = outputs.get_mut(index) {
            *place = Some(output);
        }
    }
    outputs.into_iter().flatten().collect()
}
