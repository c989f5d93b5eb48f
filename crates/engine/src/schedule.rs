//! When a connection is due: pure, with the time passed in. An interval counts from the last start; cron looks at the
//! wall clock of its time zone, with its gaps and overlaps. Whatever was missed while nobody was there is caught up
//! once. Jitter is not chance: it comes from the connection's name and the hour, so that every replica and every
//! restart finds the same instant.

use std::time::Duration;

use croner::Cron;
use entrain_domain::run::parked_until;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use sha2::{Digest as _, Sha256};

/// A connection in quarantine is tried no more often than this.
pub const QUARANTINE_REST: Duration = Duration::from_hours(1);

/// A start that lies this far ahead of now was noted by a clock that has been put back since.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);

/// Blackout windows passed through before it is said that there is no time left; a week has fewer.
const MOST_WINDOWS: usize = 64;

/// The beat of a schedule.
#[derive(Debug, Clone)]
pub enum Rhythm {
    /// So long after the last start.
    Every(Duration),
    /// At these times of the wall clock.
    Cron(Box<Cron>),
}

/// When a connection runs by itself.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The beat.
    pub rhythm: Rhythm,
    /// Each start is put off by at most this much, spread evenly.
    pub jitter: Duration,
    /// No run begins in these.
    pub blackout: Vec<Window>,
    /// The time zone of cron and of the windows.
    pub zone: TimeZone,
}

/// What has been so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// When the schedule began to count: the connection was stored.
    pub known_since: Timestamp,
    /// The last start by schedule.
    pub fired_at: Option<Timestamp>,
    /// Whether the last run left the connection in quarantine.
    pub health: Health,
    /// Until when the last run was parked, if it was: a quota of a cloud is used up.
    pub resume_at: Option<Timestamp>,
}

/// How a connection fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// As it should.
    Well,
    /// Too much of what was tried failed.
    Quarantined,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Start.
    Now,
    /// Wait until then.
    At(Timestamp),
    /// There is no time at which it may start: a date that never comes, or blackout windows without a gap.
    Never,
}

impl Schedule {
    /// An interval in UTC without jitter or windows.
    pub fn every(time: Duration) -> Self {
        Self {
            rhythm: Rhythm::Every(time),
            jitter: Duration::ZERO,
            blackout: Vec::new(),
            zone: TimeZone::UTC,
        }
    }

    /// Whether the connection of this name is due.
    pub fn due(&self, name: &str, past: &Past, now: Timestamp) -> Due {
        let ahead = |fired: &Timestamp| fired.duration_since(now) > signed(CLOCK_TOLERANCE);
        let planned = if past.fired_at.as_ref().is_some_and(ahead) {
            Some(now)
        } else {
            self.planned(name, past.fired_at, past.known_since)
        };
        let Some(mut planned) = planned else { return Due::Never };
        if let (Health::Quarantined, Some(fired)) = (past.health, past.fired_at.filter(|f| !ahead(f))) {
            planned = planned.max(later(fired, QUARANTINE_REST));
        }
        if let Some(resume_at) = parked_until(past.resume_at, now) {
            planned = planned.max(resume_at);
        }
        match self.outside_blackout(planned.max(now)) {
            Some(at) if at <= now => Due::Now,
            Some(at) => Due::At(at),
            None => Due::Never,
        }
    }

    /// Whether something other than the beat, such as a change notification, may start a run.
    pub fn admits(&self, past: &Past, now: Timestamp) -> Due {
        let ahead = |fired: &Timestamp| fired.duration_since(now) > signed(CLOCK_TOLERANCE);
        let mut at = now;
        if let (Health::Quarantined, Some(fired)) = (past.health, past.fired_at.filter(|f| !ahead(f))) {
            at = at.max(later(fired, QUARANTINE_REST));
        }
        match self.outside_blackout(at) {
            Some(at) if at <= now => Due::Now,
            Some(at) => Due::At(at),
            None => Due::Never,
        }
    }

    /// The next start by the beat and the jitter alone.
    fn planned(&self, name: &str, fired: Option<Timestamp>, known_since: Timestamp) -> Option<Timestamp> {
        let beat = match &self.rhythm {
            Rhythm::Every(time) => fired.map_or(known_since, |fired| later(fired, *time)),
            Rhythm::Cron(cron) => {
                let from = fired.unwrap_or(known_since).to_zoned(self.zone.clone());
                cron.find_next_occurrence(&from, false).ok()?.timestamp()
            }
        };
        Some(later(beat, self.put_off(name, beat)))
    }

    fn put_off(&self, name: &str, beat: Timestamp) -> Duration {
        let mut hash = Sha256::new();
        hash.update("entrain jitter ");
        hash.update(name);
        hash.update(beat.as_second().to_le_bytes());
        let digest = hash.finalize();
        let part = f64::from(u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]));
        self.jitter.mul_f64(part / (f64::from(u32::MAX) + 1.0))
    }

    /// The first instant from `at` on that lies in no window.
    fn outside_blackout(&self, at: Timestamp) -> Option<Timestamp> {
        let mut at = at.to_zoned(self.zone.clone());
        for _ in 0..MOST_WINDOWS {
            let Some(end) = self.blackout.iter().filter_map(|window| window.end_around(&at)).max() else {
                return Some(at.timestamp());
            };
            at = end;
        }
        None
    }
}

fn signed(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(signed(by)).unwrap_or(Timestamp::MAX)
}

/// A time of the week in which no run begins: `22:00-06:00`, or with days `sat,sun 00:00-24:00`. One that ends before
/// it begins ends on the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    days: [bool; 7],
    start: Time,
    /// Minutes after midnight of the day it begins; more than a day's where it ends on the next.
    end: i16,
}

/// Why a text is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not two times of day.
    #[error("is not two times of day such as 22:00-06:00")]
    Times,
    /// Not names of days.
    #[error("names a day that is not mon, tue, wed, thu, fri, sat or sun")]
    Days,
    /// Begins when it ends.
    #[error("begins when it ends")]
    Empty,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: i16 = 24 * 60;

impl Window {
    fn end_around(&self, at: &Zoned) -> Option<Zoned> {
        let today = at.date();
        [Some(today), today.yesterday().ok()].into_iter().flatten().find_map(|date| {
            if !self.days[usize::try_from(date.weekday().to_monday_zero_offset()).ok()?] {
                return None;
            }
            let zone = at.time_zone();
            let start = date.to_datetime(self.start).to_zoned(zone.clone()).ok()?;
            let mut last = date;
            for _ in 0..self.end / DAY {
                last = last.tomorrow().ok()?;
            }
            let minute = self.end % DAY;
            let time =
                Time::new(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0).ok()?;
            let end = last.to_datetime(time).to_zoned(zone.clone()).ok()?;
            (start <= *at && *at < end).then_some(end)
        })
    }
}

fn minutes(text: &str) -> Option<i16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten().map(i16::from);
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

fn day(text: &str) -> Result<Weekday, WindowError> {
    let at = DAYS.iter().position(|name| *name == text.trim()).ok_or(WindowError::Days)?;
    i8::try_from(at).ok().and_then(|at| Weekday::from_monday_zero_offset(at).ok()).ok_or(WindowError::Days)
}

impl std::str::FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let text = text.trim().to_lowercase();
        let (names, times) = match text.rsplit_once(' ') {
            Some((names, times)) => (Some(names), times),
            None => (None, text.as_str()),
        };
        let (start, end) = times.split_once('-').ok_or(WindowError::Times)?;
        let (start, mut end) =
            (minutes(start).ok_or(WindowError::Times)?, minutes(end).ok_or(WindowError::Times)?);
        if start == end || start == DAY {
            return Err(WindowError::Empty);
        }
        if end < start {
            end += DAY;
        }
        let hour = |part: i16| i8::try_from(part).map_err(|_| WindowError::Times);
        let start = Time::new(hour(start / 60)?, hour(start % 60)?, 0, 0).map_err(|_| WindowError::Times)?;
        let mut days = [names.is_none(); 7];
        for name in names.into_iter().flat_map(|names| names.split(',')) {
            let (first, last) = match name.split_once('-') {
                Some((first, last)) => (day(first)?, day(last)?),
                None => (day(name)?, day(name)?),
            };
            let mut at = first;
            loop {
                days[usize::try_from(at.to_monday_zero_offset()).map_err(|_| WindowError::Days)?] = true;
                if at == last {
                    break;
                }
                at = at.next();
            }
        }
        Ok(Self { days, start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn past(known: &str, fired: Option<&str>) -> Past {
        Past { known_since: at(known), fired_at: fired.map(at), health: Health::Well, resume_at: None }
    }

    fn cron(pattern: &str, zone: &str) -> Schedule {
        Schedule {
            rhythm: Rhythm::Cron(Box::new(pattern.parse().unwrap())),
            zone: TimeZone::get(zone).unwrap(),
            ..Schedule::every(Duration::ZERO)
        }
    }

    const KNOWN: &str = "2026-01-01T00:00:00Z";

    #[test]
    fn an_interval_counts_from_the_last_start_and_begins_at_once() {
        let schedule = Schedule::every(Duration::from_mins(15));
        let now = at("2026-05-01T10:00:00Z");
        assert_eq!(schedule.due("a", &past(KNOWN, None), now), Due::Now);
        let fired = past(KNOWN, Some("2026-05-01T09:50:00Z"));
        assert_eq!(schedule.due("a", &fired, now), Due::At(at("2026-05-01T10:05:00Z")));
        assert_eq!(schedule.due("a", &fired, at("2026-05-01T10:05:00Z")), Due::Now);
    }

    #[test]
    fn what_was_missed_is_caught_up_once() {
        let now = at("2026-05-08T10:00:30Z");
        for schedule in [Schedule::every(Duration::from_mins(1)), cron("* * * * *", "UTC")] {
            let down_for_a_week = past(KNOWN, Some("2026-05-01T10:00:00Z"));
            assert_eq!(schedule.due("a", &down_for_a_week, now), Due::Now);
            let caught_up = past(KNOWN, Some("2026-05-08T10:00:30Z"));
            assert!(matches!(schedule.due("a", &caught_up, now), Due::At(next) if next > now));
        }
    }

    #[test]
    fn a_new_connection_waits_for_the_first_time_of_its_cron() {
        let schedule = cron("0 6 * * *", "UTC");
        let new = past("2026-05-01T05:00:00Z", None);
        assert_eq!(schedule.due("a", &new, at("2026-05-01T05:00:01Z")), Due::At(at("2026-05-01T06:00:00Z")));
        assert_eq!(schedule.due("a", &new, at("2026-05-01T09:00:00Z")), Due::Now);
    }

    /// All starts by this schedule between two instants, looked at every 20 seconds.
    fn starts(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
        let (mut now, end) = (at(from), at(to));
        let mut past = past(from, Some(from));
        let mut found = Vec::new();
        while now < end {
            if schedule.due("a", &past, now) == Due::Now {
                past.fired_at = Some(now);
                found.push(now.to_zoned(schedule.zone.clone()).strftime("%d %H:%M %Z").to_string());
            }
            now = later(now, Duration::from_secs(20));
        }
        found
    }

    #[test]
    fn r_12_an_hour_that_summer_time_skips_loses_no_run() {
        // Berlin, 29 March 2026: 02:00 becomes 03:00
        let daily = cron("30 2 * * *", "Europe/Berlin");
        assert_eq!(
            starts(&daily, "2026-03-27T12:00:00Z", "2026-03-30T12:00:00Z"),
            ["28 02:30 CET", "29 03:00 CEST", "30 02:30 CEST"]
        );
        let hourly = cron("0 * * * *", "Europe/Berlin");
        assert_eq!(
            starts(&hourly, "2026-03-28T23:30:00Z", "2026-03-29T03:30:00Z"),
            ["29 01:00 CET", "29 03:00 CEST", "29 04:00 CEST", "29 05:00 CEST"]
        );
    }

    #[test]
    fn r_12_an_hour_that_comes_twice_does_not_repeat_a_daily_run() {
        // Berlin, 25 October 2026: 03:00 becomes 02:00
        let daily = cron("30 2 * * *", "Europe/Berlin");
        assert_eq!(
            starts(&daily, "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
            ["25 02:30 CEST", "26 02:30 CET"]
        );
        let hourly = cron("0 * * * *", "Europe/Berlin");
        assert_eq!(
            starts(&hourly, "2026-10-24T23:30:00Z", "2026-10-25T02:30:00Z"),
            ["25 02:00 CEST", "25 02:00 CET", "25 03:00 CET"]
        );
    }

    #[test]
    fn r_12_a_clock_that_was_put_back_does_not_stop_the_schedule() {
        let schedule = Schedule::every(Duration::from_mins(15));
        let ahead = past(KNOWN, Some("2036-05-01T10:00:00Z"));
        assert_eq!(schedule.due("a", &ahead, at("2026-05-01T10:00:00Z")), Due::Now);
        let a_second = past(KNOWN, Some("2026-05-01T10:00:01Z"));
        assert_eq!(
            schedule.due("a", &a_second, at("2026-05-01T10:00:00Z")),
            Due::At(at("2026-05-01T10:15:01Z"))
        );
    }

    #[test]
    fn jitter_spreads_connections_and_is_the_same_whenever_it_is_asked() {
        let schedule =
            Schedule { jitter: Duration::from_mins(10), ..Schedule::every(Duration::from_hours(1)) };
        let fired = past(KNOWN, Some("2026-05-01T09:00:00Z"));
        let now = at("2026-05-01T09:00:01Z");
        let due = |name: &str| match schedule.due(name, &fired, now) {
            Due::At(at) => at,
            other => panic!("{other:?}"),
        };
        let all: std::collections::BTreeSet<Timestamp> = (0..50).map(|n| due(&format!("c{n}"))).collect();
        assert!(all.len() > 40, "{all:?}");
        let (first, last) = (at("2026-05-01T10:00:00Z"), at("2026-05-01T10:10:00Z"));
        assert!(all.iter().all(|at| (first..=last).contains(at)), "{all:?}");
        assert_eq!(due("c1"), due("c1"));
    }

    #[test]
    fn no_run_begins_in_a_blackout_window() {
        let mut schedule = Schedule::every(Duration::from_mins(15));
        schedule.zone = TimeZone::get("Europe/Berlin").unwrap();
        schedule.blackout = vec!["22:00-06:00".parse().unwrap(), "sat,sun 00:00-24:00".parse().unwrap()];
        let due = |now: &str| schedule.due("a", &past(KNOWN, None), at(now));
        // Thursday 22:30 in Berlin, until Friday 06:00
        assert_eq!(due("2026-05-07T20:30:00Z"), Due::At(at("2026-05-08T04:00:00Z")));
        // Friday 23:00, through the weekend, until Monday 06:00
        assert_eq!(due("2026-05-08T21:00:00Z"), Due::At(at("2026-05-11T04:00:00Z")));
        assert_eq!(due("2026-05-08T10:00:00Z"), Due::Now);
        let admits = |now: &str| schedule.admits(&past(KNOWN, Some(KNOWN)), at(now));
        assert_eq!(admits("2026-05-07T20:30:00Z"), Due::At(at("2026-05-08T04:00:00Z")));
        assert_eq!(admits("2026-05-08T10:00:00Z"), Due::Now, "whatever the beat says");
        let sick = Past { health: Health::Quarantined, ..past(KNOWN, Some("2026-05-08T09:30:00Z")) };
        assert_eq!(schedule.admits(&sick, at("2026-05-08T10:00:00Z")), Due::At(at("2026-05-08T10:30:00Z")));
        schedule.blackout = vec!["00:00-24:00".parse().unwrap()];
        let due = schedule.due("a", &past(KNOWN, None), at("2026-05-08T10:00:00Z"));
        assert_eq!(due, Due::Never, "a whole week without a gap");
    }

    #[test]
    fn d_05_a_connection_in_quarantine_runs_at_most_hourly() {
        let schedule = Schedule::every(Duration::from_mins(1));
        let mut past = past(KNOWN, Some("2026-05-01T10:00:00Z"));
        past.health = Health::Quarantined;
        let now = at("2026-05-01T10:30:00Z");
        assert_eq!(schedule.due("a", &past, now), Due::At(at("2026-05-01T11:00:00Z")));
        past.health = Health::Well;
        assert_eq!(schedule.due("a", &past, now), Due::Now);
    }

    #[test]
    fn windows_are_read_strictly() {
        for text in ["22:00-06:00", "mon-fri 08:00-18:00", "sat,sun 00:00-24:00", "SUN-TUE 01:30-02:00"] {
            assert!(text.parse::<Window>().is_ok(), "{text}");
        }
        for text in ["", "22-6", "22:00", "25:00-26:00", "22:60-23:00", "24:00-01:00", "10:00-10:00"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
        assert_eq!("someday 08:00-09:00".parse::<Window>(), Err(WindowError::Days));
    }

    #[test]
    fn n_02_a_parked_connection_is_not_due_before_its_reset_and_never_parked_for_ever() {
        let schedule = Schedule::every(Duration::from_mins(5));
        let now = at("2026-11-23T10:20:00Z");
        let parked = |until: &str| Past {
            resume_at: Some(at(until)),
            ..past("2026-11-01T00:00:00Z", Some("2026-11-23T10:00:00Z"))
        };
        assert_eq!(
            schedule.due("x", &parked("2026-11-23T11:00:00Z"), now),
            Due::At(at("2026-11-23T11:00:00Z"))
        );
        assert_eq!(schedule.due("x", &parked("2026-11-23T10:20:00Z"), now), Due::Now);
        assert_eq!(schedule.due("x", &parked("2026-11-23T09:00:00Z"), now), Due::Now);
        // Further ahead than a run is ever parked: the clock was put back since
        assert_eq!(schedule.due("x", &parked("2036-11-23T11:00:00Z"), now), Due::Now);
    }
}
