//! About: which Entrain this is, what it runs on, who runs beside it, and where its log and figures are.

use askama::Template;
use jiff::SignedDuration;

use super::super::parts::{Chip, When, icon, number};
use super::super::shell::Shell;
use super::super::visit::{Reply, Visit};
use super::{Result, Tab, tabs};
use crate::upkeep::{DatabaseKind, Heard, Premises};

const HERE: &str = "/settings/about";
/// A server that was not heard for so long is taken for gone.
const GONE: SignedDuration = SignedDuration::from_secs(15);
/// Servers shown.
const SERVERS: usize = 50;

struct Server {
    id: String,
    heard: String,
    chip: Chip,
}

#[derive(Template)]
#[template(path = "settings_about.html")]
struct AboutPage {
    shell: Shell,
    tabs: Vec<Tab>,
    headline: String,
    version: &'static str,
    url: String,
    started: When,
    database: &'static str,
    database_version: String,
    tables: i64,
    size: String,
    shared: bool,
    servers: Vec<Server>,
}

/// `12.4 MB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", number(bytes / 1_000_000_000), bytes % 1_000_000_000 / 100_000_000),
    }
}

/// `3 hours`, for how long it is up.
fn long(time: SignedDuration) -> String {
    let seconds = u64::try_from(time.as_secs()).unwrap_or_default();
    let (much, one, many) = match seconds {
        s @ 0..60 => (s, "second", "seconds"),
        s @ 60..3_600 => (s / 60, "minute", "minutes"),
        s @ 3_600..172_800 => (s / 3_600, "hour", "hours"),
        s => (s / 86_400, "day", "days"),
    };
    super::super::parts::count(much, one, many)
}

fn server(id: &str, heard: Heard) -> Server {
    // A server that shares the database is called by random letters; one alone by its process
    let random = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let short = if random { id[..8].to_owned() } else { id.to_owned() };
    match heard {
        Heard::Ourselves => {
            Server { id: short, heard: "this one".to_owned(), chip: Chip::new("ok", "ok", "serves") }
        }
        Heard::Ago(time) if time < GONE => Server {
            id: short,
            heard: format!("heard {} ago", long(time)),
            chip: Chip::new("ok", "ok", "serves"),
        },
        Heard::Ago(time) => Server {
            id: short,
            heard: format!("not heard for {}", long(time)),
            chip: Chip::new("danger", "danger", "gone"),
        },
    }
}

pub(in super::super) async fn page(visit: Visit) -> Result {
    let service = &visit.console.service;
    let now = service.now();
    let Premises { started_at, database, servers } = service.premises().await?;
    let version = env!("CARGO_PKG_VERSION");
    let up = now.duration_since(started_at);
    Reply::page(&AboutPage {
        shell: visit.shell("About").await?,
        tabs: tabs(&visit, HERE)?,
        headline: format!("Entrain {version}, up for {}", long(up)),
        version,
        url: visit.console.settings.public_url.as_str().trim_end_matches('/').to_owned(),
        started: When::new(started_at, now),
        shared: database.kind == DatabaseKind::Postgres,
        database: match database.kind {
            DatabaseKind::Sqlite => "SQLite, one file",
            DatabaseKind::Postgres => "PostgreSQL",
        },
        database_version: database.version,
        tables: database.tables,
        size: size(database.bytes),
        servers: servers.into_iter().take(SERVERS).map(|(id, heard)| server(&id, heard)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_as_people_write_them() {
        assert_eq!(
            [999, 1_500, 12_340_000, 3_210_000_000_000].map(size),
            ["999 bytes", "1.5 kB", "12.3 MB", "3,210.0 GB"]
        );
        let told = [1, 119, 7_200, 172_800].map(|s| long(SignedDuration::from_secs(s)));
        assert_eq!(told, ["1 second", "1 minute", "2 hours", "2 days"]);
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(server(id, Heard::Ago(GONE)).heard, "not heard for 15 seconds");
        assert_eq!(server(id, Heard::Ourselves).id, "01234567");
        assert_eq!(server("process 7 on ops", Heard::Ourselves).id, "process 7 on ops");
    }
}
