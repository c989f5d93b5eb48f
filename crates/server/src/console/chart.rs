//! Drawings, made here as SVG: the rhythm of a day, and the lives of a month. They hold numbers only.

use std::fmt::Write as _;

use entrain_domain::run::RunFigures;
use jiff::{SignedDuration, Timestamp};

/// Slots of the rhythm: quarters of an hour of one day.
const SLOTS: usize = 96;
const SLOT: SignedDuration = SignedDuration::from_mins(15);
/// Days of the lives.
pub(crate) const DAYS: i64 = 28;

/// What a slot of time came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Beat {
    runs: u64,
    planned: u64,
    done: u64,
    held: u64,
}

/// The last 24 hours: what changed in the directory, what arrived on the site, what was held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rhythm {
    /// Path of the bars of the directory.
    pub(crate) directory: String,
    /// Path of the bars of the site.
    pub(crate) site: String,
    /// Left edge and height of the bars that are held.
    pub(crate) held: Vec<(usize, u64)>,
    /// Times under it.
    pub(crate) axis: Vec<String>,
    pub(crate) runs: u64,
    pub(crate) planned: u64,
    pub(crate) done: u64,
}

/// A height in tenths of a pixel; the root shows one change beside a thousand.
fn height(n: u64, most: u64) -> u64 {
    if n == 0 {
        return 15;
    }
    let tenths = (n.saturating_mul(380 * 380) / most.max(4)).isqrt();
    tenths.clamp(40, 380)
}

fn tenths(n: u64) -> String {
    format!("{}.{}", n / 10, n % 10)
}

impl Rhythm {
    pub(crate) fn of(figures: &[RunFigures], now: Timestamp) -> Self {
        let begin = now.saturating_sub(SLOT * i32::try_from(SLOTS).unwrap_or(96)).unwrap_or(now);
        let mut beats = [Beat::default(); SLOTS];
        for run in figures {
            let after = run.at.duration_since(begin).as_secs();
            let Ok(slot) = usize::try_from(after / SLOT.as_secs()) else { continue };
            let Some(beat) = beats.get_mut(slot).filter(|_| after >= 0) else { continue };
            beat.runs += 1;
            beat.planned += run.planned;
            beat.done += run.done;
            beat.held += run.held;
        }
        let most = beats.iter().map(|beat| beat.planned.max(beat.done)).max().unwrap_or_default();
        let (mut directory, mut site, mut held) = (String::new(), String::new(), Vec::new());
        for (slot, beat) in beats.iter().enumerate().filter(|(_, beat)| beat.runs > 0) {
            let x = 2 + slot * 10;
            let up = tenths(height(beat.planned, most));
            let _ = write!(directory, "M{x} 43v-{up}h7v{up}z");
            if beat.held > 0 && beat.done == 0 {
                held.push((x, height(beat.held, most) / 10));
            } else {
                let down = tenths(height(beat.done, most));
                let _ = write!(site, "M{x} 45v{down}h7v-{down}z");
            }
        }
        let label = |quarter: i32| {
            let at = begin.saturating_add(SLOT * (24 * quarter)).unwrap_or(now);
            at.strftime("%H:%M").to_string()
        };
        let mut axis: Vec<String> = (0..4).map(label).collect();
        axis.push("now".into());
        let sum = |of: fn(&Beat) -> u64| beats.iter().map(of).sum();
        Self {
            directory,
            site,
            held,
            axis,
            runs: sum(|beat| beat.runs),
            planned: sum(|beat| beat.planned),
            done: sum(|beat| beat.done),
        }
    }
}

/// A day in the life of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) name: String,
    pub(crate) joined: u64,
    pub(crate) moved: u64,
    pub(crate) left: u64,
}

/// Joiners and movers above the line, leavers below it, by day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lives {
    pub(crate) days: Vec<Day>,
    pub(crate) joined: u64,
    pub(crate) moved: u64,
    pub(crate) left: u64,
    /// Labels of the scale, from the top.
    pub(crate) scale: Vec<u64>,
    pub(crate) grid: String,
    pub(crate) joiners: String,
    pub(crate) movers: String,
    pub(crate) leavers: String,
    /// Where the line is.
    pub(crate) zero: String,
    pub(crate) axis: Vec<String>,
}

const HEIGHT: u64 = 1200;

impl Lives {
    pub(crate) fn of(figures: &[RunFigures], now: Timestamp) -> Self {
        let day = SignedDuration::from_hours(24);
        let today = now.as_second().div_euclid(day.as_secs());
        let first = today - DAYS + 1;
        let name = |number: i64| {
            Timestamp::from_second(number * day.as_secs()).unwrap_or(now).strftime("%-d %b").to_string()
        };
        let mut days: Vec<Day> =
            (first..=today).map(|number| Day { name: name(number), joined: 0, moved: 0, left: 0 }).collect();
        for run in figures {
            let number = run.at.as_second().div_euclid(day.as_secs()) - first;
            let Some(day) = usize::try_from(number).ok().and_then(|number| days.get_mut(number)) else {
                continue;
            };
            day.joined += run.joined;
            day.moved += run.moved;
            day.left += run.left;
        }
        let up = days.iter().map(|day| day.joined + day.moved).max().unwrap_or_default();
        let down = days.iter().map(|day| day.left).max().unwrap_or_default();
        let step = step(up, down);
        let (above, below) = (up.div_ceil(step).max(1), down.div_ceil(step).max(1));
        let rows = above + below;
        let y = |value: u64| value * HEIGHT / (rows * step);
        let zero = y(above * step);
        let (mut joiners, mut movers, mut leavers) = (String::new(), String::new(), String::new());
        for (number, day) in days.iter().enumerate() {
            let x = format!("{}.5", number * 10 + 1);
            let bar = |from: u64, height: u64, sign: &str| {
                let (height, from) = (tenths(height), tenths(from));
                let back = if sign.is_empty() { "-" } else { "" };
                format!("M{x} {from}v{sign}{height}h7v{back}{height}z")
            };
            if day.joined > 0 {
                joiners.push_str(&bar(zero, y(day.joined), "-"));
            }
            if day.moved > 0 {
                movers.push_str(&bar(zero - y(day.joined), y(day.moved), "-"));
            }
            if day.left > 0 {
                leavers.push_str(&bar(zero, y(day.left), ""));
            }
        }
        let mut grid = String::new();
        for row in (0..=rows).filter(|row| *row != above) {
            let _ = write!(grid, "M0 {}H280", tenths(row * HEIGHT / rows));
        }
        let sum = |of: fn(&Day) -> u64| days.iter().map(of).sum();
        Self {
            joined: sum(|day| day.joined),
            moved: sum(|day| day.moved),
            left: sum(|day| day.left),
            scale: (0..=rows).map(|row| above.abs_diff(row) * step).collect(),
            axis: days.iter().step_by(7).map(|day| day.name.clone()).chain(["today".to_owned()]).collect(),
            zero: tenths(zero),
            days,
            grid,
            joiners,
            movers,
            leavers,
        }
    }
}

/// The distance of two lines, so that there are at most six.
fn step(up: u64, down: u64) -> u64 {
    let mut step = 1;
    for factor in [2, 5, 10].into_iter().cycle() {
        if up.div_ceil(step).max(1) + down.div_ceil(step).max(1) <= 5 {
            return step;
        }
        step = match factor {
            2 => step * 2,
            5 => step / 2 * 5,
            _ => step / 5 * 10,
        };
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use entrain_domain::model::RunId;

    fn figures(at: &str, numbers: [u64; 6]) -> RunFigures {
        let [planned, done, held, joined, moved, left] = numbers;
        let run = RunId::parse("r1").unwrap();
        RunFigures { run, at: at.parse().unwrap(), planned, done, held, requests: 2, joined, moved, left }
    }

    #[test]
    fn a_day_is_drawn_slot_by_slot() {
        let now = "2026-11-24T09:12:00Z".parse().unwrap();
        let runs = [
            figures("2026-11-23T09:13:00Z", [4, 4, 0, 2, 0, 0]),
            figures("2026-11-24T09:00:00Z", [84, 0, 84, 0, 0, 0]),
            figures("2026-11-20T09:00:00Z", [9, 9, 0, 9, 0, 0]),
        ];
        let rhythm = Rhythm::of(&runs, now);
        assert_eq!((rhythm.runs, rhythm.planned, rhythm.done), (2, 88, 4), "older runs are not of this day");
        assert!(rhythm.directory.starts_with("M2 43v-"), "{}", rhythm.directory);
        assert_eq!(rhythm.held, [(952, 38)]);
        assert_eq!(rhythm.axis, ["09:12", "15:12", "21:12", "03:12", "now"]);
    }

    #[test]
    fn a_month_is_drawn_day_by_day() {
        let now = "2026-11-24T09:12:00Z".parse().unwrap();
        let lives = Lives::of(&[figures("2026-11-24T01:00:00Z", [1, 1, 0, 7, 4, 3])], now);
        assert_eq!((lives.joined, lives.moved, lives.left, lives.days.len()), (7, 4, 3, 28));
        assert_eq!(lives.scale, [15, 10, 5, 0, 5]);
        assert_eq!(lives.zero, "90.0");
        assert_eq!(lives.joiners, "M271.5 90.0v-42.0h7v42.0z");
        assert_eq!(lives.leavers, "M271.5 90.0v18.0h7v-18.0z");
        assert_eq!(lives.axis, ["28 Oct", "4 Nov", "11 Nov", "18 Nov", "today"]);
    }

    #[test]
    fn the_scale_has_few_lines_whatever_the_numbers() {
        for (up, down) in [(0, 0), (1, 1), (11, 7), (100, 3), (99_999, 1), (7, 90_000)] {
            let step = step(up, down);
            assert!(up.div_ceil(step).max(1) + down.div_ceil(step).max(1) <= 5, "{up} {down} {step}");
        }
    }
}
