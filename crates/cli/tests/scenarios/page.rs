//! A page as blocks: prose, and fenced blocks with a word that says what they are.

/// A part of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Anything outside fences, as it stands.
    Prose(String),
    /// A fenced block: its word and its lines.
    Fenced { word: String, text: String },
}

/// Takes a page apart.
pub(crate) fn parse(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut prose = String::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let Some(word) = line.strip_prefix("```") else {
            prose.push_str(line);
            continue;
        };
        blocks.push(Block::Prose(std::mem::take(&mut prose)));
        let text = lines.by_ref().take_while(|line| line.trim_end() != "```").collect();
        blocks.push(Block::Fenced { word: word.trim().to_owned(), text });
    }
    blocks.push(Block::Prose(prose));
    blocks
}

/// Puts a page together again.
pub(crate) fn render(blocks: &[Block]) -> String {
    blocks.iter().fold(String::new(), |page, block| match block {
        Block::Prose(text) => page + text,
        Block::Fenced { word, text } => {
            let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            page + &format!("```{word}\n{text}{end}```\n")
        }
    })
}

/// The lines that differ, each with its number on the page.
pub(crate) fn difference(page: &str, played: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (page.lines().collect(), played.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let show = |sign: char, lines: &[&str]| {
        let lines = lines[same..lines.len() - tail].iter().enumerate();
        lines.fold(String::new(), |all, (at, line)| all + &format!("{:4} {sign} {line}\n", same + at + 1))
    };
    show('-', &old) + &show('+', &new)
}

#[test]
fn a_page_is_taken_apart_and_put_together_again() {
    let text = "# Title\n\n```console\n$ entrain sync\ndone\n```\nend\n";
    let blocks = parse(text);
    assert_eq!(blocks.len(), 3);
    assert_eq!(blocks[1], Block::Fenced { word: "console".into(), text: "$ entrain sync\ndone\n".into() });
    assert_eq!(render(&blocks), text);
    assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), "   2 - b\n   2 + x\n");
}
