//! What the program can be.

use liminal_functions::aws::bootstrap;
use liminal_functions::aws::clients::Clients;
use liminal_functions::aws::clients::Connection;
use liminal_functions::aws::environment::VariableError;
use liminal_functions::aws::environment::Variables;
use liminal_functions::aws::function::Function;
use liminal_functions::aws::function::FunctionError;
use liminal_functions::aws::serve;
use liminal_functions::aws::step_function::StepFunction;

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
    /// The machine refused.
    #[error("the machine refused")]
    Io(#[from] std::io::Error),
    /// Lambda's Runtime API failed.
    #[error("the Lambda runtime failed")]
    Runtime(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Is what arguments and variables say, to the end.
pub(crate) async fn run(arguments: &[String]) -> Result<(), ModeError> {
    let variables = Variables::of_process();
    let clients = Clients::connect(Connection::default()).await;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve"] => {
            let function = function(&clients, &variables)?;
            Ok(serve::serve(&*function, std::io::BufReader::new(std::io::stdin()), std::io::stdout()).await?)
        }
        [] => {
            let function = function(&clients, &variables)?;
            bootstrap::run(&*function).await.map_err(ModeError::Runtime)
        }
        _ => Err(ModeError::Unknown(arguments.join(" "))),
    }
}

/// What the function does with events, by `LIMINAL_MODE`.
fn function(clients: &Clients, variables: &Variables) -> Result<Box<dyn Function>, ModeError> {
    match variables.required("LIMINAL_MODE")? {
        "step" => Ok(Box::new(StepFunction::new(clients, variables)?)),
        other => {
            let (variable, value) = ("LIMINAL_MODE", other.to_owned());
            Err(VariableError::Unknown { variable, value, known: "step" }.into())
        }
    }
}
