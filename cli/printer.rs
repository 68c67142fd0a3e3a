//! The two streams: data on stdout, everything else on stderr.

use std::io::IsTerminal as _;
use std::io::Write as _;

use crate::args::ColorChoice;
use crate::args::GlobalArgs;
use crate::env_vars;
use crate::render::advice;
use crate::render::style::Style;

/// Prints, as quietly and as colourfully as asked.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    /// How stdout looks.
    pub(crate) out: Style,
    /// How stderr looks.
    pub(crate) err: Style,
    quiet: bool,
    bars: bool,
    /// The environment that the caller named.
    environment: Option<String>,
}

/// The width of a terminal that does not tell.
const DEFAULT_WIDTH: usize = 100;

/// Narrower than this no text is laid out, and wider neither: lines would be hard to follow.
const NARROWEST: usize = 40;
const WIDEST: usize = 200;

impl Printer {
    /// Looks at flags, environment and terminals.
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        let out_terminal = std::io::stdout().is_terminal();
        let err_terminal = std::io::stderr().is_terminal();
        let dumb = env_vars::read("TERM").is_some_and(|term| term == "dumb");
        let unicode = !dumb && speaks_utf8();
        let style = |terminal: bool| Style {
            color: wants_color(global.color, terminal && !dumb),
            width: text_width(terminal),
            unicode,
        };
        Self {
            out: style(out_terminal),
            err: style(err_terminal),
            quiet: global.quiet,
            bars: err_terminal && !dumb && !global.quiet,
            environment: global.environment.clone(),
        }
    }

    /// Says nothing but errors.
    pub(crate) const fn silent() -> Self {
        Self { out: Style::PLAIN, err: Style::PLAIN, quiet: true, bars: false, environment: None }
    }

    /// Whether progress bars are drawn.
    pub(crate) const fn draws_bars(&self) -> bool {
        self.bars
    }

    /// Data, to stdout. A reader that went away (`| head`) is no error.
    pub(crate) fn data(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes());
        let _ = stdout.flush();
    }

    /// Raw bytes, to stdout.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(bytes);
        let _ = stdout.flush();
    }

    /// A document as pretty JSON, to stdout.
    pub(crate) fn json(&self, document: &impl serde::Serialize) {
        if let Ok(mut text) = serde_json::to_string_pretty(document) {
            text.push('\n');
            self.data(&text);
        }
    }

    /// A line on what is going on, to stderr; not when quiet.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.complain(&format!("{text}\n"));
        }
    }

    /// A warning, to stderr.
    pub(crate) fn warn(&self, text: &str) {
        self.complain(&format!("{} {text}\n", self.err.warn("warning:")));
    }

    /// Text to stderr, also when quiet. The commands that it advises are for the environment that the caller named.
    pub(crate) fn complain(&self, text: &str) {
        let named = self.environment.as_ref().map(|environment| advice::for_environment(text, environment));
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(named.as_deref().unwrap_or(text).as_bytes());
    }
}

fn wants_color(choice: ColorChoice, terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let forced = env_vars::read("CLICOLOR_FORCE").is_some_and(|value| value != "0");
            env_vars::read("NO_COLOR").is_none() && (forced || terminal)
        }
    }
}

/// Text that nobody looks at on a terminal is never cut, unless COLUMNS says how wide it may be.
fn text_width(terminal: bool) -> usize {
    let columns = env_vars::read("COLUMNS").and_then(|text| text.parse().ok());
    let measured = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    match (columns, terminal) {
        (Some(columns), _) => columns,
        (None, true) => measured().unwrap_or(DEFAULT_WIDTH),
        (None, false) => return usize::MAX,
    }
    .clamp(NARROWEST, WIDEST)
}

/// Whether the locale has more than ASCII. Where nothing is said, nearly everything has.
fn speaks_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env_vars::read(name));
    locale.is_none_or(|locale| locale != "C" && locale != "POSIX")
}
