//! Applies faults around the handlers.

use super::FaultKind;

/// Refuses a kind that cannot be carried out.
pub(super) fn check(kind: &FaultKind) -> Result<(), String> {
    match kind {
        FaultKind::Status { status, .. } | FaultKind::Redirect { status, .. } if !(100..=999).contains(status) => {
            Err(format!("status lies between 100 and 999, not {status}"))
        }
        _ => Ok(()),
    }
}
