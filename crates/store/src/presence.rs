//! Which servers share this database, and how they divide the limits of the clouds among them. Each counts up a beat and
//! says how much it has to do; a server whose beat stands still is gone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::key::random;
use crate::lease::LEASE;
use crate::pool::on;
use crate::store::Store;
use crate::writer::{Batch, Write};

/// A server counts up its beat.
pub(crate) struct Beat {
    id: String,
    weight: i64,
    gone: Vec<String>,
}

const BEAT: &str = "INSERT INTO servers (id, beat, weight) VALUES ($1, 1, $2) \
    ON CONFLICT (id) DO UPDATE SET beat = servers.beat + 1, weight = excluded.weight";
const GONE: &str = "DELETE FROM servers WHERE id = $1";
const ALL: &str = "SELECT id, beat, weight FROM servers ORDER BY id";

/// How long a server that is gone stays in the table.
const KEPT: Duration = Duration::from_mins(5);

pub(crate) async fn apply(batch: &mut Batch, beat: &Beat) -> Result<()> {
    let doing = "saying that this server is here";
    on!(Tx, &mut batch.tx, tx => sqlx::query(BEAT).bind(&beat.id).bind(beat.weight)
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database(doing))?;
    for gone in &beat.gone {
        on!(Tx, &mut batch.tx, tx => sqlx::query(GONE).bind(gone).execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database(doing))?;
    }
    Ok(())
}

/// This server among the others.
#[derive(Debug)]
pub struct Presence {
    id: String,
    seen: HashMap<String, Seen>,
    /// The share that the last look gave.
    last: u32,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    beat: i64,
    since: Instant,
}

/// How much a server has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Runs are under way.
    Busy,
    /// Only what comes through its doors.
    Idle,
}

impl Load {
    fn weight(self) -> i64 {
        match self {
            Self::Busy => 8,
            Self::Idle => 1,
        }
    }
}

impl Presence {
    /// A server that has just come up; until it has looked twice, it keeps to a tenth.
    pub fn new() -> Result<Self> {
        let mut id = [0_u8; 16];
        random(&mut id)?;
        Ok(Self { id: hex::encode(id), seen: HashMap::new(), last: 100 })
    }

    /// The share of this server in thousandths, from what stands in the table. A greater share counts only from the
    /// second look on: by then the others have seen the weight that it comes from.
    fn share(&mut self, rows: &[(String, i64, i64)], now: Instant) -> u32 {
        let mut alive = 0;
        let mut own = Load::Idle.weight();
        for (id, beat, weight) in rows {
            if *id == self.id {
                (own, alive) = (*weight, alive + weight);
                continue;
            }
            let fresh = Seen { beat: *beat, since: now };
            let seen = self.seen.entry(id.clone()).or_insert(fresh);
            if seen.beat != *beat {
                *seen = fresh;
            }
            if now.duration_since(seen.since) < LEASE {
                alive += weight;
            }
        }
        self.seen.retain(|id, _| rows.iter().any(|(other, ..)| other == id));
        let new = u32::try_from(own * 1000 / alive.max(own)).unwrap_or(1000);
        std::mem::replace(&mut self.last, new).min(new)
    }

    /// Its id among the servers.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Other servers, with the moment at which a new beat of theirs was last seen.
    pub fn others(&self) -> Vec<(String, Instant)> {
        self.seen.iter().map(|(id, seen)| (id.clone(), seen.since)).collect()
    }

    fn gone(&self, now: Instant) -> Vec<String> {
        let still = self.seen.iter().filter(|(_, seen)| now.duration_since(seen.since) >= KEPT);
        still.map(|(id, _)| id.clone()).collect()
    }
}

impl Store {
    /// Says that this server is here and how much it has to do; gives back its share of the clouds' limits in
    /// thousandths. To be called every few seconds, well within the 15 after which a server is taken for gone.
    pub async fn beat(&self, presence: &mut Presence, load: Load) -> Result<u32> {
        let now = Instant::now();
        let beat = Beat { id: presence.id.clone(), weight: load.weight(), gone: presence.gone(now) };
        self.write(Write::Beat(beat)).await?;
        let rows: Vec<(String, i64, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(ALL).fetch_all(db).await)
        .map_err(Error::database("looking for other servers"))?;
        Ok(presence.share(&rows, Instant::now()))
    }

    /// Whether other servers may share this database.
    pub fn is_shared(&self) -> bool {
        self.inner.file.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_secs(5);

    /// Servers that come, work and go in every order, each looking in its own turn: their shares never add up to more
    /// than the whole, but for the moment in which a new one makes itself known.
    #[test]
    fn shares_of_servers_that_live_add_up_to_no_more_than_the_whole() {
        let start = Instant::now();
        let mut servers: Vec<Presence> =
            (0..3).map(|n| Presence { id: format!("s{n}"), seen: HashMap::new(), last: 100 }).collect();
        let mut rows: Vec<(String, i64, i64)> = Vec::new();
        let mut shares = [0_u32; 3];
        for turn in 0_u32..200 {
            for (n, server) in servers.iter_mut().enumerate() {
                // The busy one changes every few turns
                let load = if turn / 7 % 3 == u32::try_from(n).unwrap() { Load::Busy } else { Load::Idle };
                match rows.iter_mut().find(|(id, ..)| *id == server.id) {
                    Some(row) => (row.1, row.2) = (row.1 + 1, load.weight()),
                    None => rows.push((server.id.clone(), 1, load.weight())),
                }
                shares[n] = server.share(&rows, start + LOOK * turn);
                let sum: u32 = shares.iter().sum();
                assert!(turn < 2 || sum <= 1000, "turn {turn}: {shares:?}");
            }
            if turn > 10 && turn % 7 == 6 {
                let busy = usize::try_from(turn / 7 % 3).unwrap();
                assert_eq!(shares[busy], 800, "the busy one has most of it: {shares:?}");
            }
        }
    }

    #[test]
    fn a_server_that_is_gone_leaves_its_share_to_the_others() {
        let start = Instant::now();
        let mut one = Presence { id: "one".into(), seen: HashMap::new(), last: 100 };
        let rows = [("gone".to_owned(), 7, 1), ("one".to_owned(), 1, 1)];
        assert_eq!(one.share(&rows, start), 100);
        assert_eq!(one.share(&rows, start + LOOK), 500);
        assert_eq!(one.share(&rows, start + LEASE), 500);
        assert_eq!(one.share(&rows, start + LEASE + LOOK), 1000);
        assert!(one.gone(start + LEASE).is_empty());
        assert_eq!(one.gone(start + KEPT), ["gone"]);
    }
}
