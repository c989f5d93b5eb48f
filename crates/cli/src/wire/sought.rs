//! The audit log, looked through.

use entrain_server::service::Answer;
use entrain_server::sought::{AuditSearch, Sought};
use entrain_store::AuditFilter;
use serde_json::{Value, json};

use super::service::Wired;

impl AuditSearch for Wired {
    fn sought(&self, sought: Sought, limit: u32) -> Answer<'_, Vec<Value>> {
        Box::pin(async move {
            let Sought { who, kind, object, from, to, before } = sought;
            let filter = AuditFilter { since: from, until: to, actor: who, action: kind, object, before };
            let entries = self.store.audit_select(&filter, limit).await.map_err(|e| e.failure())?;
            Ok(entries.iter().rev().map(|entry| json!(entry)).collect())
        })
    }
}
