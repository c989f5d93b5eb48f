//! When it runs by itself, and who is told of what.

use super::{Kind, Topic, field};

pub(super) const SCHEDULE: Topic = Topic {
    word: "schedule",
    title: "Schedule",
    heading: "When it runs by itself",
    trial: None,
    fields: &[
        field(
            "schedule.every",
            "Time between runs",
            Kind::Code,
            ("such as 15m; at least 1m", "15m"),
            "A run that finds nothing changed makes two requests. Instead of the next.",
        ),
        field(
            "schedule.cron",
            "At these times",
            Kind::Code,
            ("cron: minute hour day month weekday", "none"),
            "Such as 0 6 * * mon-fri. Instead of the time between runs.",
        ),
        field(
            "schedule.time_zone",
            "Time zone",
            Kind::Code,
            ("IANA name", "UTC"),
            "For the times above and the quiet times below.",
        ),
        field(
            "schedule.full_every",
            "Time between full reads",
            Kind::Code,
            ("such as 24h", "24h"),
            "A full read finds what people changed by hand in Jira; it reads every group of both sides.",
        ),
        field(
            "schedule.jitter",
            "Put off by at most",
            Kind::Code,
            ("such as 5m", "nothing"),
            "Keeps several connections from starting in the same second.",
        ),
        field(
            "schedule.blackout",
            "Quiet times",
            Kind::Lines,
            ("such as 22:00-06:00, one per line", "none"),
            "No run begins then; what falls into them begins at their end.",
        ),
        field(
            "notifications.enabled",
            "Runs within seconds of a change",
            Kind::Flag,
            ("", "false"),
            "Needs a public address and the permission Group.Read.All; the schedule goes on beside it.",
        ),
    ],
};

pub(super) const ALERTS: Topic = Topic {
    word: "alerts",
    title: "Alerts",
    heading: "Who is told, and of what",
    trial: None,
    fields: &[
        field(
            "notify.about",
            "What is told",
            Kind::Lines,
            (
                "held, failed, quarantine, seats, waiting, credential, notifications, drift, channel; one per line",
                "all but drift",
            ),
            "Over which channels, with their addresses and secrets, stands in the document under [notify.channels]; a channel may name its own.",
        ),
        field(
            "notify.repeat_every",
            "Told again after",
            Kind::Code,
            ("such as 24h; at least 15m", "24h"),
            "As long as it is so and nobody has acknowledged it.",
        ),
        field(
            "notify.per_hour",
            "At most so many letters in an hour",
            Kind::Number,
            ("letters for each channel, 1 to 60", "6"),
            "What cannot be said goes into the next letter; nothing is left unsaid.",
        ),
    ],
};
