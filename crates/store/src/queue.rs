//! The waiting list for seats.

use entrain_domain::memory::{Memory, MemoryChange};
use entrain_domain::model::{DirectoryUserId, ProductKey};
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::pool::{Reader, on};
use crate::sum::Sum;
use crate::writer::Batch;

const QUEUE: &str = "SELECT product, directory_id, since, sum FROM seat_queue WHERE connection = $1 \
    ORDER BY product, directory_id";
// Whoever waits already keeps the place.
const ENTER: &str = "INSERT INTO seat_queue (connection, product, directory_id, since, sum) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (connection, product, directory_id) DO NOTHING";
const LEAVE: &str = "DELETE FROM seat_queue WHERE connection = $1 AND product = $2 AND directory_id = $3";

fn sum_of(connection: &str, fields: [&str; 3]) -> i64 {
    fields.iter().fold(Sum::of("seat_queue").text(connection), |sum, field| sum.text(field)).finish()
}

/// Applies changes of the waiting list, in their order.
pub(crate) async fn apply(batch: &mut Batch, connection: &str, changes: &[MemoryChange]) -> Result<()> {
    let doing = "storing the waiting list for seats";
    for change in changes {
        match change {
            MemoryChange::AwaitSeat { product, user, since } => {
                let since = since.to_string();
                let fields = [&*product.0, user.as_str(), &since];
                on!(Tx, &mut batch.tx, tx => sqlx::query(ENTER)
                    .bind(connection).bind(fields[0]).bind(fields[1]).bind(fields[2])
                    .bind(sum_of(connection, fields))
                    .execute(&mut **tx).await.map(|_| ()))
                .map_err(Error::database(doing))?;
            }
            MemoryChange::LeaveQueue { product, user } => {
                on!(Tx, &mut batch.tx, tx => sqlx::query(LEAVE)
                    .bind(connection).bind(&*product.0).bind(user.as_str())
                    .execute(&mut **tx).await.map(|_| ()))
                .map_err(Error::database(doing))?;
            }
            _ => {}
        }
    }
    Ok(())
}

impl Reader {
    /// Everybody who waits for a seat, into memory.
    pub(crate) async fn seat_queue(&mut self, connection: &str, memory: &mut Memory) -> Result<()> {
        let doing = "reading the waiting list for seats";
        let rows: Vec<(String, String, String, i64)> = on!(Reader, self, db => {
            sqlx::query_as(QUEUE).bind(connection).fetch_all(&mut **db).await.map_err(Error::database(doing))?
        });
        for (product, user, since, sum) in rows {
            let wrong = || Error::row("seat_queue", format_args!("{product} {user}"));
            if sum_of(connection, [&product, &user, &since]) != sum {
                return Err(wrong());
            }
            memory.apply(&MemoryChange::AwaitSeat {
                product: ProductKey(product.as_str().into()),
                user: DirectoryUserId::parse(&user).map_err(|_| wrong())?,
                since: since.parse::<Timestamp>().map_err(|_| wrong())?,
            });
        }
        Ok(())
    }
}
