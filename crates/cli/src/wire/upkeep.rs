//! What the settings of the console ask, from the store to the service.

use entrain_server::service::Answer;
use entrain_server::upkeep::{SignIns, Upkeep};

use super::service::Wired;

impl Upkeep for Wired {
    fn sign_ins(&self) -> Answer<'_, SignIns> {
        Box::pin(async {
            let found = self.store.last_sign_ins().await.map_err(|e| e.failure())?;
            Ok(SignIns { at: found.at, since: found.since })
        })
    }
}
