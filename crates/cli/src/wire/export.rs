//! The list of users that an administrator exports from Jira ("Export users"): read by the names of its columns, in any
//! order and case, with commas, semicolons or tabs between them.

use std::sync::Arc;

use entrain_domain::model::{AccountActivity, AccountId, AccountKind, EmailAddress};
use entrain_domain::reports::{Holdings, SiteEntry};
use entrain_domain::{Failure, FailureClass, FailureCode};

const REMEDY: &str = "export the users again: in the administration of Jira, Users > Export users; at least the columns \
                      User id, email and User status are needed";

/// Which column holds what.
struct Columns {
    id: usize,
    email: usize,
    status: usize,
    name: Option<usize>,
    role: Option<usize>,
    seen: Vec<(usize, String)>,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, String> {
        let names: Vec<String> = header.iter().map(folded).collect();
        let find = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
        let must = |what: &str, wanted: &[&str]| {
            find(wanted).ok_or_else(|| format!("has no column “{what}” in its first line"))
        };
        Ok(Self {
            id: must("User id", &["user id", "userid", "account id", "accountid"])?,
            email: must("email", &["email", "e mail", "email address", "mail"])?,
            status: must("User status", &["user status", "status", "account status"])?,
            name: find(&["user name", "username", "name", "display name", "full name"]),
            role: find(&["org role", "organization role", "role"]),
            seen: names
                .iter()
                .zip(header)
                .enumerate()
                .filter(|(_, (name, _))| name.starts_with("last seen") || name.starts_with("last active"))
                .map(|(at, (_, written))| {
                    let before = "last seen in ".len();
                    (at, written.trim().get(before..).unwrap_or_default().trim().to_owned())
                })
                .collect(),
        })
    }
}

/// Lower case, single blanks, no byte order mark; `_` and `-` are blanks.
fn folded(text: &str) -> String {
    let text = text.trim_start_matches('\u{FEFF}').replace(['_', '-'], " ").to_lowercase();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The accounts of an export. A file that cannot be read to its end is refused: of half a list nothing can be said.
pub(super) fn read(bytes: &[u8], origin: &str) -> Result<Vec<SiteEntry>, Failure> {
    let refuse = |line: Option<u64>, what: &str| {
        let place = line.map_or_else(String::new, |line| format!(", line {line}"));
        let message = format!("the list of accounts {origin}{place} {what}");
        Failure::new(FailureCode::UsageInvalid, FailureClass::Local, message, REMEDY).of(origin)
    };
    let text = std::str::from_utf8(bytes).map_err(|_| refuse(None, "is not text in UTF-8"))?;
    let text = text.trim_start_matches('\u{FEFF}');
    let first = text.lines().next().unwrap_or_default();
    let count = |delimiter: &u8| first.bytes().filter(|b| b == delimiter).count();
    let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(count).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|_| refuse(None, "is not a table"))?.clone();
    let columns = Columns::of(&header).map_err(|what| refuse(None, &what))?;
    let mut entries = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| refuse(e.position().map(csv::Position::line), "cannot be read"))?;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let line = record.position().map(csv::Position::line);
        let cell = |at: usize| record.get(at).map(str::trim).unwrap_or_default();
        if record.len() != header.len() {
            return Err(refuse(line, "does not have as many cells as the first line"));
        }
        let account = AccountId::parse(cell(columns.id)).map_err(|_| refuse(line, "has no user id"))?;
        let some = |text: &str| (!text.is_empty()).then(|| Arc::<str>::from(text));
        let activity = match folded(cell(columns.status)).as_str() {
            "active" | "true" | "yes" | "enabled" => AccountActivity::Active,
            "" => return Err(refuse(line, "does not say whether the account is active")),
            _ => AccountActivity::Inactive,
        };
        let seen = columns.seen.iter().filter(|(at, _)| !cell(*at).is_empty());
        let seen: Vec<String> = seen
            .map(|(at, place)| match (place.as_str(), columns.seen.len()) {
                ("", _) | (_, 1) => cell(*at).to_owned(),
                (place, _) => format!("{place}: {}", cell(*at)),
            })
            .collect();
        let email = cell(columns.email);
        entries.push(SiteEntry {
            account,
            name: Arc::from(columns.name.map(cell).filter(|name| !name.is_empty()).unwrap_or(email)),
            email: EmailAddress::parse(email).ok(),
            activity,
            kind: AccountKind::Person,
            last_seen: some(&seen.join("; ")),
            holds: Holdings { role: columns.role.map(cell).and_then(some), ..Holdings::default() },
        });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_in_any_order_and_case() {
        let text = "\u{FEFF}EMAIL;Last seen in Jira - acme;user_id;Org Role;USER STATUS;User Name;Last seen in Confluence\n\
                    ana@acme.example;12 Nov 2026;712020:a;Org admin;Active;\"Ruiz; Ana\";Never accessed\n\
                    \n\
                    bo@acme.example;;712020:b;User;Suspended;Bo;\n";
        let entries = read(text.as_bytes(), "users.csv").unwrap();
        assert_eq!(entries.len(), 2);
        let ana = &entries[0];
        assert_eq!((ana.account.as_str(), &*ana.name), ("712020:a", "Ruiz; Ana"));
        assert_eq!(ana.email.as_ref().unwrap().as_str(), "ana@acme.example");
        assert_eq!(ana.last_seen.as_deref(), Some("Jira - acme: 12 Nov 2026; Confluence: Never accessed"));
        assert_eq!(ana.holds.role.as_deref(), Some("Org admin"));
        assert_eq!(ana.activity, AccountActivity::Active);
        assert_eq!(entries[1].activity, AccountActivity::Inactive);
        assert_eq!(entries[1].last_seen, None);
    }

    #[test]
    fn the_export_as_jira_writes_it() {
        let text = "User id,User name,email,User status,Added to org,Org role,Last seen in Jira - acme\r\n\
                    712020:a,Ana Ruiz,ana@acme.example,Active,01 Jan 2025,User,12 Nov 2026\r\n";
        let entries = read(text.as_bytes(), "users.csv").unwrap();
        assert_eq!(entries[0].last_seen.as_deref(), Some("12 Nov 2026"));
    }

    #[test]
    fn half_a_list_and_other_files_are_refused_with_the_line() {
        for (text, needle) in [
            ("", "no column “User id”"),
            ("User id,email\nx,a@b.c\n", "no column “User status”"),
            ("User id,email,User status\nx,a@b.c\n", "line 2 does not have as many cells"),
            ("User id,email,User status\n,a@b.c,Active\n", "line 2 has no user id"),
            ("User id,email,User status\nx,a@b.c,\n", "line 2 does not say"),
        ] {
            let failure = read(text.as_bytes(), "users.csv").unwrap_err();
            assert!(failure.message.contains(needle), "{text:?}: {failure}");
            assert_eq!(failure.code, FailureCode::UsageInvalid);
        }
        assert!(read(&[0xff, 0xfe, b'a'], "users.csv").unwrap_err().message.contains("UTF-8"));
    }
}
