//! What the program can be.

use liminal_functions::aws::bootstrap;
use liminal_functions::aws::clients::Clients;
use liminal_functions::aws::clients::Connection;
use liminal_functions::aws::dispatch::DispatchFunction;
use liminal_functions::aws::environment::VariableError;
use liminal_functions::aws::environment::Variables;
use liminal_functions::aws::function::Function;
use liminal_functions::aws::function::FunctionError;
use liminal_functions::aws::receive::ReceiveFunction;
use liminal_functions::aws::serve;
use liminal_functions::aws::start::StartFunction;
use liminal_functions::aws::step_function::StepFunction;
use liminal_functions::aws::task;
use liminal_functions::aws::task::TaskError;
use liminal_functions::task_command;
use liminal_schemas::aws::variables;

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModeError {
    /// It is not told what to be, or not all that it needs for it.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// It is told to be what it can not.
    #[error("`liminal-runner {0}` is nothing that it can do")]
    Unknown(String),
    /// It can not do its work.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// It can not carry out its attempt.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The machine refused.
    #[error("the machine refused")]
    Io(#[from] std::io::Error),
    /// Lambda's Runtime API failed.
    #[error("the Lambda runtime failed")]
    Runtime(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Is what arguments and variables say, to the end.
pub(crate) async fn run(arguments: &[String]) -> Result<(), ModeError> {
    let given = Variables::of_process();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve"] => {
            let function = function(&given).await?;
            Ok(serve::serve(&*function, std::io::BufReader::new(std::io::stdin()), std::io::stdout()).await?)
        }
        [] => {
            let function = function(&given).await?;
            bootstrap::run(&*function).await.map_err(ModeError::Runtime)
        }
        [task_command::MODE, ..] => {
            let clients = Clients::connect(Connection::default()).await;
            Ok(task::run(&clients, &given, arguments).await?)
        }
        _ => Err(ModeError::Unknown(arguments.join(" "))),
    }
}

/// What the function does with events, by `LIMINAL_MODE`.
async fn function(given: &Variables) -> Result<Box<dyn Function>, ModeError> {
    match given.required(variables::MODE)? {
        variables::MODE_STEP => {
            let clients = Clients::connect(Connection::default()).await;
            Ok(Box::new(StepFunction::new(&clients, given)?))
        }
        variables::MODE_DISPATCH => {
            let clients = Clients::connect(Connection::default()).await;
            Ok(Box::new(DispatchFunction::new(&clients, given)?))
        }
        variables::MODE_RECEIVE => {
            let clients = Clients::connect(Connection::default()).await;
            Ok(Box::new(ReceiveFunction::new(&clients, given)?))
        }
        variables::MODE_START => {
            let clients = Clients::connect(Connection::default()).await;
            Ok(Box::new(StartFunction::new(&clients, given)?))
        }
        other => {
            let (variable, value) = (variables::MODE, other.to_owned());
            Err(VariableError::Unknown { variable, value, known: "dispatch, receive, start, step" }.into())
        }
    }
}
