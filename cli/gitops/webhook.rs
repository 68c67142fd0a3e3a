//! Deliveries of a code host that come to this machine, over HTTP.

use std::error::Error;

use liminal_functions::causes::in_full;
use liminal_functions::local::store::DirectoryStore;
use liminal_functions::webhook;
use liminal_functions::webhook::Answer;
use liminal_functions::webhook::DeliveryId;
use liminal_functions::webhook::Headers;
use liminal_functions::webhook::Limit;
use liminal_functions::webhook::Messenger;
use liminal_functions::webhook::SigningSecret;
use tokio::sync::Notify;

use super::http::Request;
use super::http::Response;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::printer::Printer;

/// The largest body, in bytes: what GitHub sends at most ("Webhook events and payloads", 2026-11).
pub(crate) const MAX_BODY_BYTES: usize = 25 << 20;

/// A receiver of deliveries.
pub(crate) struct Webhook {
    secret: SigningSecret,
    /// Where deliveries are written down, each once.
    seen: DirectoryStore,
    wake: Wake,
    printer: Printer,
}

/// Wakes the agent of this process.
#[derive(Default)]
struct Wake(Notify);

impl Messenger for Wake {
    /// Several deliveries that come while a pass is under way are one pass.
    async fn tell(&self, _: &DeliveryId) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.0.notify_one();
        Ok(())
    }
}

impl Headers for Request {
    fn header(&self, name: &str) -> Option<&[u8]> {
        Self::header(self, name)
    }
}

impl Webhook {
    /// A receiver with a secret, which writes deliveries down in a store.
    pub(crate) fn new(secret: &str, seen: DirectoryStore, printer: Printer) -> Result<Self, CliError> {
        let secret = SigningSecret::new(secret).map_err(|error| {
            CliError::new(error.to_string()).hint("`openssl rand -hex 32` makes a good one").exit(ExitCode::Usage)
        })?;
        Ok(Self { secret, seen, wake: Wake::default(), printer })
    }

    /// Answers a delivery.
    pub(crate) async fn receive(&self, request: &Request) -> Response {
        let verdict = webhook::judge(&self.secret, Limit(MAX_BODY_BYTES), request, &request.body);
        let answer = webhook::receive(verdict, &self.seen, &self.wake).await.unwrap_or_else(|error| {
            self.printer.warn(&in_full(&error));
            Answer::NotPassedOn
        });
        Response::text(answer.status(), answer.text())
    }

    /// Waits until somebody tells of a push.
    pub(super) async fn told(&self) {
        self.wake.0.notified().await;
    }
}
