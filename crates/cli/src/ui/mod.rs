//! The one printer: results on standard output, everything else on standard error. Nothing else in the binary writes.
//!
//! A reader that closes its end (`entrain runs list | head`) is not an error. Colours are a matter of the terminal:
//! off elsewhere, with `NO_COLOR` and with `TERM=dumb`. Text of the clouds reaches the terminal only through
//! [`Page`], which takes control characters out.

mod csv;
mod explanation;
#[cfg(test)]
mod hostile;
mod letter;
mod logs;
mod markdown;
mod page;
mod progress;
mod results;

use std::io::{self, IsTerminal as _, Write};
use std::sync::Mutex;

use entrain_domain::Failure;
use page::Style;
use serde::Serialize;

pub(crate) use entrain_engine::plan_view::{PlanView, count};

pub(crate) use csv::{csv, csv_rows};
pub(crate) use explanation::explanation;
pub(crate) use letter::{SHOWN, letter};
pub(crate) use logs::log_layer;
pub(crate) use markdown::markdown;
pub(crate) use page::{Page, Tone, table};
pub(crate) use progress::{ProgressBars, Shown};
pub(crate) use results::{audit_list, connection_list, report, run_detail, runs_list};

/// What programs or people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Where output goes.
pub(crate) struct Printer {
    format: Format,
    colours: Colours,
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
}

#[derive(Debug, Clone, Copy)]
struct Colours {
    out: Style,
    err: Style,
}

/// What the environment says about a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Whether standard output is one.
    pub(crate) out: bool,
    /// Whether standard error is one.
    pub(crate) err: bool,
    /// Whether it is to stay plain (`NO_COLOR`, `TERM=dumb`).
    pub(crate) plain: bool,
}

impl Terminal {
    /// As the process finds it.
    pub(crate) fn of_process(variable: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Self {
        let no_color = variable("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = variable("TERM").is_some_and(|v| v == "dumb");
        Self { out: io::stdout().is_terminal(), err: io::stderr().is_terminal(), plain: no_color || dumb }
    }
}

impl Printer {
    /// A printer on the process's own streams.
    pub(crate) fn new(format: Format, terminal: Terminal) -> Self {
        Self::on(format, terminal, Box::new(io::stdout()), Box::new(io::stderr()))
    }

    fn on(
        format: Format,
        terminal: Terminal,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        let style = |on: bool| if on && !terminal.plain { Style::Colours } else { Style::Plain };
        Self {
            format,
            colours: Colours { out: style(terminal.out), err: style(terminal.err) },
            out: Mutex::new(out),
            err: Mutex::new(err),
        }
    }

    /// For whom results are printed.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// A result for people.
    pub(crate) fn page(&self, page: &Page) {
        write(&self.out, &page.render(self.colours.out));
    }

    /// A result as JSON, with every character escaped that a terminal might take for a command.
    pub(crate) fn json(&self, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value).expect("results are maps with text keys");
        write(&self.out, &(page::escape_json(&text) + "\n"));
    }

    /// A result as JSON on one line.
    pub(crate) fn json_line(&self, value: &impl Serialize) {
        let text = serde_json::to_string(value).expect("results are maps with text keys");
        write(&self.out, &(page::escape_json(&text) + "\n"));
    }

    /// A result for people, or its JSON.
    pub(crate) fn result(&self, value: &impl Serialize, page: impl FnOnce() -> Page) {
        match self.format {
            Format::Json => self.json(value),
            Format::Text => self.page(&page()),
        }
    }

    /// Text of our own making, such as a schema, a manual page or completions, as it is.
    pub(crate) fn verbatim(&self, text: &str) {
        write(&self.out, text);
    }

    /// A word beside the result.
    pub(crate) fn note(&self, page: &Page) {
        write(&self.err, &page.render(self.colours.err));
    }

    /// A failure: for people on standard error, for programs as `{"error": …}` on standard output.
    pub(crate) fn failure(&self, failure: &Failure) {
        match self.format {
            Format::Json => self.json(&serde_json::json!({ "error": {
                "code": failure.code, "message": failure.message, "object": failure.object, "remedy": failure.remedy,
            }})),
            Format::Text => self.note(&results::failure(failure)),
        }
    }
}

/// A value as one line of JSON, with every character escaped that a terminal might take for a command.
pub(crate) fn json_line(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("results are maps with text keys");
    page::escape_json(&text) + "\n"
}

/// A closed or failing stream ends the output, not the work.
fn write(stream: &Mutex<Box<dyn Write + Send>>, text: &str) {
    let mut stream = stream.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let written = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        tracing::warn!(%error, "output could not be written");
    }
}
