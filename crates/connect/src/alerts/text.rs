//! The words of a letter, in the order in which every look has them.

use entrain_domain::alerts::{Letter, Notice, Occasion, one_line};

/// One notice, taken apart; every part is one line.
pub(super) struct Said {
    /// `CRITICAL · New`
    pub(super) head: String,
    pub(super) sentence: String,
    pub(super) remedy: Option<String>,
    pub(super) since: String,
    pub(super) link: Option<String>,
}

/// Takes a notice apart.
pub(super) fn said(notice: &Notice, public_url: Option<&str>) -> Said {
    let concern = &notice.concern;
    let remedy = one_line(&concern.remedy);
    let wanted = !remedy.is_empty() && notice.occasion != Occasion::Over;
    Said {
        head: format!("{} · {}", concern.severity.as_str().to_uppercase(), notice.occasion.words()),
        sentence: one_line(&concern.sentence),
        remedy: wanted.then_some(remedy),
        since: format!("since {}, alert {}", notice.since.strftime("%F %R UTC"), one_line(&notice.alert)),
        link: public_url.map(|url| format!("{url}{}", one_line(&concern.link))),
    }
}

/// What stands below the notices.
pub(super) fn more(letter: &Letter) -> Option<String> {
    match letter.more {
        0 => None,
        1 => Some("One more thing was to be told; entrain admin alerts list shows it.".to_owned()),
        more => Some(format!("{more} more things were to be told; entrain admin alerts list shows them.")),
    }
}

/// Why somebody gets the letter, and how it stops.
pub(super) fn foot(letter: &Letter) -> String {
    format!(
        "Sent over the channel {} of the connection {}. What is acknowledged is not repeated: entrain admin alerts ack ID.",
        one_line(&letter.channel),
        one_line(&letter.connection)
    )
}
