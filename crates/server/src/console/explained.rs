//! Explanations as parts of pages: the chain, with links of one kind together, and memberships of both sides.

use entrain_domain::memory::Origin;
use entrain_domain::plan::explain::{Explanation, Link, Member, MemberState, Place};

use super::parts::{Chip, sentence};
use super::shell::encoded;

/// One kind of link of the chain.
pub(crate) struct Reason {
    pub(crate) what: &'static str,
    pub(crate) texts: Vec<String>,
}

/// A sentence that may begin with the kind of a step, which programs write with a line.
fn told(text: &str) -> String {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    if first.contains('_') && first.chars().all(|c| c == '_' || c.is_ascii_lowercase()) {
        return sentence(&format!("{} {rest}", first.replace('_', " ")));
    }
    sentence(text)
}

/// The name in what an explanation calls its object: what stands between the first quotation marks.
pub(crate) fn name_of(object: &str) -> String {
    let quoted = object.split_once('“').and_then(|(_, rest)| rest.split_once('”'));
    quoted.map_or(object, |(name, _)| name).to_owned()
}

/// Most texts of one kind on a page; the rest is counted.
const SHOWN: usize = 20;

/// The chain, with neighbours of one kind told together.
pub(crate) fn chain(explanation: &Explanation) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    let mut left_out = 0;
    for Link { what, text } in &explanation.chain {
        match reasons.last_mut().filter(|last| last.what == *what) {
            Some(last) if last.texts.len() < SHOWN => last.texts.push(told(text)),
            Some(_) => left_out += 1,
            None => reasons.push(Reason { what, texts: vec![told(text)] }),
        }
    }
    if left_out > 0 {
        reasons.push(Reason { what: "more", texts: vec![format!("{left_out} more of the same kind.")] });
    }
    reasons
}

/// A group, as seen from one person.
pub(crate) struct PlaceRow {
    pub(crate) name: String,
    pub(crate) href: String,
    pub(crate) chip: Chip,
    /// The shortest way in.
    pub(crate) path: Vec<String>,
    pub(crate) why: String,
    pub(crate) site: String,
    /// Whose the membership is, as far as that is known.
    pub(crate) owner: Option<super::dossier::Owner>,
}

impl PlaceRow {
    /// Nothing for a group that has nothing to do with the person.
    pub(crate) fn of(place: &Place, slug: &str) -> Option<Self> {
        if !place.member && place.paths.is_empty() && place.on_site != Some(true) {
            return None;
        }
        let chip = match (place.member, place.on_site) {
            (true, Some(true)) => Chip::new("ok", "ok", "member"),
            (true, Some(false)) => Chip::new("info", "plus", "to be added"),
            (true, None) => Chip::new("", "wait", "not known"),
            (false, Some(true)) => Chip::new("warn", "warn", "on the site only"),
            (false, _) => Chip::new("", "minus", "not a member"),
        };
        let which = place.directory_id.as_ref().map_or(&*place.name, |id| id.as_str());
        Some(Self {
            href: format!("/connections/{slug}/group?which={}", encoded(which)),
            name: place.site_name.as_ref().unwrap_or(&place.name).to_string(),
            chip,
            path: place
                .paths
                .first()
                .map(|path| path.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            why: sentence(&place.why),
            site: sentence(&place.site),
            owner: None,
        })
    }
}

/// A member, as seen from a group.
pub(crate) struct MemberRow {
    pub(crate) name: String,
    pub(crate) href: Option<String>,
    pub(crate) mail: String,
    pub(crate) directory: bool,
    pub(crate) site: bool,
    pub(crate) chip: Chip,
    pub(crate) text: String,
    /// Whose the membership on the site is; nothing where there is none.
    pub(crate) owner: &'static str,
}

impl MemberRow {
    pub(crate) fn of(member: &Member, slug: &str) -> Self {
        let (chip, directory, site) = match member.state {
            MemberState::InStep => (Chip::new("ok", "ok", "on both sides"), true, true),
            MemberState::Missing => (Chip::new("info", "plus", "to be added"), true, false),
            MemberState::Leaving => (Chip::new("warn", "minus", "to be taken out"), false, true),
            MemberState::Own => (Chip::new("", "person", "somebody’s own"), false, true),
            MemberState::Unknown => (Chip::new("", "wait", "not known"), false, true),
            MemberState::LeftOut => (Chip::new("", "off", "left out"), true, false),
        };
        let who = member.directory_id.as_ref().map(entrain_domain::model::DirectoryUserId::as_str);
        let who = who.or_else(|| member.site_id.as_ref().map(entrain_domain::model::AccountId::as_str));
        Self {
            name: member.name.to_string(),
            href: who.map(|who| format!("/connections/{slug}/person?who={}", encoded(who))),
            mail: member.mail.as_ref().map(ToString::to_string).unwrap_or_default(),
            directory,
            site,
            chip,
            text: sentence(&member.text),
            owner: match (site, member.owner) {
                (false, _) => "",
                (true, Some(Origin::Created)) => "Entrain",
                (true, Some(Origin::Adopted)) => "Entrain, which took it on",
                (true, Some(Origin::Found)) => "Entrain; it was there, and agreed",
                (true, None) if member.state == MemberState::Own => "by hand; not Entrain’s to take away",
                (true, None) => "not Entrain’s so far",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_steps_are_words_and_names_stand_alone() {
        assert_eq!(told("add_member “A_b” done"), "Add member “A_b” done.");
        assert_eq!(told("Nothing to do"), "Nothing to do.");
        assert_eq!(name_of("user “Ana Horvat” <ana@x.example> (1)"), "Ana Horvat");
        assert_eq!(name_of("no quotes"), "no quotes");
    }
}
