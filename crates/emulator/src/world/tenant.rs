//! The Entra tenant: users, groups, applications with their credentials and granted roles, and the log of changes
//! that delta queries read. Everything that changes goes through a method here, so that the log never misses it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

mod changes;

pub use changes::Reach;

/// A user with the properties that Graph serves.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are properties of the cloud under their own names")]
pub struct EntraUser {
    pub id: String,
    pub display_name: Option<String>,
    pub given_name: Option<String>,
    pub surname: Option<String>,
    pub mail: Option<String>,
    pub user_principal_name: String,
    pub account_enabled: Option<bool>,
    pub user_type: Option<String>,
    pub other_mails: Vec<String>,
    pub mail_nickname: Option<String>,
    pub job_title: Option<String>,
    pub department: Option<String>,
    pub company_name: Option<String>,
    pub employee_id: Option<String>,
    pub office_location: Option<String>,
    pub mobile_phone: Option<String>,
    pub business_phones: Vec<String>,
    pub preferred_language: Option<String>,
    pub usage_location: Option<String>,
    pub created_date_time: Option<String>,
    pub manager: Option<String>,
}

impl Default for EntraUser {
    fn default() -> Self {
        Self {
            id: String::new(),
            display_name: None,
            given_name: None,
            surname: None,
            mail: None,
            user_principal_name: String::new(),
            account_enabled: Some(true),
            user_type: Some("Member".into()),
            other_mails: Vec::new(),
            mail_nickname: None,
            job_title: None,
            department: None,
            company_name: None,
            employee_id: None,
            office_location: None,
            mobile_phone: None,
            business_phones: Vec::new(),
            preferred_language: None,
            usage_location: None,
            created_date_time: None,
            manager: None,
        }
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are properties of the cloud under their own names")]
pub enum Member {
    User(String),
    Group(String),
    Device(String),
    ServicePrincipal(String),
}

/// A group with the properties that Graph serves.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are properties of the cloud under their own names")]
pub struct EntraGroup {
    pub id: String,
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub mail: Option<String>,
    pub mail_nickname: Option<String>,
    pub mail_enabled: bool,
    pub security_enabled: bool,
    pub group_types: Vec<String>,
    pub visibility: Option<String>,
    pub membership_rule: Option<String>,
    pub created_date_time: Option<String>,
    pub members: BTreeSet<Member>,
}

impl Default for EntraGroup {
    fn default() -> Self {
        Self {
            id: String::new(),
            display_name: None,
            description: None,
            mail: None,
            mail_nickname: None,
            mail_enabled: false,
            security_enabled: true,
            group_types: Vec::new(),
            visibility: None,
            membership_rule: None,
            created_date_time: None,
            members: BTreeSet::new(),
        }
    }
}

/// One change, for delta.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Position in the log, counted from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Changed,
}

/// What changed.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are properties of the cloud under their own names")]
pub enum Changed {
    /// Created, restored or updated; the names of the changed properties.
    User { id: String, properties: Vec<&'static str> },
    /// Soft-deleted (`changed`) or gone (`deleted`).
    UserRemoved { id: String, reason: &'static str },
    /// Created, restored or updated.
    Group { id: String, properties: Vec<&'static str> },
    /// Soft-deleted (`changed`) or gone (`deleted`).
    GroupRemoved { id: String, reason: &'static str },
    /// A link was added.
    MemberAdded { group: String, member: Member },
    /// A link was removed.
    MemberRemoved { group: String, member: Member },
}

/// An application registration with its credentials and the Graph roles an administrator granted.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are properties of the cloud under their own names")]
pub struct Application {
    pub client_id: String,
    pub display_name: String,
    pub object_id: String,
    pub secrets: Vec<ClientSecret>,
    /// Certificates, PEM.
    pub certificates: Vec<String>,
    pub federated: Vec<FederatedCredential>,
    /// `User.Read.All`, `GroupMember.Read.All`, …
    pub roles: BTreeSet<String>,
    pub enabled: bool,
    /// Principals to which the application is assigned, with the default role. In a world file, users by user principal
    /// name and groups by name as well.
    pub assigned: Vec<Member>,
    /// Redirect addresses registered for sign-in.
    pub redirect_uris: Vec<String>,
    /// Whether id tokens name the groups of a person.
    pub group_claims: bool,
    /// App roles and who has them: role = ids of users or groups, or user principal names.
    pub app_roles: BTreeMap<String, Vec<String>>,
}

impl Default for Application {
    fn default() -> Self {
        Self {
            client_id: String::new(),
            display_name: String::new(),
            object_id: String::new(),
            secrets: Vec::new(),
            certificates: Vec::new(),
            federated: Vec::new(),
            roles: BTreeSet::new(),
            enabled: true,
            assigned: Vec::new(),
            redirect_uris: Vec::new(),
            group_claims: false,
            app_roles: BTreeMap::new(),
        }
    }
}

/// A client secret.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are properties of the cloud under their own names")]
pub struct ClientSecret {
    pub value: String,
    /// When it expires; never when absent.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// A federated identity credential.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are properties of the cloud under their own names")]
pub struct FederatedCredential {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
    /// Public key of the issuer, PEM.
    pub public_key: String,
}

/// The tenant.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are properties of the cloud under their own names")]
pub struct Tenant {
    pub id: String,
    pub domain: String,
    pub users: BTreeMap<String, EntraUser>,
    pub groups: BTreeMap<String, EntraGroup>,
    /// Soft-deleted users with the time of deletion. They keep their links in `groups`.
    pub deleted_users: BTreeMap<String, (EntraUser, Timestamp)>,
    /// Soft-deleted groups.
    pub deleted_groups: BTreeMap<String, (EntraGroup, Timestamp)>,
    pub applications: BTreeMap<String, Application>,
    /// Every change since the start, oldest first. Positions only grow, so a part of it is found by bisection.
    pub log: Vec<Change>,
    /// Live users by user principal name in lower case.
    pub user_names: HashMap<String, String>,
    /// Groups (live or deleted) that hold a member directly, by the member's id.
    pub parents: HashMap<String, BTreeSet<String>>,
}

impl Member {
    /// The id, whatever the kind.
    pub fn id(&self) -> &str {
        match self {
            Member::User(id) | Member::Group(id) | Member::Device(id) | Member::ServicePrincipal(id) => id,
        }
    }

    /// The `@odata.type` that Graph gives it.
    pub fn odata_type(&self) -> &'static str {
        match self {
            Member::User(_) => "#microsoft.graph.user",
            Member::Group(_) => "#microsoft.graph.group",
            Member::Device(_) => "#microsoft.graph.device",
            Member::ServicePrincipal(_) => "#microsoft.graph.servicePrincipal",
        }
    }
}
