//! When to try again, and how long to wait: what the other side asks for is a floor, what it asks beyond reason is
//! reported with the time to go on, and without a word from it the delay doubles with jitter.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;

use super::Patience;

/// What `Retry-After` asks for: whole or fractional seconds, or an HTTP date. Absent, negative and unreadable values ask
/// for nothing; a number beyond any clock asks for the longest time there is (N-01).
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?;
    parse_retry_after(text, now)
}

pub(crate) fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        let sensible = seconds.is_finite() && seconds >= 0.0;
        return sensible.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// What a 429 asks for: the longer of `Retry-After` and `X-RateLimit-Reset` (Jira, ISO 8601).
pub(super) fn throttle_pause(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let reset = headers
        .get("x-ratelimit-reset")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse::<Timestamp>().ok())
        .map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
    match (retry_after(headers, now), reset) {
        (Some(asked), Some(reset)) if is_quota(headers).is_some() => Some(asked.max(reset)),
        (Some(asked), _) => Some(asked),
        (None, reset) => reset,
    }
}

/// The name of the quota, when a 429 comes from one: then nothing is retried before its reset (N-02).
pub(super) fn is_quota(headers: &HeaderMap) -> Option<String> {
    let reason = headers.get("ratelimit-reason")?.to_str().ok()?;
    reason.to_ascii_lowercase().contains("quota").then(|| super::url::printable(reason))
}

/// How long a quota without a usable reset is taken to last. Jira counts by the hour; asking six times an hour is no storm.
const UNTOLD: Duration = Duration::from_mins(10);

/// How long nothing is sent after a quota is used up: until its reset, at most a day, since the clocks of the two sides may
/// differ by any amount.
pub(super) fn quota_pause(asked: Option<Duration>) -> Duration {
    match asked {
        Some(asked) if !asked.is_zero() => asked.min(entrain_domain::run::LONGEST_PARK),
        _ => UNTOLD,
    }
}

/// The full second at or after a moment, as people are told it.
pub(super) fn full_second(at: Timestamp) -> Timestamp {
    let more = i64::from(at.subsec_nanosecond() > 0);
    Timestamp::from_second(at.as_second().saturating_add(more)).unwrap_or(Timestamp::MAX)
}

/// A moment that lies this far ahead, at the latest the end of the calendar.
pub(super) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

/// How long to wait before the next attempt. `tried` counts the attempts made, `random` is in 0..1.
pub(crate) fn delay(patience: &Patience, tried: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doubled = patience.base_delay.saturating_mul(1 << tried.saturating_sub(1).min(8));
    match asked {
        // Not at once even when allowed: a server that keeps saying zero would be hammered.
        Some(asked) => asked.max(doubled / 16).saturating_add(patience.base_delay.mul_f64(0.25 * random)),
        None => doubled.mul_f64(0.7 + 0.6 * random).min(patience.pause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T10:00:00Z".parse().unwrap()
    }

    /// N-01
    #[test]
    fn retry_after_is_read_in_every_form_that_was_met() {
        let cases: [(&str, Option<Duration>); 14] = [
            ("0", Some(Duration::ZERO)),
            ("1", Some(Duration::from_secs(1))),
            (" 2.128 ", Some(Duration::from_millis(2128))),
            ("3600", Some(Duration::from_hours(1))),
            ("1000000000", Some(Duration::from_secs(1_000_000_000))),
            ("1e300", Some(Duration::MAX)),
            ("-5", None),
            ("", None),
            ("soon", None),
            ("NaN", None),
            ("inf", None),
            ("Mon, 23 Nov 2026 10:00:07 GMT", Some(Duration::from_secs(7))),
            ("Mon, 23 Nov 2026 09:59:00 GMT", Some(Duration::ZERO)),
            ("Mon, 99 Nov 2026 09:59:00 GMT", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_retry_after(text, now()), expected, "{text:?}");
        }
    }

    #[test]
    fn n_02_a_quota_rests_until_its_reset_and_never_longer_than_a_day() {
        let cases = [
            (Some(Duration::from_mins(37)), Duration::from_mins(37)),
            (Some(Duration::from_secs(1)), Duration::from_secs(1)),
            (Some(Duration::ZERO), Duration::from_mins(10)),
            (None, Duration::from_mins(10)),
            (Some(Duration::from_hours(24 * 3650)), Duration::from_hours(24)),
            (Some(Duration::MAX), Duration::from_hours(24)),
        ];
        for (asked, expected) in cases {
            assert_eq!(quota_pause(asked), expected, "{asked:?}");
        }
        let headers = |reason: &str| {
            HeaderMap::from_iter([("ratelimit-reason".parse().unwrap(), reason.parse().unwrap())])
        };
        for reason in ["jira-quota-global-based", "jira-quota-tenant-based", "JIRA-QUOTA-TENANT-BASED"] {
            assert_eq!(is_quota(&headers(reason)).as_deref(), Some(reason));
        }
        for reason in ["jira-burst-based", "jira-per-issue-on-write", ""] {
            assert_eq!(is_quota(&headers(reason)), None, "{reason}");
        }
        let uneven: Timestamp = "2026-11-23T10:00:00.25Z".parse().unwrap();
        assert_eq!(full_second(uneven).to_string(), "2026-11-23T10:00:01Z");
        assert_eq!(full_second(now()), now());
    }

    #[test]
    fn the_end_of_a_pause_is_always_a_date() {
        assert_eq!(later(now(), Duration::from_mins(1)).to_string(), "2026-11-23T10:01:00Z");
        assert_eq!(later(now(), Duration::MAX), Timestamp::MAX);
        assert_eq!(later(now(), Duration::from_secs(u64::from(u32::MAX) * 1000)), Timestamp::MAX);
    }

    #[test]
    fn without_a_word_the_delay_doubles_with_jitter_and_stays_below_the_cap() {
        let patience = Patience::default();
        for tried in 1..40 {
            let (low, high) = (delay(&patience, tried, None, 0.0), delay(&patience, tried, None, 0.999));
            assert!(low <= high && high <= patience.pause, "{tried}: {low:?} {high:?}");
        }
        assert_eq!(delay(&patience, 1, None, 0.5), Duration::from_secs(2));
        assert_eq!(delay(&patience, 3, None, 0.5), Duration::from_secs(8));
    }

    #[test]
    fn what_is_asked_for_is_a_floor() {
        let patience = Patience::default();
        for tried in 1..10 {
            let asked = Duration::from_secs(7);
            assert!(delay(&patience, tried, Some(asked), 0.0) >= asked);
            assert!(delay(&patience, tried, Some(Duration::ZERO), 0.0) > Duration::ZERO);
        }
    }
}
