//! The head of a mirror: where its reading stands, and the sum by which damage shows.

use jiff::Timestamp;

use super::{Basis, DIRECTORY, MirrorHead, SITE, SiteState, Watermark};
use crate::error::{Error, Result};
use crate::pool::{Reader, on};
use crate::sum::Sum;
use crate::writer::Batch;

const PUT: &str = "INSERT INTO mirrors \
    (connection, side, at, users_link, groups_link, demand, rules, full_at, people, writing, sum) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (connection, side) DO UPDATE SET \
    at = excluded.at, users_link = excluded.users_link, groups_link = excluded.groups_link, \
    demand = excluded.demand, rules = excluded.rules, full_at = excluded.full_at, people = excluded.people, \
    writing = excluded.writing, sum = excluded.sum";
pub(super) const MARKED: &str = "SELECT at, users_link, groups_link, demand, rules, full_at, people, writing, sum FROM mirrors \
    WHERE connection = $1 AND side = $2";
const BOTH: &str = "SELECT side, at, users_link, groups_link, demand, rules, full_at, people, writing, sum FROM mirrors \
    WHERE connection = $1";

/// The head of a mirror.
#[derive(sqlx::FromRow)]
pub(crate) struct Mark {
    pub(super) at: i64,
    users_link: Option<String>,
    groups_link: Option<String>,
    demand: Option<String>,
    rules: Option<String>,
    full_at: Option<i64>,
    pub(super) people: i64,
    pub(super) writing: i64,
    pub(super) sum: i64,
}

#[derive(sqlx::FromRow)]
struct OfSide {
    side: String,
    #[sqlx(flatten)]
    mark: Mark,
}

/// The heads of both mirrors of a connection.
#[derive(Default)]
pub(crate) struct Heads {
    directory: Option<Mark>,
    site: Option<Mark>,
}

impl Heads {
    /// What is known of both; `None` unless there are both.
    pub(crate) fn head(&self) -> Result<Option<MirrorHead>> {
        let (Some(directory), Some(site)) = (&self.directory, &self.site) else { return Ok(None) };
        let (watermark, basis) = directory.directory().ok_or_else(|| Error::row("mirrors", DIRECTORY))?;
        let state = if site.writing == 0 { SiteState::Settled } else { SiteState::Writing };
        Ok(Some(MirrorHead { watermark, basis, state }))
    }

    /// Says which state the groups of both are in.
    pub(crate) fn stamp(&self) -> Option<String> {
        let (directory, site) = (self.directory.as_ref()?, self.site.as_ref()?);
        Some(format!("{} {} {} {}", directory.at, directory.sum, site.at, site.sum))
    }

    /// Listed users at the last complete read of the directory.
    pub(crate) fn people(&self) -> Option<usize> {
        self.directory.as_ref().map(|mark| usize::try_from(mark.people).unwrap_or_default())
    }
}

impl Reader {
    /// The heads of both mirrors.
    pub(crate) async fn heads(&mut self, connection: &str) -> Result<Heads> {
        let rows: Vec<OfSide> = on!(Reader, self, db =>
            sqlx::query_as(BOTH).bind(connection).fetch_all(&mut **db).await)
        .map_err(Error::database("reading the mirror"))?;
        let mut heads = Heads::default();
        for OfSide { side, mark } in rows {
            if mark.sum(connection, &side) != mark.sum {
                return Err(Error::row("mirrors", side));
            }
            match side.as_str() {
                DIRECTORY => heads.directory = Some(mark),
                SITE => heads.site = Some(mark),
                _ => return Err(Error::row("mirrors", side)),
            }
        }
        Ok(heads)
    }
}

impl Mark {
    pub(super) fn of_directory(watermark: &Watermark, basis: &Basis, people: usize) -> Self {
        Self {
            at: watermark.issued_at.as_millisecond(),
            users_link: Some(watermark.users.clone()),
            groups_link: Some(watermark.groups.clone()),
            demand: Some(basis.demand.clone()),
            rules: Some(basis.rules.clone()),
            full_at: Some(basis.full_at.as_millisecond()),
            people: count(people),
            writing: 0,
            sum: 0,
        }
    }

    pub(super) fn of_site(at: Timestamp, state: SiteState, accounts: usize) -> Self {
        Self {
            at: at.as_millisecond(),
            users_link: None,
            groups_link: None,
            demand: None,
            rules: None,
            full_at: None,
            people: count(accounts),
            writing: i64::from(state == SiteState::Writing),
            sum: 0,
        }
    }

    pub(super) fn sum(&self, connection: &str, side: &str) -> i64 {
        Sum::of("mirrors")
            .text(connection)
            .text(side)
            .number(self.at)
            .maybe(self.users_link.as_deref())
            .maybe(self.groups_link.as_deref())
            .maybe(self.demand.as_deref())
            .maybe(self.rules.as_deref())
            .number(self.full_at.unwrap_or(i64::MIN))
            .number(self.people)
            .number(self.writing)
            .finish()
    }

    pub(super) fn sealed(mut self, connection: &str, side: &str) -> Self {
        self.sum = self.sum(connection, side);
        self
    }

    /// The head of the directory's mirror; `None` when something is missing that it must have.
    pub(super) fn directory(&self) -> Option<(Watermark, Basis)> {
        let watermark = Watermark {
            users: self.users_link.clone()?,
            groups: self.groups_link.clone()?,
            issued_at: Timestamp::from_millisecond(self.at).ok()?,
        };
        let basis = Basis {
            demand: self.demand.clone()?,
            rules: self.rules.clone()?,
            full_at: Timestamp::from_millisecond(self.full_at?).ok()?,
        };
        Some((watermark, basis))
    }

    /// Stores the head as it is.
    pub(super) async fn put(&self, batch: &mut Batch, connection: &str, side: &str) -> Result<()> {
        let Self { at, users_link, groups_link, demand, rules, full_at, people, writing, sum } = self;
        on!(Tx, &mut batch.tx, tx => sqlx::query(PUT).bind(connection).bind(side).bind(at).bind(users_link)
            .bind(groups_link).bind(demand).bind(rules).bind(full_at).bind(people).bind(writing).bind(sum)
            .execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database("storing the mirror"))
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
