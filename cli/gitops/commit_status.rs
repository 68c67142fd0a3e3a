//! What became of a commit, told to the code host that shows it beside the commit.

use std::time::Duration;

use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::Limited;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use liminal_functions::causes::in_full;

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest description, in characters: "Create a commit status" of GitHub's REST API, 2022-11-28.
const MAX_DESCRIPTION_CHARS: usize = 140;

/// The most that is read of an answer, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The version of GitHub's API that is spoken.
const API_VERSION: &str = "2022-11-28";

/// What became of a commit, as hosts have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is applied.
    Success,
    /// It is not taken.
    Failure,
    /// It waits for somebody.
    Pending,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Pending => "pending",
        }
    }
}

/// A status of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitStatus {
    /// The commit.
    pub(crate) commit: String,
    /// What became of it.
    pub(crate) state: State,
    /// The same for people.
    pub(crate) description: String,
    /// What the status is of: `liminal/staging`.
    pub(crate) context: String,
}

/// Why a status was not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatusError {
    /// The host can not be reached.
    #[error("{host} can not be reached: {problem}")]
    Unreachable {
        /// The address.
        host: String,
        /// Why.
        problem: String,
    },
    /// The host refused.
    #[error("{host} answered {status}: {message}")]
    Refused {
        /// The address.
        host: String,
        /// Its answer.
        status: u16,
        /// What it said.
        message: String,
    },
}

/// A host that shows statuses of commits.
pub(crate) trait StatusHost {
    /// Tells what became of a commit.
    fn tell(&self, status: &CommitStatus) -> impl Future<Output = Result<(), StatusError>> + Send;
}

/// GitHub, or a server of one's own that speaks its API.
pub(crate) struct GitHub {
    api: String,
    repository: String,
    token: String,
    client: Client<HttpsConnector<HttpConnector>, Full<hyper::body::Bytes>>,
}

impl GitHub {
    /// A repository `OWNER/NAME` behind an API.
    pub(crate) fn new(api: &str, repository: &str, token: String) -> Result<Self, CliError> {
        let plain = |part: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && part.len() <= 100 && part.chars().all(fits) && !part.starts_with('.')
        };
        let is_repository = repository.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name));
        if !is_repository {
            return Err(CliError::new(format!("`{}` is no repository of GitHub", repository.escape_debug()))
                .hint("write OWNER/NAME")
                .exit(ExitCode::Usage));
        }
        let roots =
            HttpsConnectorBuilder::new().with_provider_and_native_roots(rustls::crypto::ring::default_provider());
        let roots = roots.map_err(|error| CliError::because("the machine has no certificates to trust", &error))?;
        let client = Client::builder(TokioExecutor::new()).build(roots.https_or_http().enable_http1().build());
        let api = api.trim_end_matches('/').to_owned();
        Ok(Self { api, repository: repository.to_owned(), token, client })
    }
}

impl StatusHost for GitHub {
    async fn tell(&self, status: &CommitStatus) -> Result<(), StatusError> {
        let address = format!("{}/repos/{}/statuses/{}", self.api, self.repository, status.commit);
        let description: String = status.description.chars().take(MAX_DESCRIPTION_CHARS).collect();
        let body = serde_json::json!({
            "state": status.state.as_str(),
            "description": description,
            "context": status.context,
        });
        let unreachable = |problem: String| StatusError::Unreachable { host: self.api.clone(), problem };
        let request = hyper::Request::post(&address)
            .header("accept", "application/vnd.github+json")
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header("user-agent", concat!("liminal/", env!("CARGO_PKG_VERSION")))
            .header("x-github-api-version", API_VERSION)
            .body(Full::new(hyper::body::Bytes::from(body.to_string())))
            .map_err(|error| unreachable(error.to_string()))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| unreachable(in_full(&error)))?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
            let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
            Ok::<_, StatusError>((status, body))
        };
        let answered = tokio::time::timeout(PATIENCE, exchange).await;
        let (code, body) =
            answered.map_err(|_| unreachable(format!("no answer within {} s", PATIENCE.as_secs())))??;
        if (200..300).contains(&code) {
            return Ok(());
        }
        let said: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let message = said.and_then(|said| Some(said.get("message")?.as_str()?.to_owned())).unwrap_or_default();
        Err(StatusError::Refused { host: self.api.clone(), status: code, message })
    }
}
