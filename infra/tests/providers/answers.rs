//! Answers that no emulator gives, by an HTTP client that asks a test instead of a network.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::HttpClient;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;
use serde_json::json;

use crate::world::config;

/// A call as AWS would see it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `CreateQueue` where the protocol names it, else method and path: `POST /2015-03-31/functions`.
    pub(crate) operation: String,
    pub(crate) body: String,
}

impl Call {
    fn of(request: &HttpRequest) -> Self {
        let body = request.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
        let target = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
        let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
        let path = request.uri().split_once("amazonaws.com").map_or("", |(_, path)| path);
        let path = path.split('?').next().unwrap_or_default();
        let operation = match target.or(action) {
            Some(operation) => operation.to_owned(),
            None => format!("{} {path}", request.method()),
        };
        Self { operation, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

/// What AWS answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    /// None for a connection that breaks before the answer.
    body: Option<String>,
}

impl Answer {
    pub(crate) fn json(body: &Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: Some(body.to_string()) }
    }

    pub(crate) fn xml(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: Some(body.to_owned()) }
    }

    /// A refusal in the way of the services that speak JSON.
    pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Self {
        let headers = vec![("x-amzn-errortype", code.to_owned())];
        let body = json!({ "__type": code, "message": message, "Message": message });
        Self { status, headers, body: Some(body.to_string()) }
    }

    /// No answer, although the call was carried out.
    pub(crate) fn lost() -> Self {
        Self { status: 0, headers: Vec::new(), body: None }
    }
}

/// Answers calls, and remembers them.
pub(crate) struct Answers {
    client: SharedHttpClient,
    seen: Arc<Mutex<Vec<Call>>>,
}

impl Answers {
    pub(crate) fn config(&self) -> SdkConfig {
        let config = config("http://unused", "eu-central-1");
        let builder = config.to_builder().http_client(self.client.clone());
        // As on AWS itself, so that paths are what they are there.
        let mut builder = builder;
        builder.set_endpoint_url(None);
        builder.build()
    }

    /// How often an operation was called.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.seen().iter().filter(|call| call.operation == operation).count()
    }

    pub(crate) fn seen(&self) -> Vec<Call> {
        self.seen.lock().expect("a list").clone()
    }
}

/// Lets a function answer all calls.
pub(crate) fn answering(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Answers {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let connector = Connector { answer: Arc::new(answer), seen: Arc::clone(&seen) };
    Answers { client: SharedHttpClient::new(connector), seen }
}

#[derive(Clone)]
struct Connector {
    answer: Arc<dyn Fn(&Call) -> Answer + Send + Sync>,
    seen: Arc<Mutex<Vec<Call>>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = Call::of(&request);
        self.seen.lock().expect("a list").push(call.clone());
        let answer = (self.answer)(&call);
        let Some(body) = answer.body else {
            return HttpConnectorFuture::ready(Err(ConnectorError::io("the connection was reset".into())));
        };
        let status = answer.status.try_into().expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        for (name, value) in answer.headers {
            response.headers_mut().insert(name, value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
