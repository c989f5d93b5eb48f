//! Logs, on standard error: one record is one line, whatever names the clouds send.

use std::io::{self, Write};

use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;

use super::Terminal;
use crate::config::LogFormat;

/// Hands out writers that take control characters out of records.
#[derive(Debug, Clone, Copy)]
struct CleanStderr;

/// One record on its way.
struct Record(Vec<u8>);

impl Write for Record {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        // A log that cannot be written is no reason to stop
        let _ = io::stderr().write_all(one_line(&String::from_utf8_lossy(&self.0)).as_bytes());
    }
}

pub(super) fn one_line(record: &str) -> String {
    let mut line = String::with_capacity(record.len() + 1);
    for c in record.trim_end_matches('\n').chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}') {
            line.push('\u{FFFD}');
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

impl<'a> MakeWriter<'a> for CleanStderr {
    type Writer = Record;
    fn make_writer(&'a self) -> Self::Writer {
        Record(Vec::with_capacity(256))
    }
}

/// How logs of the process look: text on a terminal and JSON elsewhere, unless somebody asks for one of them.
pub(crate) fn log_layer<S>(format: Option<LogFormat>, terminal: Terminal) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(CleanStderr);
    match format.unwrap_or(if terminal.err { LogFormat::Text } else { LogFormat::Json }) {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_01_a_record_is_one_line_without_control_bytes() {
        let line = one_line("group a\nb\u{1b}[31m\u{2028}c\n");
        assert_eq!(line.lines().count(), 1);
        assert!(!line.trim_end().chars().any(char::is_control));
    }
}
