//! A person, as expressions read them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelList, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::{FLAGS, Facts, LISTS};
use crate::model::{
    AccountState, AttributeValue, Attributes, DirectoryUser, DirectoryUserId, UserKind, further_attribute,
};

/// An attribute of a person.
pub(super) enum Read<'a> {
    Unset,
    Text(&'a str),
    Flag(bool),
    List(&'a [Arc<str>]),
}

pub(super) fn value<'a>(user: &'a DirectoryUser, name: &str) -> Option<Read<'a>> {
    let text = |value: &'a Option<Arc<str>>| value.as_deref().map_or(Read::Unset, Read::Text);
    Some(match name {
        "displayName" => text(&user.display_name),
        "mail" => text(&user.mail),
        "userPrincipalName" => text(&user.user_principal_name),
        "userType" => Read::Text(match user.kind {
            UserKind::Member => "Member",
            UserKind::Guest => "Guest",
        }),
        "accountEnabled" => match user.account {
            AccountState::Enabled => Read::Flag(true),
            AccountState::Disabled => Read::Flag(false),
            AccountState::Unknown => Read::Unset,
        },
        _ => match user.attributes.get(name) {
            Some(AttributeValue::Text(text)) => Read::Text(text),
            Some(AttributeValue::Flag(flag)) => Read::Flag(*flag),
            Some(AttributeValue::List(list)) => Read::List(list),
            None if LISTS.contains(&name) => Read::List(&[]),
            None => {
                further_attribute(name)?;
                Read::Unset
            }
        },
    })
}

pub(super) struct Variables<'a>(pub(super) Facts<'a>);

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let texts = |list: &'b [Arc<str>]| {
            let list: Vec<Box<dyn Val + 'b>> =
                list.iter().map(|text| Box::new(CelString::from(&**text)) as Box<dyn Val + 'b>).collect();
            CowVal::owned(CelList::from(list))
        };
        if variable == "groups" {
            return Some(texts(self.0.groups));
        }
        Some(match value(self.0.user, variable.strip_prefix("user.")?)? {
            Read::Unset => CowVal::owned(CelNull),
            Read::Text(text) => CowVal::owned(CelString::from(text)),
            Read::Flag(flag) => CowVal::owned(CelBool::from(flag)),
            Read::List(list) => texts(list),
        })
    }
}

/// A person of whom everything is set, for the trial of a new expression. Every text is a number too, so that what
/// only depends on the value is no error.
pub(super) static EVERYTHING: LazyLock<DirectoryUser> = LazyLock::new(|| {
    let one: Arc<str> = Arc::from("1");
    let lists = LISTS.into_iter().filter_map(further_attribute);
    let mut further: BTreeMap<Arc<str>, AttributeValue> =
        lists.map(|name| (name.clone(), AttributeValue::List(vec![one.clone()]))).collect();
    let extensions: Vec<String> = (1..=15).map(|n| format!("extensionAttribute{n}")).collect();
    let names = crate::model::FURTHER_PROPERTIES.into_iter().chain(extensions.iter().map(String::as_str));
    for name in FLAGS.into_iter().filter_map(further_attribute) {
        further.insert(name.clone(), AttributeValue::Flag(true));
    }
    for name in names.filter_map(further_attribute) {
        further.entry(name.clone()).or_insert_with(|| AttributeValue::Text(one.clone()));
    }
    DirectoryUser {
        id: DirectoryUserId::parse("1").expect("a literal"),
        display_name: Some(one.clone()),
        mail: Some(one.clone()),
        user_principal_name: Some(one.clone()),
        other_mail: Some(one),
        account: AccountState::Enabled,
        kind: UserKind::Member,
        attributes: Attributes::from_iter(further),
    }
});
