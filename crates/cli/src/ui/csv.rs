//! Tables as CSV, for spreadsheets: a cell that a spreadsheet would take for a formula opens as the text it is.

use super::page::clean_whole;

/// The table as CSV with a header line (RFC 4180). Text of the clouds may begin with what spreadsheets compute; such a
/// cell gets an apostrophe in front.
pub(crate) fn csv<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    csv_rows([header.map(str::to_owned)]) + &csv_rows(rows)
}

/// More lines of such a table.
pub(crate) fn csv_rows<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let memory = "writing into memory does not fail";
    for row in rows {
        writer.write_record(row.iter().map(|text| cell(text))).expect(memory);
    }
    String::from_utf8(writer.into_inner().expect(memory)).expect("cells are text")
}

fn cell(text: &str) -> String {
    let starts =
        |c: char| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠');
    let cleaned = clean_whole(text);
    // Blanks in front are no shield, and neither is what stands for an invisible character: some programs skip them
    let hidden = |c: char| c.is_whitespace() || c == char::REPLACEMENT_CHARACTER;
    let formula = text.starts_with(starts) || cleaned.trim_start_matches(hidden).starts_with(starts);
    let text = cleaned;
    if formula { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_04_no_cell_is_taken_for_a_formula() {
        for hostile in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            " =1",
            "\u{200B}=1",
            "\u{202E} =1",
            "\u{FFFD}=1",
            "＝1",
            "=HYPERLINK(\"http://evil.example\",\"x\")",
            "=cmd|' /C calc'!A0",
        ] {
            assert!(cell(hostile).starts_with('\''), "{hostile:?}");
        }
        for plain in ["Ana Ruiz", "a=b", "1-2", "", "'quoted", "Ωmega"] {
            assert_eq!(cell(plain), plain);
        }
    }

    #[test]
    fn h_04_what_a_reader_gets_back_is_one_cell_each() {
        let text = csv(["name", "why"], [["=a,\"b\"\n;c".to_owned(), "x\u{1b}[31m".to_owned()]]);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        assert!(row[0].starts_with("'=a,\"b\""), "{row:?}");
        assert!(!row[1].contains('\u{1b}'), "{row:?}");
        assert_eq!(row.len(), 2);
        assert!(text.starts_with("name,why\r\n"), "{text:?}");
    }
}
