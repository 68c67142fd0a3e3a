//! Timings of liminal, each against a floor that is measured in the same run: what the same work costs without liminal.
//!
//! `cargo bench --bench liminal` runs all cases and rewrites `docs/benchmarks.md` and `docs/benchmarks.json`;
//! `cargo bench --bench liminal -- chain plan` runs those whose name holds one of the words and writes nothing, unless
//! `--write` is given: then these cases alone are written anew.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench that can not measure stops and says why"
)]
#![expect(clippy::cast_precision_loss, reason = "counts of repetitions are small")]
#![allow(unreachable_pub, reason = "nobody depends on a bench")]

mod cases;
mod cloud;
mod maps;
mod measure;
mod peers;
mod project;
mod report;
mod runner;
mod transfer;

use std::process::ExitCode;

fn main() -> ExitCode {
    // cargo passes `--bench`; what is left are the words that choose cases.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let writes = words.is_empty() || std::env::args().any(|word| word == "--write");
    if let Some((transfer::CLIENT, rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        transfer::client(rest);
        return ExitCode::SUCCESS;
    }
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let mut results = Vec::new();
    for case in cases::ALL {
        if chosen(case.name) {
            eprintln!("{}…", case.name);
            results.extend((case.run)());
        }
    }
    print!("{}", report::table(&results));
    if writes && let Err(error) = report::write(&results, words.is_empty()) {
        eprintln!("the results can not be written: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
