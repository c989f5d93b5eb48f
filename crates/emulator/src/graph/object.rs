//! Directory objects as JSON: which properties each type has, the default sets, and what a caller with few rights sees.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::access::{Rights, UserView};
use super::failure::{Failure, Outcome};
use crate::world::tenant::{Application, EntraGroup, EntraUser, Member, Tenant};

/// Default properties of a user.
pub(super) const USER_DEFAULT: &[&str] = &[
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
];
/// What `User.ReadBasic.All` lets through.
const USER_BASIC: &[&str] =
    &["id", "displayName", "givenName", "surname", "mail", "userPrincipalName", "securityIdentifier"];
/// Properties of a user that the emulated tenant leaves without value.
const USER_NULL: &str = "ageGroup city consentProvidedForMinor country creationType employeeHireDate \
    employeeLeaveDateTime employeeOrgData employeeType externalUserState externalUserStateChangeDateTime faxNumber \
    identityParentId isManagementRestricted isResourceAccount lastPasswordChangeDateTime legalAgeGroupClassification \
    onPremisesDistinguishedName onPremisesDomainName onPremisesExtensionAttributes onPremisesImmutableId \
    onPremisesLastSyncDateTime onPremisesSamAccountName onPremisesSecurityIdentifier onPremisesSyncEnabled \
    onPremisesUserPrincipalName passwordPolicies passwordProfile postalCode preferredDataLocation securityIdentifier \
    showInAddressList signInActivity signInSessionsValidFromDateTime state streetAddress";
const USER_EMPTY: &str = "assignedLicenses assignedPlans identities imAddresses licenseAssignmentStates \
    onPremisesProvisioningErrors provisionedPlans serviceProvisioningErrors";
/// Kept outside the directory: a collection refuses them with 501.
const USER_ELSEWHERE: &str = "aboutMe birthday deviceEnrollmentLimit hireDate interests mySite pastProjects \
    preferredName responsibilities schools skills";

/// Default properties of a group.
pub(super) const GROUP_DEFAULT: &[&str] = &[
    "classification",
    "createdDateTime",
    "deletedDateTime",
    "description",
    "displayName",
    "expirationDateTime",
    "groupTypes",
    "id",
    "mail",
    "mailEnabled",
    "mailNickname",
    "membershipRule",
    "membershipRuleProcessingState",
    "onPremisesDomainName",
    "onPremisesLastSyncDateTime",
    "onPremisesNetBiosName",
    "onPremisesProvisioningErrors",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled",
    "preferredDataLocation",
    "preferredLanguage",
    "proxyAddresses",
    "renewedDateTime",
    "resourceBehaviorOptions",
    "resourceProvisioningOptions",
    "securityEnabled",
    "securityIdentifier",
    "theme",
    "uniqueName",
    "visibility",
];
const GROUP_NULL: &str = "accessType allowExternalSenders autoSubscribeNewMembers classification expirationDateTime \
    hasMembersWithLicenseErrors hideFromAddressLists hideFromOutlookClients isArchived isAssignableToRole isFavorite \
    isManagementRestricted isSubscribedByMail licenseProcessingState onPremisesDomainName \
    onPremisesExtensionAttributes onPremisesLastSyncDateTime onPremisesNetBiosName onPremisesSamAccountName \
    onPremisesSecurityIdentifier onPremisesSyncEnabled organizationId preferredDataLocation preferredLanguage \
    renewedDateTime securityIdentifier theme uniqueName unseenConversationsCount unseenCount unseenMessagesCount \
    welcomeMessageEnabled";
const GROUP_EMPTY: &str = "assignedLabels assignedLicenses onPremisesProvisioningErrors resourceBehaviorOptions \
    resourceProvisioningOptions serviceProvisioningErrors";

const DEVICE: &[&str] =
    &["accountEnabled", "deviceId", "displayName", "operatingSystem", "operatingSystemVersion"];

const APP_DEFAULT: &[&str] = &[
    "accountEnabled",
    "appDisplayName",
    "appId",
    "appOwnerOrganizationId",
    "appRoleAssignmentRequired",
    "appRoles",
    "deletedDateTime",
    "description",
    "displayName",
    "homepage",
    "id",
    "servicePrincipalNames",
    "servicePrincipalType",
    "signInAudience",
    "tags",
];

/// A directory object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Object<'a> {
    User(&'a EntraUser),
    Group(&'a EntraGroup),
    DeletedUser(&'a EntraUser, Timestamp),
    DeletedGroup(&'a EntraGroup, Timestamp),
    Device(&'a str),
    App(&'a Application),
}

/// A type of directory objects, as it stands in a path or behind `@odata.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Group,
    ServicePrincipal,
    Any,
}

impl Kind {
    /// The set in `@odata.context`.
    pub(super) fn set(self) -> &'static str {
        match self {
            Kind::User => "users",
            Kind::Group => "groups",
            Kind::ServicePrincipal => "servicePrincipals",
            Kind::Any => "directoryObjects",
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Kind::User => "microsoft.graph.user",
            Kind::Group => "microsoft.graph.group",
            Kind::ServicePrincipal => "microsoft.graph.servicePrincipal",
            Kind::Any => "microsoft.graph.directoryObject",
        }
    }

    fn knows(self, name: &str) -> bool {
        let listed = |list: &str| list.split_whitespace().any(|known| known == name);
        match self {
            Kind::User => user_own(name) || listed(USER_NULL) || listed(USER_EMPTY),
            Kind::Group => group_own(name) || listed(GROUP_NULL) || listed(GROUP_EMPTY),
            Kind::ServicePrincipal => APP_DEFAULT.contains(&name),
            Kind::Any => {
                Kind::User.knows(name)
                    || Kind::Group.knows(name)
                    || Kind::ServicePrincipal.knows(name)
                    || DEVICE.contains(&name)
            }
        }
    }

    /// Refuses names that the type does not have, and those that a collection cannot give.
    pub(super) fn check_select(self, select: Option<&[String]>) -> Outcome<()> {
        for name in select.unwrap_or_default() {
            if USER_ELSEWHERE.split_whitespace().any(|known| known == name) && self != Kind::Group {
                return Err(Failure::new(
                    501,
                    "NotImplemented",
                    "This operation target is not yet supported.",
                ));
            }
            if !self.knows(name) && name != "*" {
                return Err(Failure::new(
                    400,
                    "BadRequest",
                    format!(
                        "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type \
                         '{}'.",
                        self.type_name()
                    ),
                ));
            }
        }
        Ok(())
    }
}

fn user_own(name: &str) -> bool {
    USER_DEFAULT.contains(&name)
        || [
            "accountEnabled",
            "companyName",
            "createdDateTime",
            "deletedDateTime",
            "department",
            "employeeId",
            "mailNickname",
            "otherMails",
            "proxyAddresses",
            "usageLocation",
            "userType",
        ]
        .contains(&name)
}

fn group_own(name: &str) -> bool {
    GROUP_DEFAULT.contains(&name)
}

/// A property of a user; null for those without value, none for unknown ones.
pub(super) fn user_value(user: &EntraUser, name: &str) -> Option<Value> {
    Some(match name {
        "id" => json!(user.id),
        "displayName" => json!(user.display_name),
        "givenName" => json!(user.given_name),
        "surname" => json!(user.surname),
        "mail" => json!(user.mail),
        "userPrincipalName" => json!(user.user_principal_name),
        "accountEnabled" => json!(user.account_enabled),
        "userType" => json!(user.user_type),
        "otherMails" => json!(user.other_mails),
        "proxyAddresses" => json!(addresses(user.mail.as_deref())),
        "mailNickname" => json!(user.mail_nickname),
        "jobTitle" => json!(user.job_title),
        "department" => json!(user.department),
        "companyName" => json!(user.company_name),
        "employeeId" => json!(user.employee_id),
        "officeLocation" => json!(user.office_location),
        "mobilePhone" => json!(user.mobile_phone),
        "businessPhones" => json!(user.business_phones),
        "preferredLanguage" => json!(user.preferred_language),
        "usageLocation" => json!(user.usage_location),
        "createdDateTime" => json!(user.created_date_time),
        "deletedDateTime" => Value::Null,
        other => return blank(other, USER_NULL, USER_EMPTY),
    })
}

/// A property of a group; null for those without value, none for unknown ones.
pub(super) fn group_value(group: &EntraGroup, name: &str) -> Option<Value> {
    Some(match name {
        "id" => json!(group.id),
        "displayName" => json!(group.display_name),
        "description" => json!(group.description),
        "mail" => json!(group.mail),
        "mailNickname" => json!(group.mail_nickname),
        "mailEnabled" => json!(group.mail_enabled),
        "securityEnabled" => json!(group.security_enabled),
        "groupTypes" => json!(group.group_types),
        "visibility" => json!(group.visibility),
        "membershipRule" => json!(group.membership_rule),
        "membershipRuleProcessingState" => json!(group.membership_rule.as_ref().map(|_| "On")),
        "createdDateTime" => json!(group.created_date_time),
        "proxyAddresses" => json!(addresses(group.mail.as_deref())),
        "deletedDateTime" => Value::Null,
        other => return blank(other, GROUP_NULL, GROUP_EMPTY),
    })
}

fn app_value(app: &Application, name: &str) -> Option<Value> {
    Some(match name {
        "id" => json!(app.object_id),
        "accountEnabled" => json!(app.enabled),
        "appDisplayName" | "displayName" => json!(app.display_name),
        "appId" => json!(app.client_id),
        "servicePrincipalNames" => json!([app.client_id]),
        "servicePrincipalType" => json!("Application"),
        "signInAudience" => json!("AzureADMyOrg"),
        "appRoleAssignmentRequired" => json!(false),
        "appRoles" | "tags" => json!([]),
        other => return APP_DEFAULT.contains(&other).then_some(Value::Null),
    })
}

fn addresses(mail: Option<&str>) -> Vec<String> {
    mail.map(|mail| format!("SMTP:{mail}")).into_iter().collect()
}

fn blank(name: &str, null: &str, empty: &str) -> Option<Value> {
    let within = |list: &str| list.split_whitespace().any(|known| known == name);
    if within(null) { Some(Value::Null) } else { within(empty).then(|| json!([])) }
}

/// A value with everything taken out: `[]` for collections, which are never null, else null.
fn hidden(value: &Value) -> Value {
    if value.is_array() { json!([]) } else { Value::Null }
}

impl<'a> Object<'a> {
    /// The object behind a link; none for one that is not live (a soft-deleted user).
    pub(super) fn of_member(tenant: &'a Tenant, member: &'a Member) -> Option<Self> {
        match member {
            Member::User(id) => tenant.users.get(id).map(Object::User),
            Member::Group(id) => tenant.groups.get(id).map(Object::Group),
            Member::Device(id) => Some(Object::Device(id)),
            Member::ServicePrincipal(id) => {
                tenant.applications.values().find(|app| app.object_id == *id).map(Object::App)
            }
        }
    }

    pub(super) fn id(&self) -> &'a str {
        match self {
            Object::User(user) | Object::DeletedUser(user, _) => &user.id,
            Object::Group(group) | Object::DeletedGroup(group, _) => &group.id,
            Object::Device(id) => id,
            Object::App(app) => &app.object_id,
        }
    }

    pub(super) fn odata_type(&self) -> &'static str {
        match self {
            Object::User(_) | Object::DeletedUser(..) => "#microsoft.graph.user",
            Object::Group(_) | Object::DeletedGroup(..) => "#microsoft.graph.group",
            Object::Device(_) => "#microsoft.graph.device",
            Object::App(_) => "#microsoft.graph.servicePrincipal",
        }
    }

    /// A property as it is, whatever the caller's rights; filters and orders work on it.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        match self {
            Object::DeletedUser(_, at) | Object::DeletedGroup(_, at) if name == "deletedDateTime" => {
                Some(json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
            }
            Object::User(user) | Object::DeletedUser(user, _) => user_value(user, name),
            Object::Group(group) | Object::DeletedGroup(group, _) => group_value(group, name),
            Object::Device(id) if name == "id" => Some(json!(id)),
            Object::Device(_) => DEVICE.contains(&name).then_some(Value::Null),
            Object::App(app) => app_value(app, name),
        }
    }

    fn defaults(&self) -> &'static [&'static str] {
        match self {
            Object::User(_) | Object::DeletedUser(..) => USER_DEFAULT,
            Object::Group(_) | Object::DeletedGroup(..) => GROUP_DEFAULT,
            Object::Device(_) => DEVICE,
            Object::App(_) => APP_DEFAULT,
        }
    }

    fn visible(&self, name: &str, rights: &Rights) -> bool {
        name == "id"
            || match self {
                Object::User(_) | Object::DeletedUser(..) => match rights.users {
                    UserView::Full => true,
                    UserView::Basic => USER_BASIC.contains(&name),
                    UserView::None => false,
                },
                Object::Group(_) | Object::DeletedGroup(..) => rights.groups,
                Object::Device(_) => false,
                Object::App(_) => rights.apps,
            }
    }

    /// The object as JSON: the selected or default properties, blanked where the caller may not look.
    pub(super) fn render(
        &self,
        select: Option<&[String]>,
        rights: &Rights,
        typed: Typed,
    ) -> Map<String, Value> {
        let mut map = Map::new();
        if typed == Typed::Yes {
            map.insert("@odata.type".into(), self.odata_type().into());
            map.insert("id".into(), self.id().into());
        }
        let mut put = |name: &str| {
            if let Some(value) = self.value(name) {
                let value = if self.visible(name, rights) { value } else { hidden(&value) };
                map.insert(name.to_owned(), value);
            }
        };
        match select {
            Some(names) if !names.iter().any(|name| name == "*") => names.iter().for_each(|name| put(name)),
            _ => {
                put("id");
                self.defaults().iter().for_each(|name| put(name));
            }
        }
        map
    }
}

/// Whether objects carry `@odata.type`: in collections of mixed types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typed {
    Yes,
    No,
}
