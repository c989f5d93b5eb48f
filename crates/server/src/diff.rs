//! Two documents, line by line.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// How much is shown of what is the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// Three lines around each change.
    Near,
    /// Nothing: only what was added and taken out.
    None,
}

/// A line of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// ` `, `+`, `-`; `…` between two places.
    pub(crate) sign: char,
    pub(crate) text: String,
}

/// What differs. After a second of comparing, whole parts count as replaced.
pub(crate) fn lines(before: &str, after: &str, context: Context) -> Vec<Line> {
    let diff = TextDiff::configure().timeout(Duration::from_secs(1)).diff_lines(before, after);
    let around = match context {
        Context::Near => 3,
        Context::None => 0,
    };
    let mut lines = Vec::new();
    for (at, group) in diff.grouped_ops(around).iter().enumerate() {
        if at > 0 {
            lines.push(Line { sign: '…', text: String::new() });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Insert => '+',
                ChangeTag::Delete => '-',
            };
            lines.push(Line { sign, text: change.value().trim_end_matches(['\n', '\r']).to_owned() });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str, context: Context) -> Vec<String> {
        lines(before, after, context).iter().map(|line| format!("{}{}", line.sign, line.text)).collect()
    }

    #[test]
    fn a_change_is_shown_with_what_stands_around_it() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n";
        let after = before.replace("b\n", "B\n").replace("j\n", "");
        assert_eq!(
            told(before, &after, Context::Near),
            [" a", "-b", "+B", " c", " d", " e", "…", " g", " h", " i", "-j"]
        );
        assert_eq!(told(before, &after, Context::None), ["-b", "+B", "…", "-j"]);
        assert!(told(before, before, Context::Near).is_empty());
    }
}
