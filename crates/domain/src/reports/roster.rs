//! Everybody in the directory, the recycle bin included, by id and by address: whoever is on the site is looked for here.

use std::collections::HashMap;

use crate::model::{AccountState, AttributeValue, DirectoryUser, DirectoryUserId, EmailAddress};

/// What has become of somebody in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InDirectory {
    /// May sign in, as far as the directory says.
    Enabled,
    /// `accountEnabled` is false.
    Disabled,
    /// In the recycle bin, or deleted for good while a link remembers the person.
    Deleted,
    /// Nobody in the directory has this address.
    Nobody,
}

impl InDirectory {
    /// The word of the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::Nobody => "nobody",
        }
    }
}

/// The whole directory, read to its end: only of such a list can it be said that somebody is not in it.
#[derive(Debug, Default)]
pub struct Roster {
    users: Vec<(DirectoryUser, InDirectory)>,
    by_id: HashMap<DirectoryUserId, usize>,
    by_address: HashMap<String, Vec<usize>>,
}

impl Roster {
    /// Of every user that the directory lists and of every user in its recycle bin. Who is in both is live.
    pub fn new(
        live: impl IntoIterator<Item = DirectoryUser>,
        deleted: impl IntoIterator<Item = DirectoryUser>,
    ) -> Self {
        let mut roster = Self::default();
        for user in live {
            let standing = match user.account {
                AccountState::Disabled => InDirectory::Disabled,
                // An account of which it is not told whether it is enabled is nobody's leaver
                AccountState::Enabled | AccountState::Unknown => InDirectory::Enabled,
            };
            roster.put(user, standing);
        }
        for user in deleted {
            roster.put(user, InDirectory::Deleted);
        }
        roster
    }

    fn put(&mut self, user: DirectoryUser, standing: InDirectory) {
        if self.by_id.contains_key(&user.id) {
            return;
        }
        let at = self.users.len();
        self.by_id.insert(user.id.clone(), at);
        for address in addresses(&user) {
            let holders = self.by_address.entry(address.key()).or_default();
            if !holders.contains(&at) {
                holders.push(at);
            }
        }
        self.users.push((user, standing));
    }

    /// Somebody by id.
    pub fn user(&self, id: &DirectoryUserId) -> Option<(&DirectoryUser, InDirectory)> {
        self.by_id.get(id).map(|at| (&self.users[*at].0, self.users[*at].1))
    }

    /// Who has an address, the liveliest first: where an enabled person has it, a disabled one who had it does not count.
    pub fn holder(&self, address: &EmailAddress) -> Option<(&DirectoryUser, InDirectory)> {
        let holders = self.by_address.get(&address.key())?;
        holders
            .iter()
            .map(|at| (&self.users[*at].0, self.users[*at].1))
            .min_by(|a, b| (a.1, &a.0.id).cmp(&(b.1, &b.0.id)))
    }

    /// How many people there are, the recycle bin included.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody is there at all.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// Every address under which somebody may be known on the site: mail, principal name, other mails and proxy addresses.
fn addresses(user: &DirectoryUser) -> Vec<EmailAddress> {
    let mut texts: Vec<&str> = Vec::new();
    texts.extend(user.mail.as_deref());
    texts.extend(user.user_principal_name.as_deref().map(|name| without_deletion_mark(name, &user.id)));
    texts.extend(user.other_mail.as_deref());
    for name in ["otherMails", "proxyAddresses"] {
        match user.attributes.get(name) {
            Some(AttributeValue::List(list)) => texts.extend(list.iter().map(|text| &**text)),
            Some(AttributeValue::Text(text)) => texts.push(text),
            Some(AttributeValue::Flag(_)) | None => {}
        }
    }
    texts.into_iter().filter_map(|text| EmailAddress::parse(without_scheme(text)).ok()).collect()
}

/// A deleted user's principal name begins with the object id, its hyphens left out.
fn without_deletion_mark<'a>(name: &'a str, id: &DirectoryUserId) -> &'a str {
    let mark: String = id.as_str().chars().filter(|c| *c != '-').collect();
    match name.get(..mark.len()) {
        Some(head) if head.eq_ignore_ascii_case(&mark) => &name[mark.len()..],
        _ => name,
    }
}

/// `SMTP:` and `smtp:` before proxy addresses; other schemes are no e-mail.
fn without_scheme(text: &str) -> &str {
    match text.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("smtp") => rest,
        Some(_) => "",
        None => text,
    }
}
