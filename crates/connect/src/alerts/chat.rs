//! How letters look in Slack and in Microsoft Teams.

use entrain_domain::alerts::Letter;
use serde_json::{Value, json};

use super::text::{self, Said};

/// Slack takes 3,000 characters in one section, and 150 in a header.
const SECTION: usize = 2800;
const HEADER: usize = 150;

/// Escaped as Slack asks, in plain text and in its own markup alike: what is in angle brackets would be a mention or a
/// link. Cut off where it would be longer than Slack takes.
fn escaped(text: &str, most: usize) -> String {
    let (mut escaped, mut length) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        let entity = match c {
            '&' => Some("&amp;"),
            '<' => Some("&lt;"),
            '>' => Some("&gt;"),
            _ => None,
        };
        length += entity.map_or(1, str::len);
        if length >= most {
            escaped.push('…');
            break;
        }
        match entity {
            Some(entity) => escaped.push_str(entity),
            None => escaped.push(c),
        }
    }
    escaped
}

/// A message of an incoming webhook.
pub(super) fn slack(letter: &Letter, public_url: Option<&str>) -> Value {
    let subject = letter.subject();
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": escaped(&subject, HEADER), "emoji": false },
    })];
    for notice in &letter.notices {
        let Said { head, sentence, remedy, since, link } = text::said(notice, public_url);
        let mut lines = vec![format!("*{}*", escaped(&head, HEADER)), escaped(&sentence, SECTION / 3)];
        lines.extend(remedy.map(|remedy| format!("What to do: {}", escaped(&remedy, SECTION / 3))));
        lines.push(format!("_{}_", escaped(&since, HEADER)));
        lines.extend(
            link.map(|link| format!("<{}|Look at it>", escaped(&link, SECTION / 5).replace('|', "%7C"))),
        );
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": lines.join("\n") } }));
    }
    let foot = text::more(letter).into_iter().chain([text::foot(letter)]);
    let elements: Vec<Value> = foot
        .map(|line| json!({ "type": "plain_text", "text": escaped(&line, SECTION), "emoji": false }))
        .collect();
    blocks.push(json!({ "type": "context", "elements": elements }));
    json!({ "text": escaped(&subject, SECTION), "blocks": blocks })
}

/// An Adaptive Card, as the workflow “when a webhook request is received” takes it. Texts are runs: they know no Markdown.
pub(super) fn teams(letter: &Letter, public_url: Option<&str>) -> Value {
    let run = |text: &str| json!({ "type": "TextRun", "text": text });
    let strong = |text: &str| json!({ "type": "TextRun", "text": text, "weight": "Bolder" });
    let subtle = |text: &str| json!({ "type": "TextRun", "text": text, "isSubtle": true });
    let block = |inlines: Value| json!({ "type": "RichTextBlock", "inlines": inlines });
    let mut body = vec![block(json!([{
        "type": "TextRun", "text": letter.subject(), "weight": "Bolder", "size": "Medium",
    }]))];
    let mut actions = Vec::new();
    for notice in &letter.notices {
        let Said { head, sentence, remedy, since, link } = text::said(notice, public_url);
        let mut items = vec![block(json!([strong(&head)])), block(json!([run(&sentence)]))];
        items.extend(remedy.map(|remedy| block(json!([run(&format!("What to do: {remedy}"))]))));
        items.push(block(json!([subtle(&since)])));
        body.push(json!({ "type": "Container", "separator": true, "items": items }));
        if let (Some(link), 0..4) = (link, actions.len()) {
            let title = if actions.is_empty() {
                "Look at it".to_owned()
            } else {
                format!("Look at {}", actions.len() + 1)
            };
            actions.push(json!({ "type": "Action.OpenUrl", "title": title, "url": link }));
        }
    }
    for line in text::more(letter).into_iter().chain([text::foot(letter)]) {
        body.push(block(json!([subtle(&line)])));
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
                "actions": actions,
            },
        }],
    })
}
