//! Texts that would lead an address elsewhere, were they put into it as they are (quality.md H-06).

use rand::RngExt as _;
use rand::rngs::StdRng;

const PIECES: [&str; 39] = [
    "/",
    "?",
    "#",
    "%",
    "%2f",
    "%2F",
    "%252f",
    "..",
    ".",
    ";",
    "\\",
    "&",
    "=",
    "+",
    " ",
    "\r\n",
    "\t",
    "\u{85}",
    "\u{2028}",
    ":",
    "@",
    "//",
    "://evil.example",
    "'",
    "\"",
    "$",
    "(",
    ")",
    "ü",
    "／",
    "😀",
    "users",
    "../../manage/lifecycle/delete",
    "?expand=groups",
    "''",
    "$filter=",
    "' or 1 eq 1 or mail eq '",
    "/members/$ref",
    "?$expand=manager",
];

/// Texts of such pieces, drawn at random. Each holds letters that are in no address of the clouds, so that it can be told
/// from what surrounds it.
pub(crate) fn drawn(random: &mut StdRng) -> impl Iterator<Item = String> {
    (0..24).map(|n| {
        let length = random.random_range(1..6);
        let text: String = (0..length).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect();
        if n % 2 == 0 { format!("zq{text}") } else { format!("{text}zq") }
    })
}
