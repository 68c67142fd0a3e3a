//! The function behind a Function URL: takes what a code host tells, and lets agents know.
//!
//! Requests come as events of payload format 2.0 (AWS Lambda Developer Guide, "Invoking Lambda function URLs", 2026-11).
//! Names of headers are in lower case there, and values of one that came more than once are joined, so that neither is a
//! signature.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use aws_smithy_types::base64;
use liminal_schemas::aws::names;
use liminal_schemas::aws::variables;
use liminal_schemas::definition::secret_reference;
use liminal_schemas::message::PushMessage;
use liminal_schemas::release::SecretRef;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use super::clients::Clients;
use super::console;
use super::environment::Served;
use super::environment::VariableError;
use super::environment::Variables;
use super::function::Function;
use super::function::FunctionError;
use super::function::Handling;
use super::function::Invocation;
use super::queue::SqsQueue;
use super::secrets::Secrets;
use super::store::S3Store;
use crate::causes::in_full;
use crate::ports::Queue as _;
use crate::webhook::Answer;
use crate::webhook::DeliveryId;
use crate::webhook::Headers;
use crate::webhook::Limit;
use crate::webhook::Messenger;
use crate::webhook::SigningSecret;
use crate::webhook::Verdict;
use crate::webhook::judge;
use crate::webhook::receive;

/// The largest body, in bytes: what Lambda hands over at most (quota "Invocation payload", 6 MB, 2026-11). The host is
/// refused by Lambda itself what is larger.
const LIMIT: Limit = Limit(6 << 20);

/// How long the value of the secret is kept, so that a new one counts soon and a delivery costs no request for it.
const SECRET_AGE: Duration = Duration::from_mins(5);

/// How long before its end an invocation gives up on the store and the queue, so that the host gets an answer.
const MARGIN: Duration = Duration::from_secs(1);

/// What of an event matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default)]
    raw_path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    request_context: RequestContext,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
struct RequestContext {
    http: Http,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

impl Headers for Event {
    fn header(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_bytes())
    }
}

impl Event {
    /// The body as it came over the wire; none when it is longer than the limit, or no base64. The length is looked at
    /// before anything else.
    fn bytes(&mut self) -> Result<Vec<u8>, Reply> {
        let body = self.body.take().unwrap_or_default();
        if !self.is_base64_encoded {
            return Ok(body.into_bytes());
        }
        if body.len() / 4 * 3 > LIMIT.0 + 2 {
            return Err(Reply::of(Answer::TooLong(LIMIT)));
        }
        base64::decode(&body).map_err(|_| Reply { status: 400, text: "the body is no base64".to_owned() })
    }
}

/// What is answered.
struct Reply {
    status: u16,
    text: String,
}

impl Reply {
    fn of(answer: Answer) -> Self {
        Self { status: answer.status(), text: answer.text() }
    }

    fn document(&self) -> Value {
        json!({
            "statusCode": self.status,
            "headers": { "content-type": "text/plain; charset=utf-8" },
            "body": format!("{}\n", self.text),
        })
    }
}

/// The function behind a Function URL.
pub struct ReceiveFunction {
    store: S3Store,
    queue: DeliveriesQueue,
    clients: Clients,
    reference: SecretRef,
    secret: Mutex<Option<(Instant, SigningSecret)>>,
}

/// The queue that agents wait at.
struct DeliveriesQueue {
    queue: SqsQueue,
    name: String,
}

impl Messenger for DeliveriesQueue {
    async fn tell(&self, delivery: &DeliveryId) -> Result<(), Box<dyn Error + Send + Sync>> {
        let body = PushMessage::new(delivery.as_str()).body();
        Ok(self.queue.send(&self.name, &body, Duration::ZERO).await?)
    }
}

impl ReceiveFunction {
    /// The function that the variables of its process describe.
    ///
    /// # Errors
    /// When one is missing, or makes no sense.
    pub fn new(clients: &Clients, variables: &Variables) -> Result<Self, FunctionError> {
        let served = Served::from_variables(variables)?;
        let variable = variables::SIGNING_SECRET;
        let reference = secret_reference(variables.required(variable)?)
            .map_err(|source| VariableError::Secret { variable, source })?;
        let store = S3Store::new(clients, served.place.clone());
        let name = names::deliveries_queue(&served.project, &served.environment);
        let queue = DeliveriesQueue { queue: SqsQueue::new(clients), name };
        Ok(Self { store, queue, clients: clients.clone(), reference, secret: Mutex::default() })
    }

    async fn answer(&self, mut event: Event) -> Reply {
        if event.request_context.http.method != "POST" {
            return Reply { status: 405, text: "deliveries come by POST".to_owned() };
        }
        if !matches!(event.raw_path.as_str(), "" | "/") {
            return Reply { status: 404, text: "deliveries go to /".to_owned() };
        }
        let body = match event.bytes() {
            Ok(body) => body,
            Err(reply) => return reply,
        };
        let secret = match self.secret().await {
            Ok(secret) => secret,
            Err(reason) => {
                console::say(&reason);
                return Reply::of(Answer::SecretUnread);
            }
        };
        let verdict = judge(&secret, LIMIT, &event, &body);
        if let Verdict::Push(delivery) = &verdict {
            console::say(&format!("a push, by delivery {}", delivery.as_str()));
        }
        Reply::of(receive(verdict, &self.store, &self.queue).await.unwrap_or_else(|error| {
            console::say(&in_full(&error));
            Answer::NotPassedOn
        }))
    }

    /// The secret, as it was at most [`SECRET_AGE`] ago.
    async fn secret(&self) -> Result<SigningSecret, String> {
        if let Some((at, secret)) = &*self.secret.lock().unwrap_or_else(PoisonError::into_inner)
            && at.elapsed() < SECRET_AGE
        {
            return Ok(secret.clone());
        }
        let secrets = Secrets::new(&self.clients, Variables::default());
        let found = secrets.find(&self.reference).await.map_err(|failure| failure.message)?;
        let found = found.ok_or_else(|| format!("there is no secret {}", self.reference))?;
        let secret = SigningSecret::new(&found).map_err(|error| format!("{}: {error}", self.reference))?;
        *self.secret.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), secret.clone()));
        Ok(secret)
    }
}

impl Function for ReceiveFunction {
    fn handle(&self, event: Value, invocation: Invocation) -> Handling<'_> {
        Box::pin(async move {
            let event: Event = serde_json::from_value(event).map_err(FunctionError::Event)?;
            let patience = invocation.left().saturating_sub(MARGIN);
            let reply = tokio::time::timeout(patience, self.answer(event)).await.unwrap_or_else(|_| {
                console::say("neither the store nor the queue has answered in time");
                Reply::of(Answer::NotPassedOn)
            });
            Ok(reply.document())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(body: &str, encoded: bool) -> Event {
        let event = json!({
            "version": "2.0", "rawPath": "/", "headers": { "x-github-event": "push" }, "body": body,
            "isBase64Encoded": encoded, "requestContext": { "http": { "method": "POST", "path": "/" } },
        });
        serde_json::from_value(event).expect("an event")
    }

    fn status(outcome: Result<Vec<u8>, Reply>) -> u16 {
        outcome.map_or_else(|reply| reply.status, |_| 200)
    }

    #[test]
    fn a_body_is_what_came_over_the_wire() {
        assert_eq!(event("{\"a\": \"é\"}", false).bytes().ok(), Some("{\"a\": \"é\"}".as_bytes().to_vec()));
        assert_eq!(event("cGF5bG9hZD0lN0I=", true).bytes().ok(), Some(b"payload=%7B".to_vec()));
        assert_eq!(status(event("no base64!", true).bytes()), 400);
    }

    #[test]
    fn a_body_that_is_too_long_is_not_decoded() {
        assert_eq!(status(event(&"!".repeat((LIMIT.0 + 4) / 3 * 4 + 4), true).bytes()), 413);
        let longest = base64::encode(vec![0; LIMIT.0]);
        assert_eq!(event(&longest, true).bytes().ok().map(|bytes| bytes.len()), Some(LIMIT.0));
    }
}
