//! When a connection runs, and how long notifications may be missed.

use std::time::Duration;

use entrain_engine::notifications::hints::Patience;
use entrain_engine::schedule::{Rhythm, Schedule, Window};

use super::sections::{NotificationsSection, ScheduleSection};
use super::values::Reader;

/// Time between runs, unless the document says otherwise.
const EVERY: Duration = Duration::from_mins(15);
/// Time between full reads, unless the document says otherwise.
const FULL_EVERY: Duration = Duration::from_hours(24);

impl Reader<'_> {
    /// Gives back the schedule and the time between full reads.
    pub(super) fn schedule(&mut self, s: &ScheduleSection) -> (Schedule, Duration) {
        let minute = Duration::from_mins(1);
        let every = self.span("schedule.every", s.every.as_deref(), minute).unwrap_or(EVERY);
        let full_every = self.span("schedule.full_every", s.full_every.as_deref(), minute);
        let jitter = self.span("schedule.jitter", s.jitter.as_deref(), Duration::ZERO).unwrap_or_default();
        if s.every.is_some() && s.cron.is_some() {
            self.found("schedule.cron", "is given beside every", "keep one of the two");
        }
        if s.cron.is_none() && jitter >= every {
            self.found("schedule.jitter", "is not shorter than every", "write less");
        }
        let cron = s.cron.as_ref().and_then(|cron| {
            let parsed = cron.parse::<croner::Cron>().ok().filter(|_| cron.split_whitespace().count() == 5);
            if parsed.is_none() {
                self.found(
                    "schedule.cron",
                    "is not a cron expression of five fields",
                    "write minute, hour, day of month, month, day of week, such as \"*/15 6-20 * * 1-5\"",
                );
            }
            parsed
        });
        if s.time_zone.is_some() && s.cron.is_none() && s.blackout.is_empty() {
            self.found(
                "schedule.time_zone",
                "means nothing without cron or blackout",
                "add one of them, or take time_zone out",
            );
        }
        let zone = s.time_zone.as_ref().and_then(|zone| {
            let zone = jiff::tz::TimeZone::get(zone).ok();
            if zone.is_none() {
                self.found(
                    "schedule.time_zone",
                    "is not a time zone",
                    "write an IANA name such as \"Europe/Berlin\"",
                );
            }
            zone
        });
        let mut blackout = Vec::with_capacity(s.blackout.len());
        for (at, text) in s.blackout.iter().enumerate() {
            match text.parse::<Window>() {
                Ok(window) => blackout.push(window),
                Err(error) => self.found(
                    &format!("schedule.blackout[{at}]"),
                    error.to_string(),
                    "write it as \"22:00-06:00\" or \"sat,sun 00:00-24:00\"",
                ),
            }
        }
        let schedule = Schedule {
            rhythm: cron.map_or(Rhythm::Every(every), |cron| Rhythm::Cron(Box::new(cron))),
            jitter,
            blackout,
            zone: zone.unwrap_or(jiff::tz::TimeZone::UTC),
        };
        (schedule, full_every.unwrap_or(FULL_EVERY))
    }

    /// How patient the connection is with hints, where notifications are enabled.
    pub(super) fn notifications(&mut self, s: &NotificationsSection) -> Option<Patience> {
        let usual = Patience::default();
        let second = Duration::from_secs(1);
        let quiet = self.span("notifications.quiet", s.quiet.as_deref(), Duration::from_millis(100));
        let at_most = self.span("notifications.longest_wait", s.longest_wait.as_deref(), second);
        let loss_after = self.span("notifications.loss_after", s.loss_after.as_deref(), second);
        let patience = Patience {
            quiet: quiet.unwrap_or(usual.quiet),
            at_most: at_most.unwrap_or(usual.at_most),
            loss_after: loss_after.unwrap_or(usual.loss_after),
        };
        if patience.at_most < patience.quiet {
            self.found(
                "notifications.longest_wait",
                "is shorter than quiet",
                "write more, or less for quiet",
            );
        }
        s.enabled.then_some(patience)
    }
}
