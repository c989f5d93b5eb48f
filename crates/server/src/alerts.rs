//! Looks after what people are told, every few seconds: what is new since the last look goes out, and what is over.

use std::sync::Arc;
use std::time::Duration;

use entrain_domain::Failure;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::service::Service;

/// Time between looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Whoever tells people.
pub struct Alerts {
    service: Arc<dyn Service>,
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Alerts")
    }
}

impl Alerts {
    /// Tells of what this service knows.
    pub fn new(service: Arc<dyn Service>) -> Self {
        Self { service }
    }

    /// Looks until it is told to stop. A letter under way is given up then; whoever looks next sends it again.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                looked = self.look() => if let Err(failure) = looked {
                    tracing::error!(code = %failure.code, "what people are to be told cannot be found out: {failure}");
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Connections side by side: the slow channel of one holds up no other.
    async fn look(&self) -> Result<(), Failure> {
        let connections = self.service.connections().await?;
        join_all(connections.iter().map(|connection| self.look_at(&connection.name))).await;
        Ok(())
    }

    async fn look_at(&self, connection: &str) {
        let looked = match self.service.look_after_alerts(connection).await {
            Ok(looked) => looked,
            Err(failure) => {
                tracing::error!(connection, code = %failure.code, "alerts cannot be looked after: {failure}");
                return;
            }
        };
        metrics::alerts_looked(connection, &looked);
        for delivered in &looked.delivered {
            let channel = &delivered.channel;
            match &delivered.outcome {
                Ok(()) => tracing::info!(connection, channel, "people were told"),
                Err(undelivered) => {
                    tracing::warn!(connection, channel, "people could not be told: {undelivered}");
                }
            }
        }
    }
}
