//! What `[leavers]` means.

use std::time::Duration;

use entrain_domain::policy::{self, Delays, Leavers, Measure};

use super::sections::{LeaverAccounts, RungsSection, Sections};
use super::values::Reader;

/// Switches off for one way of leaving what is on for the others.
const NEVER: &str = "never";

/// Reads the section; every mistake is reported.
pub(super) fn read(reader: &mut Reader<'_>, s: &Sections) -> Leavers {
    let general = RungsSection {
        suspend_after: s.leavers.suspend_after.clone(),
        deactivate_after: s.leavers.deactivate_after.clone(),
        remove_after: s.leavers.remove_after.clone(),
    };
    let general = rungs(reader, "leavers", &general, Delays::default());
    let leavers = Leavers {
        accounts: match s.leavers.accounts {
            LeaverAccounts::Invited => policy::LeaverAccounts::Invited,
            LeaverAccounts::Linked => policy::LeaverAccounts::Linked,
        },
        disabled: rungs(reader, "leavers.disabled", &s.leavers.disabled, general),
        deleted: rungs(reader, "leavers.deleted", &s.leavers.deleted, general),
        out_of_scope: rungs(reader, "leavers.out_of_scope", &s.leavers.out_of_scope, Delays::default()),
    };
    if s.site.organization.is_none() {
        let sections = [
            ("leavers.disabled", &leavers.disabled),
            ("leavers.deleted", &leavers.deleted),
            ("leavers.out_of_scope", &leavers.out_of_scope),
        ];
        for measure in [Measure::Suspend, Measure::Deactivate] {
            let Some((section, _)) = sections.iter().find(|(_, delays)| delays.of(measure).is_some()) else {
                continue;
            };
            let above = match measure {
                Measure::Suspend => &s.leavers.suspend_after,
                _ => &s.leavers.deactivate_after,
            };
            let section = if above.is_some() { "leavers" } else { section };
            reader.found(
                &format!("{section}.{}", measure.key()),
                "needs an organization key, and none is configured",
                "add [site.organization], or take it out; with the API token alone, remove_after is the one further rung",
            );
        }
    }
    leavers
}

fn rungs(reader: &mut Reader<'_>, section: &str, given: &RungsSection, otherwise: Delays) -> Delays {
    let mut read = |measure: Measure, text: &Option<String>| match text.as_deref() {
        None => otherwise.of(measure),
        Some(NEVER) => None,
        Some(text) => {
            let delay = span(text);
            if delay.is_none() {
                reader.found(
                    &format!("{section}.{}", measure.key()),
                    "is not a length of time",
                    "write it as 7d or 36h (0s for at once), or \"never\"",
                );
            }
            delay
        }
    };
    Delays {
        suspend: read(Measure::Suspend, &given.suspend_after),
        deactivate: read(Measure::Deactivate, &given.deactivate_after),
        remove: read(Measure::Remove, &given.remove_after),
    }
}

/// A length of time with weeks and days of 24 hours; never negative.
fn span(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.trim().parse().ok()?;
    let time = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_of_24_hours_and_nothing_is_negative() {
        let days = |n: u64| Some(Duration::from_secs(n * 24 * 3600));
        assert_eq!(span("7d"), days(7));
        assert_eq!(span("2w"), days(14));
        assert_eq!(span("1d 12h"), Some(Duration::from_hours(36)));
        assert_eq!(span("0s"), Some(Duration::ZERO));
        for wrong in ["", "7", "-7d", "soon", "1 month"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }
}
