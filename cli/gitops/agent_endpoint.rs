//! What an agent answers over HTTP: how it is, its metrics, and deliveries of a code host.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use liminal_functions::clock::SystemClock;
use liminal_functions::ports::Clock as _;

use super::agent_status::AgentStatus;
use super::http;
use super::http::Handler;
use super::http::Request;
use super::http::Response;
use super::webhook::MAX_BODY_BYTES;
use super::webhook::Webhook;
use crate::app::Context;
use crate::error::CliError;
use crate::error::While as _;
use crate::exit_code::ExitCode;

/// The status, shared with those who ask for it.
pub(super) struct Telling {
    pub(super) status: Mutex<AgentStatus>,
    /// How long the remote may go without being fetched, in milliseconds.
    pub(super) patience_millis: i64,
}

impl Telling {
    /// What the agent knows of itself.
    pub(super) fn lock(&self) -> MutexGuard<'_, AgentStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells of the agent on an address, which is written down in its home: port 0 stands for any that is free.
pub(super) async fn listen(
    context: &Context,
    address: SocketAddr,
    home: &Path,
    endpoint: Arc<Endpoint>,
) -> Result<(), CliError> {
    if !address.ip().is_loopback() {
        return Err(CliError::new(format!("{address} is no address of this machine alone"))
            .hint("what is told here is neither encrypted nor behind a password: write 127.0.0.1:9464")
            .exit(ExitCode::Usage));
    }
    let failed = || format!("{address} can not be listened on");
    let listener = tokio::net::TcpListener::bind(address).await.or_failed(failed)?;
    let bound = listener.local_addr().or_failed(failed)?;
    let receives = if endpoint.webhook.is_some() { "POST /, " } else { "" };
    context.printer.say(&format!("Listening on http://{bound}: {receives}/healthz, /metrics"));
    let file = home.join("agent.address");
    std::fs::write(&file, format!("{bound}\n")).or_failed(|| format!("{} can not be written", file.display()))?;
    tokio::spawn(http::serve(listener, endpoint));
    Ok(())
}

/// What is answered over HTTP.
pub(super) struct Endpoint {
    pub(super) status: Arc<Telling>,
    /// The receiver of deliveries, where a code host tells of pushes.
    pub(super) webhook: Option<Webhook>,
}

impl Endpoint {
    /// Waits until somebody tells of a push; for ever where nobody does.
    pub(super) async fn told(&self) {
        match &self.webhook {
            Some(webhook) => webhook.told().await,
            None => std::future::pending().await,
        }
    }
}

impl Handler for Endpoint {
    fn body_limit(&self) -> usize {
        if self.webhook.is_some() { MAX_BODY_BYTES } else { 0 }
    }

    async fn answer(&self, request: Request) -> Response {
        if let Some(webhook) = self.webhook.as_ref().filter(|_| request.method == "POST" && request.path == "/") {
            return webhook.receive(&request).await;
        }
        if request.method != "GET" && request.method != "HEAD" {
            return Response::text(405, "only GET is answered");
        }
        match request.path.as_str() {
            "/healthz" => match self.status.lock().problem(SystemClock.now(), self.status.patience_millis) {
                None => Response::text(200, "ok"),
                Some(problem) => Response::text(503, problem),
            },
            "/metrics" => Response {
                status: 200,
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                body: self.status.lock().metrics(),
            },
            _ => Response::text(404, "there is /healthz and /metrics"),
        }
    }
}
