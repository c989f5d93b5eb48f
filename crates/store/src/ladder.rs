//! The leaver ladder: places and the rungs that are behind them.

use std::collections::BTreeMap;

use entrain_domain::memory::{FormerGroup, Hand, MemoryChange, OnLadder, Origin, Passed};
use entrain_domain::model::{AccountId, DirectoryUserId, Leaving};
use entrain_domain::policy::Measure;
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::pool::{Reader, on};
use crate::store::Store;
use crate::sum::Sum;
use crate::writer::Batch;

const PLACES: &str = "SELECT directory_id, account, name, origin, leaving, since, groups_before, sum FROM ladder \
    WHERE connection = $1 ORDER BY directory_id";
const RUNGS: &str = "SELECT directory_id, measure, hand, at, sum FROM ladder_rungs WHERE connection = $1 \
    ORDER BY directory_id, measure";
const PLACE_OF: &str = "SELECT directory_id, account, name, origin, leaving, since, groups_before, sum FROM ladder \
    WHERE connection = $1 AND directory_id = $2";
const RUNGS_OF: &str = "SELECT directory_id, measure, hand, at, sum FROM ladder_rungs \
    WHERE connection = $1 AND directory_id = $2 ORDER BY measure";
const ENTER: &str = "INSERT INTO ladder (connection, directory_id, account, name, origin, leaving, since, \
    groups_before, sum) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (connection, directory_id) DO UPDATE SET \
    account = excluded.account, name = excluded.name, origin = excluded.origin, leaving = excluded.leaving, \
    since = excluded.since, groups_before = excluded.groups_before, sum = excluded.sum";
const PASS: &str = "INSERT INTO ladder_rungs (connection, directory_id, measure, hand, at, sum) \
    SELECT $1, $2, $3, $4, $5, $6 WHERE EXISTS (SELECT 1 FROM ladder WHERE connection = $1 AND directory_id = $2) \
    ON CONFLICT (connection, directory_id, measure) DO UPDATE SET \
    hand = excluded.hand, at = excluded.at, sum = excluded.sum";
const STEP_BACK: &str =
    "DELETE FROM ladder_rungs WHERE connection = $1 AND directory_id = $2 AND measure = $3";
const LEAVE: [&str; 2] = [
    "DELETE FROM ladder_rungs WHERE connection = $1 AND directory_id = $2",
    "DELETE FROM ladder WHERE connection = $1 AND directory_id = $2",
];

const DOING: &str = "storing the leaver ladder";

fn place_sum(connection: &str, fields: [&str; 7]) -> i64 {
    fields.iter().fold(Sum::of("ladder").text(connection), |sum, field| sum.text(field)).finish()
}

fn rung_sum(connection: &str, fields: [&str; 4]) -> i64 {
    fields.iter().fold(Sum::of("ladder_rungs").text(connection), |sum, field| sum.text(field)).finish()
}

/// Applies one change of the ladder.
pub(crate) async fn apply(batch: &mut Batch, connection: &str, change: &MemoryChange) -> Result<()> {
    match change {
        MemoryChange::EnterLadder(place) => {
            let groups = serde_json::to_string(&place.groups).expect("ids and names are JSON");
            let since = place.since.to_string();
            let fields = [
                place.user.as_str(),
                place.account.as_str(),
                &place.name,
                place.origin.as_str(),
                place.leaving.as_str(),
                &since,
                &groups,
            ];
            on!(Tx, &mut batch.tx, tx => {
                let mut query = sqlx::query(ENTER).bind(connection);
                for field in fields {
                    query = query.bind(field);
                }
                query.bind(place_sum(connection, fields)).execute(&mut **tx).await.map_err(Error::database(DOING))?;
            });
            for (measure, passed) in &place.passed {
                pass(batch, connection, &place.user, *measure, *passed).await?;
            }
        }
        MemoryChange::PassRung { user, measure, hand, at } => {
            pass(batch, connection, user, *measure, Passed { hand: *hand, at: *at }).await?;
        }
        MemoryChange::StepBack { user, measure } => {
            on!(Tx, &mut batch.tx, tx => sqlx::query(STEP_BACK)
                .bind(connection).bind(user.as_str()).bind(measure.as_str())
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database(DOING))?;
        }
        MemoryChange::LeaveLadder { user } => {
            for sql in LEAVE {
                on!(Tx, &mut batch.tx, tx => sqlx::query(sql)
                    .bind(connection).bind(user.as_str())
                    .execute(&mut **tx).await.map(|_| ()))
                .map_err(Error::database(DOING))?;
            }
        }
        _ => {}
    }
    Ok(())
}

async fn pass(
    batch: &mut Batch,
    connection: &str,
    user: &DirectoryUserId,
    measure: Measure,
    passed: Passed,
) -> Result<()> {
    let at = passed.at.to_string();
    let fields = [user.as_str(), measure.as_str(), passed.hand.as_str(), &at];
    on!(Tx, &mut batch.tx, tx => {
        let mut query = sqlx::query(PASS).bind(connection);
        for field in fields {
            query = query.bind(field);
        }
        query.bind(rung_sum(connection, fields)).execute(&mut **tx).await.map_err(Error::database(DOING))?;
    });
    Ok(())
}

type PlaceRow = (String, String, String, String, String, String, String, i64);
type RungRow = (String, String, String, String, i64);

impl Store {
    /// Everybody on the ladder of a connection, in the order of ids.
    pub async fn ladder(&self, connection: &str) -> Result<Vec<OnLadder>> {
        let doing = "reading the leaver ladder";
        let rungs: Vec<RungRow> = on!(Pool, &self.inner.readers, db => {
            sqlx::query_as(RUNGS).bind(connection).fetch_all(db).await.map_err(Error::database(doing))?
        });
        let places: Vec<PlaceRow> = on!(Pool, &self.inner.readers, db => {
            sqlx::query_as(PLACES).bind(connection).fetch_all(db).await.map_err(Error::database(doing))?
        });
        on_ladder(connection, rungs, places)
    }
}

impl Reader {
    /// The place of one person.
    pub(crate) async fn place_of(
        &mut self,
        connection: &str,
        user: &DirectoryUserId,
    ) -> Result<Option<OnLadder>> {
        let doing = "reading the leaver ladder";
        let places: Vec<PlaceRow> = on!(Reader, self, db => {
            sqlx::query_as(PLACE_OF).bind(connection).bind(user.as_str()).fetch_all(&mut **db).await
                .map_err(Error::database(doing))?
        });
        if places.is_empty() {
            return Ok(None);
        }
        let rungs: Vec<RungRow> = on!(Reader, self, db => {
            sqlx::query_as(RUNGS_OF).bind(connection).bind(user.as_str()).fetch_all(&mut **db).await
                .map_err(Error::database(doing))?
        });
        Ok(on_ladder(connection, rungs, places)?.pop())
    }
}

fn on_ladder(connection: &str, rungs: Vec<RungRow>, places: Vec<PlaceRow>) -> Result<Vec<OnLadder>> {
    let mut passed: BTreeMap<String, BTreeMap<Measure, Passed>> = BTreeMap::new();
    for (user, measure, hand, at, sum) in rungs {
        let wrong = || Error::row("ladder_rungs", format_args!("{user} {measure}"));
        if rung_sum(connection, [&user, &measure, &hand, &at]) != sum {
            return Err(wrong());
        }
        let rung = Passed {
            hand: Hand::from_word(&hand).ok_or_else(wrong)?,
            at: at.parse::<Timestamp>().map_err(|_| wrong())?,
        };
        let measure = Measure::from_word(&measure).ok_or_else(wrong)?;
        passed.entry(user).or_default().insert(measure, rung);
    }
    let mut ladder = Vec::with_capacity(places.len());
    for (user, account, name, origin, leaving, since, groups, sum) in places {
        let wrong = || Error::row("ladder", &user);
        if place_sum(connection, [&user, &account, &name, &origin, &leaving, &since, &groups]) != sum {
            return Err(wrong());
        }
        ladder.push(OnLadder {
            user: DirectoryUserId::parse(&user).map_err(|_| wrong())?,
            account: AccountId::parse(&account).map_err(|_| wrong())?,
            name: name.as_str().into(),
            origin: Origin::from_word(&origin).ok_or_else(wrong)?,
            leaving: Leaving::from_word(&leaving).ok_or_else(wrong)?,
            since: since.parse::<Timestamp>().map_err(|_| wrong())?,
            groups: serde_json::from_str::<Vec<FormerGroup>>(&groups).map_err(|_| wrong())?,
            passed: passed.remove(&user).unwrap_or_default(),
        });
    }
    Ok(ladder)
}
