//! What gets better by waiting, told apart by the messages that are known to: roles that IAM has not yet made known
//! everywhere, things that are being changed, names of queues that were just deleted, throttling. Everything else is an
//! error at once. All waiting is by tokio's clock, which tests can stop.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;

use super::error::AwsError;
use super::error::CallError;

/// How long a new role takes to become known everywhere at most: reports say a minute, seldom more.
pub(super) const ROLE_BUDGET: Duration = Duration::from_mins(2);

/// How long something that is being changed is waited for.
pub(super) const CHANGE_BUDGET: Duration = Duration::from_mins(3);

/// How long the name of a deleted queue is refused: 60 s, and some more.
const QUEUE_BUDGET: Duration = Duration::from_secs(90);

/// How long a new policy of a queue takes to become known: SQS says up to 60 s.
const DESTINATION_BUDGET: Duration = Duration::from_secs(90);

/// How long the service-linked role of ECS takes to become usable, which the first cluster of an account makes. Nothing of AWS
/// says how long; reports have it that the next try, made by hand, gets through.
const LINKED_ROLE_BUDGET: Duration = Duration::from_mins(1);

/// How long a throttled call is tried again, beyond the attempts of the SDK.
const THROTTLE_BUDGET: Duration = Duration::from_mins(2);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why a refused call may come to be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A role is new.
    Role,
    /// Something is being changed.
    Change,
    /// A queue of the same name was just deleted.
    QueueName,
    /// The policy of a queue is new.
    Destination,
    /// The role that ECS makes for itself is new.
    LinkedRole,
    /// Too many calls.
    Throttle,
}

impl Cause {
    /// The cause of a refusal, if it is one that passes.
    pub(super) fn of(error: &CallError) -> Option<Self> {
        const ROLE_CODES: [&str; 4] =
            ["InvalidParameterValueException", "InvalidParameterException", "ValidationException", "ClientException"];
        // Lambda's CreateFunction, the same for its variables (terraform-provider-aws, `lambda.CreateFunction` retries),
        // Lambda's CreateEventSourceMapping, EventBridge Scheduler's CreateSchedule.
        const ROLE_MESSAGES: [&str; 4] = [
            "cannot be assumed by Lambda",
            "KMS key is invalid for CreateGrant",
            "does not have permissions to call",
            "must allow AWS EventBridge Scheduler to assume the role",
        ];
        const CHANGE_CODES: [&str; 5] = [
            "ResourceInUseException",
            "ConcurrentModification",
            "ConcurrentModificationException",
            "OperationAbortedException",
            "OperationAborted",
        ];
        // `ResourceConflictException` also says that a function exists: only its messages tell which one it is.
        const CHANGE_MESSAGES: [&str; 3] = [
            "The operation cannot be performed at this time",
            "is currently in the following state: Pending",
            "is in progress",
        ];
        const THROTTLE_CODES: [&str; 10] = [
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "AWS.SimpleQueueService.RequestThrottled",
            "SlowDown",
            "PriorRequestNotComplete",
        ];
        let says = |messages: &[&str]| messages.iter().any(|message| error.message.contains(message));
        if error.is(&["QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"]) {
            return Some(Self::QueueName);
        }
        if error.is(&ROLE_CODES) && says(&ROLE_MESSAGES) {
            return Some(Self::Role);
        }
        if error.is(&CHANGE_CODES) || (error.is(&["ResourceConflictException"]) && says(&CHANGE_MESSAGES)) {
            return Some(Self::Change);
        }
        if error.is(&["InvalidArgument"]) && says(&["Unable to validate the following destination configurations"]) {
            return Some(Self::Destination);
        }
        if error.is(&ROLE_CODES) && says(&["Unable to assume the service linked role"]) {
            return Some(Self::LinkedRole);
        }
        error.is(&THROTTLE_CODES).then_some(Self::Throttle)
    }

    const fn budget(self) -> Duration {
        match self {
            Self::Role => ROLE_BUDGET,
            Self::Change => CHANGE_BUDGET,
            Self::QueueName => QUEUE_BUDGET,
            Self::Destination => DESTINATION_BUDGET,
            Self::LinkedRole => LINKED_ROLE_BUDGET,
            Self::Throttle => THROTTLE_BUDGET,
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Role => "a new role",
            Self::Change => "a change",
            Self::QueueName => "a queue's name to become free",
            Self::Destination => "a queue's policy to become known",
            Self::LinkedRole => "the service-linked role of ECS to become usable",
            Self::Throttle => "throttling",
        }
    }
}

/// Makes a call again as long as it is refused for a reason that passes, up to the budget of that reason.
pub(super) async fn patiently<T, F, C>(mut call: C) -> Result<T, AwsError>
where
    C: FnMut() -> F,
    F: Future<Output = Result<T, CallError>>,
{
    let start = Instant::now();
    let mut pause = Duration::from_secs(1);
    loop {
        let error = match call().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Some(cause) = Cause::of(&error) else { return Err(error.into()) };
        if start.elapsed() + pause > cause.budget() {
            let seconds = start.elapsed().as_secs();
            return Err(AwsError::Patience { expected: cause.expected(), seconds, last: Box::new(error) });
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Says which role it is when a call was refused because of one for too long.
pub(super) fn blaming<T>(role: &str, outcome: Result<T, AwsError>) -> Result<T, AwsError> {
    match outcome {
        Err(AwsError::Patience { seconds, last, .. }) if Cause::of(&last) == Some(Cause::Role) => {
            Err(AwsError::RoleNotUsable { role: role.to_owned(), seconds, last })
        }
        other => other,
    }
}

/// What a look at something that is being changed shows.
pub(super) enum Look<T> {
    /// It is as it should be.
    Ready(T),
    /// It is in another state, which passes.
    Waiting {
        /// The state.
        state: String,
        /// What AWS says about it.
        reason: Option<String>,
    },
}

/// Looks again and again until something is ready, first soon and then less often.
pub(super) async fn until_ready<T, F, C>(
    what: &'static str,
    name: &str,
    budget: Duration,
    mut look: C,
) -> Result<T, AwsError>
where
    C: FnMut() -> F,
    F: Future<Output = Result<Look<T>, AwsError>>,
{
    let start = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        let (state, reason) = match look().await? {
            Look::Ready(ready) => return Ok(ready),
            Look::Waiting { state, reason } => (state, reason),
        };
        if start.elapsed() + pause > budget {
            let seconds = start.elapsed().as_secs();
            return Err(AwsError::NotReady { what, name: name.to_owned(), state, reason, seconds });
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(3));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, message: &str) -> CallError {
        CallError {
            action: "ecs:CreateCluster",
            subject: "liminal".to_owned(),
            code: Some(code.to_owned()),
            status: Some(400),
            message: format!("{code}: {message}"),
            request: None,
        }
    }

    #[test]
    fn that_ecs_can_not_assume_its_own_role_yet_passes_and_other_invalid_parameters_do_not() {
        let says = |message| Cause::of(&refused("InvalidParameterException", message));
        let new = "Unable to assume the service linked role. Please verify that the ECS service linked role exists.";
        assert_eq!(says(new), Some(Cause::LinkedRole));
        assert_eq!(says("The cluster name is too long."), None);
        assert_eq!(Cause::of(&refused("AccessDeniedException", new)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_role_of_ecs_is_waited_for_a_minute_at_most_and_named_then() {
        let start = Instant::now();
        let never = patiently(async || -> Result<(), CallError> {
            Err(refused("InvalidParameterException", "Unable to assume the service linked role."))
        });
        let error = never.await.expect_err("it never comes").to_string();
        assert!(start.elapsed() <= LINKED_ROLE_BUDGET, "{:?}", start.elapsed());
        assert!(error.contains("service-linked role of ECS") && error.contains("ecs:CreateCluster"), "{error}");

        let known = patiently(async || match start.elapsed() {
            early if early < Duration::from_secs(80) => {
                Err(refused("InvalidParameterException", "Unable to assume the service linked role."))
            }
            _ => Ok(()),
        });
        known.await.expect("it comes after a while");
    }
}
