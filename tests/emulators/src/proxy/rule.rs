//! Which requests meet which fault.

use std::time::Duration;

use super::message::Request;

/// What happens to a request instead of what should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is carried out, and nobody hears of it.
    LoseResponse,
    /// The connection breaks before it is carried out.
    Reset,
    /// It is carried out, and only so many bytes of the answer arrive.
    CutResponse(usize),
    /// It is carried out after a while.
    Slow(Duration),
    /// It is not carried out but refused.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The service's code.
        code: &'static str,
    },
}

/// Applies a fault to some requests.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    method: Option<&'static str>,
    containing: Option<String>,
    after: u32,
    times: u32,
}

impl Rule {
    /// Applies a fault once, to the next request.
    pub const fn once(fault: Fault) -> Self {
        Self { fault, method: None, containing: None, after: 0, times: 1 }
    }

    /// Applies a fault to every request.
    pub const fn always(fault: Fault) -> Self {
        Self { fault, method: None, containing: None, after: 0, times: u32::MAX }
    }

    /// Only so many times.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Only to requests of a method.
    #[must_use]
    pub const fn method(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }

    /// Only to requests whose path, query, or operation (`AmazonSQS.SendMessage`) contains a text.
    #[must_use]
    pub fn containing(mut self, text: impl Into<String>) -> Self {
        self.containing = Some(text.into());
        self
    }

    /// Lets so many of the requests that fit go through first.
    #[must_use]
    pub const fn after(mut self, requests: u32) -> Self {
        self.after = requests;
        self
    }

    /// The fault, if it applies to a request. Counts.
    pub(super) fn apply(&mut self, request: &Request) -> Option<Fault> {
        let fits = self.method.is_none_or(|method| method == request.method)
            && self.containing.as_ref().is_none_or(|text| {
                request.target.contains(text) || request.header("x-amz-target").is_some_and(|name| name.contains(text))
            });
        if !fits || self.times == 0 {
            return None;
        }
        if self.after > 0 {
            self.after -= 1;
            return None;
        }
        if self.times < u32::MAX {
            self.times -= 1;
        }
        Some(self.fault)
    }
}
