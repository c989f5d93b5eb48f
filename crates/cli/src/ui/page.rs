//! Text for people, built so that nothing of the clouds can steer a terminal: every piece is cleaned when it is added,
//! and colours are the printer's own.

use std::fmt::Write as _;

/// Whether tones become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// No escape sequences.
    Plain,
    /// SGR colours.
    Colours,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Ordinary.
    Normal,
    /// A heading.
    Strong,
    /// Aside.
    Faint,
    /// Something appears.
    Good,
    /// Something goes away, or went wrong.
    Bad,
    /// Something waits.
    Warn,
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Normal => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Warn => Some("33"),
        }
    }
}

/// Lines of toned text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    lines: Vec<Vec<(Tone, String)>>,
}

/// Longest piece of text shown; names of the clouds have at most 256 characters.
const LONGEST: usize = 400;

/// Longest paragraph shown: a reason or remedy may name several objects.
const LONGEST_PARAGRAPH: usize = 2000;

/// Whether a character may change how a terminal or reader shows what is around it.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

/// Text safe for a terminal: control, direction and invisible characters become `�`, runaway text is cut.
pub(crate) fn clean(text: &str) -> String {
    cut(text, LONGEST)
}

fn cut(text: &str, longest: usize) -> String {
    let mut clean: String =
        text.chars().take(longest).map(|c| if steers(c) { '\u{FFFD}' } else { c }).collect();
    if text.chars().nth(longest).is_some() {
        clean.push('…');
    }
    clean
}

/// The same, however long it is: for files, which must not lose anything.
pub(super) fn clean_whole(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{FFFD}' } else { c }).collect()
}

/// JSON with the same characters escaped; they can only stand inside strings.
pub(super) fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && steers(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

impl Page {
    /// An empty page.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.toned(Tone::Normal, text)
    }

    /// Adds a line in a tone.
    pub(crate) fn toned(&mut self, tone: Tone, text: impl AsRef<str>) -> &mut Self {
        self.parts(&[(tone, text.as_ref())])
    }

    /// Adds a line of several pieces.
    pub(crate) fn parts(&mut self, parts: &[(Tone, &str)]) -> &mut Self {
        self.lines.push(parts.iter().map(|(tone, text)| (*tone, clean(text))).collect());
        self
    }

    /// Adds an empty line, unless one is there or the page is new.
    pub(crate) fn gap(&mut self) -> &mut Self {
        if self.lines.last().is_some_and(|l| !l.is_empty()) {
            self.lines.push(Vec::new());
        }
        self
    }

    /// Adds a heading after a gap.
    pub(crate) fn heading(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.gap().toned(Tone::Strong, text)
    }

    /// Adds a paragraph broken into lines of at most 100 characters, indented.
    pub(crate) fn paragraph(&mut self, tone: Tone, indent: &str, text: impl AsRef<str>) -> &mut Self {
        let mut line = String::new();
        for word in cut(text.as_ref(), LONGEST_PARAGRAPH).split(' ') {
            if !line.is_empty()
                && indent.chars().count() + line.chars().count() + 1 + word.chars().count() > 100
            {
                self.toned(tone, format!("{indent}{line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.toned(tone, format!("{indent}{line}"))
    }

    /// Adds a paragraph whose first line begins with a label, the others under its text.
    pub(crate) fn labelled(&mut self, label: &str, text: impl AsRef<str>) -> &mut Self {
        let at = self.lines.len();
        let label = clean(label);
        let indent = " ".repeat(label.chars().count());
        self.paragraph(Tone::Normal, &indent, text);
        if let Some(line) = self.lines.get_mut(at)
            && let Some((_, first)) = line.first_mut()
        {
            *first = first.split_off(indent.len().min(first.len()));
            line.insert(0, (Tone::Faint, label));
        }
        self
    }

    /// Adds another page.
    pub(crate) fn append(&mut self, other: Page) -> &mut Self {
        self.lines.extend(other.lines);
        self
    }

    /// The page as text.
    pub(crate) fn render(&self, style: Style) -> String {
        let mut out = String::new();
        for line in &self.lines {
            for (tone, text) in line {
                match (style, tone.code()) {
                    (Style::Colours, Some(code)) => {
                        let _ = write!(out, "\u{1b}[{code}m{text}\u{1b}[0m");
                    }
                    _ => out.push_str(text),
                }
            }
            out.push('\n');
        }
        out
    }
}

/// A table without frames, its columns as wide as they need to be.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Page {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().map(|h| h.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    let mut page = Page::new();
    for (at, line) in table.lines().enumerate() {
        let tone = if at == 0 { Tone::Faint } else { Tone::Normal };
        page.lines.push(vec![(tone, line.trim().to_owned())]);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_01_no_control_byte_of_a_name_reaches_the_terminal() {
        for hostile in [
            "\u{1b}[2J",
            "a\rb",
            "a\nb",
            "a\0b",
            "\u{9b}31m",
            "a\u{202E}b",
            "\u{2028}",
            "\u{7f}",
            "\u{200B}x",
            "\u{7}",
        ] {
            let mut page = Page::new();
            page.line(format!("group {hostile}")).parts(&[(Tone::Bad, hostile)]);
            page.append(table(&["name"], [vec![hostile.to_owned()]]));
            let text = page.render(Style::Plain);
            assert!(!text.chars().any(|c| c != '\n' && steers(c)), "{text:?}");
            assert_eq!(text.lines().count(), 4, "{text:?}");

            let json = serde_json::to_string(&serde_json::json!({ "name": hostile })).unwrap();
            let escaped = escape_json(&json);
            assert!(!escaped.chars().any(steers), "{escaped:?}");
            let back: serde_json::Value = serde_json::from_str(&escaped).unwrap();
            assert_eq!(back["name"], hostile, "JSON loses nothing");
        }
    }

    #[test]
    fn runaway_names_are_cut() {
        assert!(clean(&"x".repeat(1_000_000)).chars().count() <= LONGEST + 1);
    }

    #[test]
    fn colours_are_the_printers_own() {
        let mut page = Page::new();
        page.toned(Tone::Good, "yes");
        assert_eq!(page.render(Style::Plain), "yes\n");
        assert_eq!(page.render(Style::Colours), "\u{1b}[32myes\u{1b}[0m\n");
    }
}
