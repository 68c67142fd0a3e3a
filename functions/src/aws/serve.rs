//! The runner behind another language's runtime: events come as lines on standard input, answers go to standard output.
//!
//! `{"event": …, "deadline_ms": …, "request_id": …}` is answered by `{"result": …}` or `{"error": …}`.

use std::io;
use std::io::BufRead;
use std::io::Write;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;

use super::console;
use super::function::Function;
use super::function::Invocation;
use crate::causes::in_full;

#[derive(Deserialize)]
struct Line {
    event: Value,
    deadline_ms: u64,
    request_id: String,
}

/// Answers events until there are no more. When whoever sends them is gone, what is being done is given up.
///
/// # Errors
/// When a line makes no sense, or can not be answered.
pub async fn serve(
    function: &dyn Function,
    input: impl BufRead + Send + 'static,
    mut output: impl Write,
) -> io::Result<()> {
    let (sender, mut lines) = mpsc::channel(1);
    // A thread of its own, as reading standard input can not be given up.
    std::thread::Builder::new().name("events".to_owned()).spawn(move || {
        for line in input.lines() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    while let Some(line) = lines.recv().await {
        let Line { event, deadline_ms, request_id } = serde_json::from_str(&line?)?;
        let handling = function.handle(event, Invocation::until(deadline_ms, request_id));
        let handled = tokio::select! {
            handled = handling => handled,
            // Nothing more is sent before there is an answer, so this is the end.
            _ = lines.recv() => return Ok(()),
        };
        let answer = match handled {
            Ok(result) => json!({ "result": result }),
            Err(error) => {
                let text = in_full(&error);
                console::say(&text);
                json!({ "error": text })
            }
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}
