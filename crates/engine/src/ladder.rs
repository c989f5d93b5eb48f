//! Who is on the leaver ladder, for the report.

use entrain_domain::Failure;
use entrain_domain::plan::{LadderRow, ladder_rows};

use crate::ports::{Clock, Directory, Ids, Site, Store};
use crate::run::Engine;

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Everybody on the leaver ladder, with what comes next; from what is remembered, without a request.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn ladder(&self) -> Result<Vec<LadderRow>, Failure> {
        let places = self.ports.store.ladder(&self.connection).await?;
        Ok(ladder_rows(&places, &self.rules))
    }
}
