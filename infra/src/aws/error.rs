//! What AWS says when it refuses: the call, the thing it was about, the reason and what may help.

use aws_sdk_sts::config::http::HttpResponse;
use aws_sdk_sts::error::DisplayErrorContext;
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::RequestId as _;
use liminal_schemas::state::ResourceAddress;

/// The most of an answer that is shown, in characters: policies can make answers long.
const MAX_MESSAGE: usize = 1000;

/// A call that AWS refused, or that got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{action} of {subject}: {message}{}{}", .request.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default(), self.hint())]
pub struct CallError {
    /// The permission that the call needs: `lambda:CreateFunction`.
    pub action: &'static str,
    /// What it was about, by name.
    pub subject: String,
    /// The code of the refusal; none when there was no answer.
    pub code: Option<String>,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// What AWS or the network said.
    pub message: String,
    /// What AWS's support asks for.
    pub request: Option<String>,
}

impl CallError {
    /// Whether the code is one of some.
    pub(super) fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// Whether what was asked for is not there.
    pub(super) fn is_absent(&self) -> bool {
        const CODES: [&str; 7] = [
            "ResourceNotFoundException",
            "NoSuchEntity",
            "NoSuchEntityException",
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "NoSuchBucket",
            "NotFoundException",
        ];
        self.is(&CODES)
    }

    /// Whether whoever calls may not.
    pub(super) fn is_denied(&self) -> bool {
        const DENIED: [&str; 6] = [
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "AuthorizationError",
            "AuthorizationErrorException",
            "UnauthorizedException",
        ];
        self.is(&DENIED)
    }

    fn hint(&self) -> String {
        if self.code.is_none() {
            return "; is the network there, and does AWS_ENDPOINT_URL name what you want?".to_owned();
        }
        if self.is_denied() {
            return format!("; whoever deploys needs the permission {}", self.action);
        }
        String::new()
    }
}

/// Turns what an SDK says into a [`CallError`].
pub(super) fn failed<E>(action: &'static str, subject: &str) -> impl FnOnce(SdkError<E, HttpResponse>) -> CallError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let subject = subject.to_owned();
    move |error| {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let said = error.as_service_error().and_then(ProvideErrorMetadata::code).map(str::to_owned);
        let code = said.clone().or_else(|| status.map(|status| format!("HTTP {status}")));
        let message = match (said, &code, error.message()) {
            (Some(said), _, Some(message)) => format!("{said}: {message}"),
            (Some(said), _, None) => said,
            (None, Some(code), _) => format!("{code}, which can not be read: {}", DisplayErrorContext(&error)),
            (None, None, _) => format!("no answer: {}", DisplayErrorContext(&error)),
        };
        let message = message.chars().take(MAX_MESSAGE).collect();
        let request = error.request_id().map(str::to_owned);
        CallError { action, subject, code, status, message, request }
    }
}

/// Why a resource is not as it is wanted.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// AWS refused a call.
    #[error(transparent)]
    Call(Box<CallError>),
    /// AWS refused a call, for longer than such refusals last.
    #[error("{last}; tried for {seconds} s, which is longer than {expected} takes")]
    Patience {
        /// What was waited for.
        expected: &'static str,
        /// How long, in seconds.
        seconds: u64,
        /// The last refusal.
        last: Box<CallError>,
    },
    /// A role can not be used, for longer than a new one takes to become known.
    #[error(
        "role {role} can not be used, and a new role never takes {seconds} s: {last}; compare its trust policy and its permissions with those in `liminal plan`"
    )]
    RoleNotUsable {
        /// The role, by ARN.
        role: String,
        /// How long it was tried, in seconds.
        seconds: u64,
        /// What AWS says.
        last: Box<CallError>,
    },
    /// The permission boundary of a role is not in the account.
    #[error(
        "role {role} is to carry the permission boundary {boundary}, which the account does not have; run `liminal bootstrap` first"
    )]
    NoBoundary {
        /// The role.
        role: String,
        /// The boundary, by ARN.
        boundary: String,
    },
    /// There is no image for a task.
    #[error(
        "there is no container image {image}, so that no task could start; push it (docs/aws.md says how), or name another with `image:` of the step or `fargate: {{image: …}}` of the environment"
    )]
    NoImage {
        /// The image.
        image: String,
    },
    /// Something of the same name is not ours.
    #[error(
        "{what} {name} is there already and does not carry the tags of this project and environment, so it is left alone; rename the pipeline or the step, or remove it yourself"
    )]
    Foreign {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Something did not get into the state it is needed in.
    #[error("{what} {name} is still {state} after {seconds} s{}; run the command again to go on waiting", because(.reason.as_deref()))]
    NotReady {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// The state.
        state: String,
        /// What AWS says about it.
        reason: Option<String>,
        /// How long it was waited for, in seconds.
        seconds: u64,
    },
    /// Something can not come into use.
    #[error("{what} {name} is {state}{}", because(.reason.as_deref()))]
    Unusable {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// The state.
        state: String,
        /// What AWS says about it.
        reason: Option<String>,
    },
    /// A queue is not empty.
    #[error(
        "queue {queue} holds {waiting} messages and its dead-letter queue {failed}: they are work that would be lost; wait until they are handled, or allow it with --allow-destroy"
    )]
    MessagesLeft {
        /// The queue.
        queue: String,
        /// How many messages are in it: waiting, delayed or being handled.
        waiting: u64,
        /// How many messages nobody could handle.
        failed: u64,
    },
    /// Somebody else changes the same thing again and again.
    #[error("{what} {name} is changed by somebody else at the same time; run the command again")]
    Contended {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is nothing to make the resource from.
    #[error("the plan holds no document for {0}; make the plan again")]
    NoDocument(ResourceAddress),
    /// The document is one of another kind or digest.
    #[error("the document of {0} is another one than its address says; make the plan again")]
    OtherDocument(ResourceAddress),
    /// A kind that AWS does not have.
    #[error("a {0} is a resource of the platform `local`, and this environment is on `aws`")]
    NotHere(&'static str),
    /// An answer lacks what it always has.
    #[error("the answer of {action} for {subject} lacks {field}")]
    Incomplete {
        /// The call.
        action: &'static str,
        /// What it was about.
        subject: String,
        /// What is missing.
        field: &'static str,
    },
    /// A request can not be put together.
    #[error("the request {action} for {subject} can not be built: {problem}")]
    Request {
        /// The call.
        action: &'static str,
        /// What it was about.
        subject: String,
        /// Why.
        problem: String,
    },
    /// A document can not be written or read.
    #[error("{what} is no JSON that can be read")]
    Json {
        /// Which document.
        what: String,
        /// Where it went wrong.
        source: serde_json::Error,
    },
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

impl From<CallError> for AwsError {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

impl AwsError {
    /// For answers that lack a field.
    pub(super) fn incomplete(action: &'static str, subject: &str, field: &'static str) -> Self {
        Self::Incomplete { action, subject: subject.to_owned(), field }
    }

    /// For requests whose builder refuses.
    pub(super) fn request(action: &'static str, subject: &str, problem: impl std::fmt::Display) -> Self {
        Self::Request { action, subject: subject.to_owned(), problem: problem.to_string() }
    }
}
