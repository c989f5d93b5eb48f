//! From sections to what they mean: addresses, credentials by kind, times, and the rules of the domain.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use entrain_connect::http::BaseUrl;
use entrain_domain::model::{
    AccountId, ApplicationId, AttributeValue, EmailAddress, ProfileField, SiteGroupId, group_name_key,
};
use entrain_domain::plan::StepKind;
use entrain_domain::policy::attributes::{FieldRule, PropertyRule, Source, When};
use entrain_domain::policy::expr::Expr;
use entrain_domain::policy::{
    Approvers, AttributeRules, Binding, DefaultGroups, Existing, GroupMode, GroupNames, GroupSelector,
    Guests, Import, Limit, Limits, Memberships, PerGroup, Protected, Rewriting, Rules, Scope, UserScope,
    site_name_problem,
};

use entrain_engine::notifications::hints::Patience;
use entrain_engine::schedule::{Rhythm, Schedule, Window};

use crate::wire::Renames;
use jiff::Timestamp;

use super::lines::{Lines, join};
use super::notify::Notify;
use super::problem::{Problem, ProblemKind};
use super::sections::{
    DirectorySection, ExistingGroups, Field, GuestsWord, KindLimit, Mode, Nesting, NotificationsSection,
    ScheduleSection, Sections, Users, WhenWritten,
};

/// A credential of the app registration, as the document names it.
#[derive(Debug, Clone)]
pub(crate) enum DirectoryCredential {
    /// `client_secret`
    Secret,
    /// `certificate_file` and `private_key_file`
    Certificate {
        /// Certificate, PEM.
        certificate: PathBuf,
        /// Private key, PEM.
        key: PathBuf,
    },
    /// `certificate` and `private_key`, a secret of the document
    Pem {
        /// Certificate, PEM.
        certificate: String,
    },
    /// `federated_token_file`
    Federated(PathBuf),
    /// `managed_identity = true`
    ManagedIdentity,
}

/// What a valid document means, beyond its text.
#[derive(Debug, Clone)]
pub(crate) struct Meaning {
    /// Credential.
    pub(crate) credential: DirectoryCredential,
    /// `authority_url`
    pub(crate) authority_url: Option<BaseUrl>,
    /// `graph_url`
    pub(crate) graph_url: Option<BaseUrl>,
    /// `site.url`
    pub(crate) site_url: BaseUrl,
    /// `site.admin_email`
    pub(crate) admin_email: EmailAddress,
    /// `site.organization`
    pub(crate) organization: Option<OrganizationMeaning>,
    /// `network.timeout`
    pub(crate) timeout: Option<Duration>,
    /// `schedule.full_every`
    pub(crate) full_every: Duration,
    /// `schedule`
    pub(crate) schedule: Schedule,
    /// `notifications`, where they are enabled.
    pub(crate) notifications: Option<Patience>,
    /// When credentials end, as far as the document says.
    pub(crate) expires: Expires,
    /// `notify`
    pub(crate) notify: Notify,
    /// The rules.
    pub(crate) rules: Rules,
    /// `doors`
    pub(crate) doors: super::doors::DoorsMeaning,
}

impl Meaning {
    /// Whether seats of Confluence are limited, so that they have to be counted.
    pub(crate) fn limits_confluence(&self) -> bool {
        super::seats::limits_confluence(&self.rules.seats)
    }
}

/// When credentials end, as far as the document says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expires {
    /// `directory.client_secret_expires`
    pub(crate) client_secret: Option<Timestamp>,
    /// `site.api_token_expires`
    pub(crate) api_token: Option<Timestamp>,
    /// `site.organization.api_key_expires`
    pub(crate) api_key: Option<Timestamp>,
}

/// The organization plane.
#[derive(Debug, Clone)]
pub(crate) struct OrganizationMeaning {
    /// `url`, or Atlassian's own.
    pub(crate) url: BaseUrl,
    /// `id`
    pub(crate) id: String,
    /// `directory_id`
    pub(crate) directory_id: Option<String>,
    /// `rename_groups`
    pub(crate) renames: Renames,
}

/// Time between runs, unless the document says otherwise.
const EVERY: Duration = Duration::from_mins(15);
/// Time between full reads, unless the document says otherwise.
const FULL_EVERY: Duration = Duration::from_hours(24);

/// Reads the sections; every mistake is reported.
pub(super) fn read(sections: &Sections, lines: &Lines) -> Result<Meaning, Vec<Problem>> {
    let mut reader = Reader { lines, problems: Vec::new() };
    let meaning = reader.meaning(sections);
    reader.problems.sort_by_key(|p| p.line);
    match meaning {
        Some(meaning) if reader.problems.is_empty() => Ok(meaning),
        _ => Err(reader.problems),
    }
}

pub(super) struct Reader<'a> {
    lines: &'a Lines,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    pub(super) fn found(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let line = self.lines.line(key);
        let (what, remedy) = (what.into(), remedy.into());
        self.problems.push(Problem { key: key.to_owned(), line, what, remedy, kind: ProblemKind::Document });
    }

    fn meaning(&mut self, s: &Sections) -> Option<Meaning> {
        if s.name.chars().any(char::is_control) || s.name.trim() != s.name || s.name.chars().count() > 100 {
            self.found(
                "name",
                "has control characters, blanks at its ends, or more than 100 characters",
                "write a short name",
            );
        }
        let credential = self.credential(&s.directory);
        let authority_url = self.address("directory.authority_url", s.directory.authority_url.as_deref());
        let graph_url = self.address("directory.graph_url", s.directory.graph_url.as_deref());
        let site_url = self.address("site.url", Some(&s.site.url));
        let organization = s.site.organization.as_ref();
        let organization_url = organization
            .map_or("https://api.atlassian.com", |o| o.url.as_deref().unwrap_or("https://api.atlassian.com"));
        let organization_url = self.address("site.organization.url", Some(organization_url));
        let ids = organization.map(|o| [("id", Some(&o.id)), ("directory_id", o.directory_id.as_ref())]);
        for (key, id) in ids.into_iter().flatten() {
            if id.is_some_and(|id| !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')) {
                let key = format!("site.organization.{key}");
                self.found(&key, "is not an id", "copy it from the address of admin.atlassian.com");
            }
        }
        let admin_email = EmailAddress::parse(&s.site.admin_email).ok();
        if admin_email.is_none() {
            self.found(
                "site.admin_email",
                "is not an e-mail address",
                "write the address of the technical account",
            );
        }
        let expires = Expires {
            client_secret: self
                .day("directory.client_secret_expires", s.directory.client_secret_expires.as_deref()),
            api_token: self.day("site.api_token_expires", s.site.api_token_expires.as_deref()),
            api_key: self.day(
                "site.organization.api_key_expires",
                organization.and_then(|o| o.api_key_expires.as_deref()),
            ),
        };
        let (schedule, full_every) = self.schedule(&s.schedule);
        let notifications = self.notifications(&s.notifications);
        let timeout = self.span("network.timeout", s.network.timeout.as_deref(), Duration::from_secs(1));
        if let Some(proxy) = &s.network.proxy {
            let url = url::Url::parse(proxy)
                .ok()
                .filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
            match url {
                None => self.found("network.proxy", "is not an address", "write it as http://host:port"),
                Some(url) if !url.username().is_empty() || url.password().is_some() => self.found(
                    "network.proxy",
                    "carries a user name or password",
                    "let the proxy know this host in another way; documents keep no secret in an address",
                ),
                Some(_) => {}
            }
        }
        let notify = super::notify::read(self, &s.notify);
        let rules = self.rules(s);
        let doors = super::doors::read(self, s);
        Some(Meaning {
            credential: credential?,
            authority_url,
            graph_url,
            site_url: site_url?,
            admin_email: admin_email?,
            organization: match (organization, organization_url) {
                (Some(section), Some(url)) => Some(OrganizationMeaning {
                    url,
                    id: section.id.clone(),
                    directory_id: section.directory_id.clone(),
                    renames: if section.rename_groups { Renames::Follow } else { Renames::Keep },
                }),
                _ => None,
            },
            timeout,
            full_every,
            schedule,
            notifications,
            expires,
            notify,
            rules: rules?,
            doors,
        })
    }

    /// A day: the credential is taken to end with its first second.
    fn day(&mut self, key: &str, text: Option<&str>) -> Option<Timestamp> {
        let day = text?.trim().parse::<jiff::civil::Date>().ok();
        let day = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
        if day.is_none() {
            self.found(key, "is not a day", "write it as year-month-day, such as 2027-01-31");
        }
        day.map(|day| day.timestamp())
    }

    pub(super) fn address(&mut self, key: &str, text: Option<&str>) -> Option<BaseUrl> {
        match BaseUrl::parse(text?) {
            Ok(url) => Some(url),
            Err(error) => {
                // The reason only: the address itself may carry a password
                let message = error.to_string();
                let why =
                    message.rsplit_once("cannot be used: ").map_or("it is not an address", |(_, why)| why);
                self.found(
                    key,
                    format!("cannot be used: {why}"),
                    "write it as https://host (http only for this machine)",
                );
                None
            }
        }
    }

    fn credential(&mut self, d: &DirectorySection) -> Option<DirectoryCredential> {
        let tenant = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let shared = matches!(d.tenant_id.as_str(), "common" | "organizations" | "consumers");
        if !d.tenant_id.chars().all(tenant) || shared {
            self.found(
                "directory.tenant_id",
                "is neither a tenant id nor a domain of the tenant",
                "write the Directory (tenant) ID that the app registration's overview shows",
            );
        }
        if let Some(id) = &d.client_id
            && !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        {
            self.found(
                "directory.client_id",
                "is not an application id",
                "write the Application (client) ID that the app registration's overview shows",
            );
        }
        let file = |path: &Option<String>| path.as_ref().map(PathBuf::from);
        let mut given = Vec::new();
        if d.client_secret.is_some() {
            given.push(("client_secret", DirectoryCredential::Secret));
        }
        match (file(&d.certificate_file), file(&d.private_key_file)) {
            (Some(certificate), Some(key)) => {
                given.push(("certificate_file", DirectoryCredential::Certificate { certificate, key }));
            }
            (Some(_), None) => {
                let remedy = "add private_key_file = \"…\" beside certificate_file";
                self.found("directory.private_key_file", "is missing", remedy);
                return None;
            }
            (None, Some(_)) => {
                let remedy = "add certificate_file = \"…\" beside private_key_file";
                self.found("directory.certificate_file", "is missing", remedy);
                return None;
            }
            (None, None) => {}
        }
        match (&d.certificate, &d.private_key) {
            (Some(certificate), Some(_)) => {
                if !certificate.contains("-----BEGIN CERTIFICATE-----") {
                    let remedy = "paste the whole PEM text, from BEGIN CERTIFICATE to END CERTIFICATE";
                    self.found("directory.certificate", "is not a certificate in PEM", remedy);
                }
                let certificate = certificate.clone();
                given.push(("certificate", DirectoryCredential::Pem { certificate }));
            }
            (Some(_), None) => {
                let remedy = "add private_key = \"…\" beside certificate";
                self.found("directory.private_key", "is missing", remedy);
                return None;
            }
            (None, Some(_)) => {
                let remedy = "add certificate = \"…\" beside private_key";
                self.found("directory.certificate", "is missing", remedy);
                return None;
            }
            (None, None) => {}
        }
        if let Some(path) = file(&d.federated_token_file) {
            given.push(("federated_token_file", DirectoryCredential::Federated(path)));
        }
        if d.managed_identity {
            given.push(("managed_identity", DirectoryCredential::ManagedIdentity));
        }
        let kinds = "client_secret, certificate_file with private_key_file, certificate with private_key, \
                     federated_token_file, or managed_identity = true";
        let only = match given.len() {
            0 => {
                self.found(
                    "directory.client_secret",
                    "is missing, and no other credential is given",
                    format!("add one of {kinds}"),
                );
                return None;
            }
            1 => given.remove(0).1,
            _ => {
                let key = format!("directory.{}", given[1].0);
                self.found(&key, format!("is given beside {}", given[0].0), "keep one credential");
                return None;
            }
        };
        if d.client_id.is_none() && !matches!(only, DirectoryCredential::ManagedIdentity) {
            self.found("directory.client_id", "is missing", "add client_id = … below [directory]");
        }
        Some(only)
    }

    pub(super) fn span(&mut self, key: &str, text: Option<&str>, least: Duration) -> Option<Duration> {
        let parsed = text?.parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
        match parsed {
            Some(time) if time >= least => Some(time),
            Some(_) => {
                self.found(key, "is too short", format!("write at least {}s", least.as_secs()));
                None
            }
            None => {
                self.found(key, "is not a length of time", "write it as 90s, 15m or 24h");
                None
            }
        }
    }

    /// Gives back the schedule and the time between full reads.
    fn schedule(&mut self, s: &ScheduleSection) -> (Schedule, Duration) {
        let minute = Duration::from_mins(1);
        let every = self.span("schedule.every", s.every.as_deref(), minute).unwrap_or(EVERY);
        let full_every = self.span("schedule.full_every", s.full_every.as_deref(), minute);
        let jitter = self.span("schedule.jitter", s.jitter.as_deref(), Duration::ZERO).unwrap_or_default();
        if s.every.is_some() && s.cron.is_some() {
            self.found("schedule.cron", "is given beside every", "keep one of the two");
        }
        if s.cron.is_none() && jitter >= every {
            self.found("schedule.jitter", "is not shorter than every", "write less");
        }
        let cron = s.cron.as_ref().and_then(|cron| {
            let parsed = cron.parse::<croner::Cron>().ok().filter(|_| cron.split_whitespace().count() == 5);
            if parsed.is_none() {
                self.found(
                    "schedule.cron",
                    "is not a cron expression of five fields",
                    "write minute, hour, day of month, month, day of week, such as \"*/15 6-20 * * 1-5\"",
                );
            }
            parsed
        });
        if s.time_zone.is_some() && s.cron.is_none() && s.blackout.is_empty() {
            self.found(
                "schedule.time_zone",
                "means nothing without cron or blackout",
                "add one of them, or take time_zone out",
            );
        }
        let zone = s.time_zone.as_ref().and_then(|zone| {
            let zone = jiff::tz::TimeZone::get(zone).ok();
            if zone.is_none() {
                self.found(
                    "schedule.time_zone",
                    "is not a time zone",
                    "write an IANA name such as \"Europe/Berlin\"",
                );
            }
            zone
        });
        let mut blackout = Vec::with_capacity(s.blackout.len());
        for (at, text) in s.blackout.iter().enumerate() {
            match text.parse::<Window>() {
                Ok(window) => blackout.push(window),
                Err(error) => self.found(
                    &format!("schedule.blackout[{at}]"),
                    error.to_string(),
                    "write it as \"22:00-06:00\" or \"sat,sun 00:00-24:00\"",
                ),
            }
        }
        let schedule = Schedule {
            rhythm: cron.map_or(Rhythm::Every(every), |cron| Rhythm::Cron(Box::new(cron))),
            jitter,
            blackout,
            zone: zone.unwrap_or(jiff::tz::TimeZone::UTC),
        };
        (schedule, full_every.unwrap_or(FULL_EVERY))
    }

    /// How patient the connection is with hints, where notifications are enabled.
    fn notifications(&mut self, s: &NotificationsSection) -> Option<Patience> {
        let usual = Patience::default();
        let second = Duration::from_secs(1);
        let quiet = self.span("notifications.quiet", s.quiet.as_deref(), Duration::from_millis(100));
        let at_most = self.span("notifications.longest_wait", s.longest_wait.as_deref(), second);
        let loss_after = self.span("notifications.loss_after", s.loss_after.as_deref(), second);
        let patience = Patience {
            quiet: quiet.unwrap_or(usual.quiet),
            at_most: at_most.unwrap_or(usual.at_most),
            loss_after: loss_after.unwrap_or(usual.loss_after),
        };
        if patience.at_most < patience.quiet {
            self.found(
                "notifications.longest_wait",
                "is shorter than quiet",
                "write more, or less for quiet",
            );
        }
        s.enabled.then_some(patience)
    }

    fn selectors(&mut self, key: &str, texts: &[String]) -> Vec<GroupSelector> {
        let mut selectors = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            match GroupSelector::parse(text) {
                Ok(selector) => selectors.push(selector),
                Err(e) => {
                    self.found(
                        &format!("{key}[{at}]"),
                        format!("cannot be used: {e}"),
                        "write an id, a name or a pattern with *",
                    );
                }
            }
        }
        selectors
    }

    fn rules(&mut self, s: &Sections) -> Option<Rules> {
        let groups = self.selectors("scope.groups", &s.scope.groups);
        let exclude_groups = self.selectors("scope.exclude_groups", &s.scope.exclude_groups);
        if s.scope.groups.is_empty() && s.scope.users == Users::InGroups {
            self.found(
                "scope.groups",
                "names no group, so nobody would take part",
                "write groups = [\"…\"], or users = \"all\"",
            );
        }
        let users = self.users(s);
        let filter = self.filter(s);
        let guests = match s.scope.guests {
            GuestsWord::Include => Guests::Include,
            GuestsWord::Exclude => Guests::Exclude,
        };
        let names = match GroupNames::parse(&s.groups.name) {
            Ok(names) => Some(names),
            Err(e) => {
                self.found(
                    "groups.name",
                    format!("cannot be used: {e}"),
                    "write a template such as \"entra-{name}\"",
                );
                None
            }
        };
        let rewritings = self.rewritings(s);
        let bindings = self.bindings(s);
        let defaults = self.default_groups(s, &bindings);
        let modes = self.per_group("modes", &s.groups.modes, mode);
        let nestings = self.per_group("nestings", &s.groups.nestings, nesting);
        let protected = self.protected(s);
        let import = |on: bool| if on { Import::Create } else { Import::Report };
        Some(Rules {
            scope: Scope { exclude_groups, users: users?, guests, filter, ..Scope::in_groups(groups) },
            import_users: import(s.operations.import_users),
            import_groups: import(s.operations.import_groups),
            memberships: if s.operations.sync_memberships { Memberships::Sync } else { Memberships::Leave },
            products: s.operations.products.clone(),
            names: names?.rewritten(rewritings),
            bindings,
            defaults,
            existing: match s.groups.existing {
                ExistingGroups::Ask => Existing::Ask,
                ExistingGroups::Adopt => Existing::Adopt,
                ExistingGroups::Skip => Existing::Skip,
            },
            mode: mode(s.groups.mode),
            modes,
            nesting: nesting(s.groups.nesting),
            nestings,
            attributes: self.attributes(s),
            limits: Limits {
                removals: Limit { percent: s.limits.removals_percent, number: s.limits.removals_number },
                additions: Limit { percent: s.limits.additions_percent, number: s.limits.additions_number },
                kinds: self.limits_of_kinds(s),
            },
            approvers: if s.limits.two_people { Approvers::Two } else { Approvers::One },
            protected,
            leavers: super::leavers::read(self, s),
            seats: super::seats::read(self, s),
        })
    }

    fn limits_of_kinds(&mut self, s: &Sections) -> BTreeMap<StepKind, Limit> {
        let mut kinds = BTreeMap::new();
        for (word, KindLimit { percent, number }) in &s.limits.kinds {
            match StepKind::from_word(word) {
                Some(kind) => {
                    kinds.insert(kind, Limit { percent: *percent, number: *number });
                }
                None => self.found(
                    &join("limits.kinds", word),
                    "is not a kind of step",
                    format!("known are {}", StepKind::ALL.map(StepKind::as_str).join(", ")),
                ),
            }
        }
        kinds
    }

    fn rewritings(&mut self, s: &Sections) -> Vec<Rewriting> {
        let mut rewritings = Vec::with_capacity(s.groups.rename.len());
        for (at, rename) in s.groups.rename.iter().enumerate() {
            match Rewriting::parse(&rename.pattern, &rename.with) {
                Ok(rewriting) => rewritings.push(rewriting),
                Err(e) => self.found(
                    &format!("groups.rename[{at}]"),
                    format!("cannot be used: {e}"),
                    "write it as pattern = '^GRP-(.+)$' and with = '$1'",
                ),
            }
        }
        rewritings
    }

    fn per_group<W: Copy, T: Copy>(
        &mut self,
        table: &str,
        settings: &BTreeMap<String, W>,
        meaning: fn(W) -> T,
    ) -> PerGroup<T> {
        let mut read = Vec::with_capacity(settings.len());
        for (group, word) in settings {
            match GroupSelector::parse(group) {
                Ok(selector) => read.push((selector, meaning(*word))),
                Err(e) => self.found(
                    &format!("groups.{table}.{group}"),
                    format!("cannot be used: {e}"),
                    "write an id, a name or a pattern with *",
                ),
            }
        }
        read.into_iter().collect()
    }

    fn attributes(&mut self, s: &Sections) -> AttributeRules {
        let profile = &s.attributes.profile;
        let fields = [
            (ProfileField::Name, &profile.name),
            (ProfileField::Nickname, &profile.nickname),
            (ProfileField::TimeZone, &profile.time_zone),
            (ProfileField::Locale, &profile.locale),
            (ProfileField::JobTitle, &profile.job_title),
            (ProfileField::Department, &profile.department),
            (ProfileField::Organization, &profile.organization),
            (ProfileField::Location, &profile.location),
        ];
        let mut rules = AttributeRules::default();
        for (field, written) in fields {
            let Some(written) = written else { continue };
            let key = format!("attributes.profile.{}", field.as_str());
            if s.site.organization.is_none() {
                self.found(
                    &key,
                    "needs the organization, whose key alone can change profiles",
                    "add [site.organization], or take the field out",
                );
            }
            rules.profile.extend(self.field(&key, written).map(|rule| (field, rule)));
        }
        if let Some(property) = &s.attributes.property {
            if property.key.chars().count() > 255 || property.key.chars().any(char::is_control) {
                self.found(
                    "attributes.property.key",
                    "has more than 255 characters, or control characters",
                    "write a short word, such as \"entrain\"",
                );
            }
            let mut fields = BTreeMap::new();
            for (name, written) in &property.fields {
                let key = format!("attributes.property.fields.{name}");
                fields.extend(self.field(&key, written).map(|rule| (name.clone(), rule)));
            }
            rules.property = Some(PropertyRule { key: property.key.clone(), fields });
        }
        rules
    }

    fn field(&mut self, key: &str, written: &Field) -> Option<FieldRule> {
        let text = |text: &str| AttributeValue::Text(text.into());
        let (source, default, when) = match written {
            Field::From(from) => (self.expression(key, from)?, None, WhenWritten::Always),
            Field::Table(table) => {
                let source = match (&table.from, &table.constant) {
                    (Some(from), None) => self.expression(&format!("{key}.from"), from)?,
                    (None, Some(constant)) => Source::Constant(text(constant)),
                    (given, _) => {
                        let what = if given.is_some() {
                            "has from and constant"
                        } else {
                            "has neither from nor constant"
                        };
                        self.found(key, what, "write one of the two, such as from = \"user.department\"");
                        return None;
                    }
                };
                (source, table.default.as_deref(), table.when)
            }
        };
        let when = match when {
            WhenWritten::Always => When::Always,
            WhenWritten::Create => When::Create,
        };
        Some(FieldRule { source, default: default.map(text), when })
    }

    fn expression(&mut self, key: &str, text: &str) -> Option<Source> {
        match Expr::compile(text) {
            Ok(expression) if expression.reads_groups() => {
                self.found(
                    key,
                    "looks at groups, which attributes do not know",
                    "write an expression over user alone, such as \"user.department\"",
                );
                None
            }
            Ok(expression) => Some(Source::From(expression)),
            Err(e) => {
                self.found(key, format!("cannot be used: {e}"), e.remedy);
                None
            }
        }
    }

    fn users(&mut self, s: &Sections) -> Option<UserScope> {
        let key = "scope.assigned_to";
        match (s.scope.users, &s.scope.assigned_to) {
            (Users::Assigned, Some(text)) => match ApplicationId::parse(text.trim().to_lowercase()) {
                Ok(id) if id.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => {
                    Some(UserScope::Assigned(id))
                }
                _ => {
                    self.found(
                        key,
                        "is not an application id",
                        "write the application (client) id of the enterprise application, as Entra ID shows it",
                    );
                    None
                }
            },
            (Users::Assigned, None) => {
                self.found(
                    key,
                    "is missing",
                    "write assigned_to = \"…\" with the application (client) id of the enterprise application",
                );
                None
            }
            (Users::InGroups | Users::All, Some(_)) => {
                self.found(
                    key,
                    "only counts with users = \"assigned\"",
                    "write users = \"assigned\", or take it out",
                );
                None
            }
            (Users::InGroups, None) => Some(UserScope::InGroups),
            (Users::All, None) => Some(UserScope::All),
        }
    }

    fn filter(&mut self, s: &Sections) -> Option<Expr> {
        match Expr::condition(s.scope.filter.as_ref()?) {
            Ok(filter) => Some(filter),
            Err(e) => {
                self.found("scope.filter", format!("cannot be used: {e}"), e.remedy);
                None
            }
        }
    }

    fn bindings(&mut self, s: &Sections) -> Vec<Binding> {
        let mut bindings = Vec::with_capacity(s.groups.map.len());
        for (directory, site) in &s.groups.map {
            let key = format!("groups.map.{directory}");
            match GroupSelector::parse(directory) {
                Ok(selector) if selector.is_pattern() => {
                    self.found(&key, "is a pattern", "bind one directory group by its id or exact name");
                }
                Ok(_) if site.all().is_empty() => {
                    self.found(&key, "binds to nothing", "write the Jira group's name, or take the line out");
                }
                Ok(_) if site.all().iter().any(|name| site_name_problem(name).is_some()) => {
                    self.found(
                        &key,
                        "binds to a name that no Jira group can bear",
                        "write the Jira group's name",
                    );
                }
                Ok(directory) => {
                    let one = |name: &String| Binding {
                        directory: directory.clone(),
                        site: name.trim().to_owned(),
                    };
                    bindings.extend(site.all().iter().map(one));
                }
                Err(e) => {
                    self.found(&key, format!("cannot be used: {e}"), "write a directory group's id or name");
                }
            }
        }
        bindings
    }

    /// A Jira group has one reason to be filled: a second one would say nothing, or the contrary.
    fn default_groups(&mut self, s: &Sections, bindings: &[Binding]) -> DefaultGroups {
        let mut taken: BTreeMap<String, &str> =
            bindings.iter().map(|b| (group_name_key(&b.site), "groups.map")).collect();
        let mut read = |reader: &mut Self, key: &'static str, names: &[String]| {
            let mut groups = Vec::with_capacity(names.len());
            for (at, name) in names.iter().enumerate() {
                let place = format!("{key}[{at}]");
                if site_name_problem(name).is_some() {
                    reader.found(
                        &place,
                        "is a name that no Jira group can bear",
                        "write the Jira group's name",
                    );
                    continue;
                }
                match taken.insert(group_name_key(name), key) {
                    None => groups.push(name.trim().to_owned()),
                    Some(other) => reader.found(
                        &place,
                        format!("is named under {other} already"),
                        "keep it in one of the two places",
                    ),
                }
            }
            groups
        };
        DefaultGroups {
            everybody: read(self, "groups.default", &s.groups.default),
            newcomers: read(self, "groups.default_new", &s.groups.default_new),
        }
    }

    fn protected(&mut self, s: &Sections) -> Protected {
        let mut protected = Protected::default();
        for (at, text) in s.protected.accounts.iter().enumerate() {
            let key = format!("protected.accounts[{at}]");
            if text.contains('@') {
                match EmailAddress::parse(text) {
                    Ok(address) => drop(protected.addresses.insert(address.key())),
                    Err(e) => self.found(&key, format!("is {e}"), "write an account id or an e-mail address"),
                }
            } else {
                match AccountId::parse(text) {
                    Ok(id) => drop(protected.accounts.insert(id)),
                    Err(e) => self.found(
                        &key,
                        format!("cannot be used: {e}"),
                        "write an account id or an e-mail address",
                    ),
                }
            }
        }
        for text in &s.protected.groups {
            // A name may look like an id and an id like a name: protect what bears either
            if let Ok(id) = SiteGroupId::parse(text) {
                protected.groups.insert(id);
            }
            protected.group_names.insert(group_name_key(text));
        }
        protected
    }
}

fn mode(word: Mode) -> GroupMode {
    match word {
        Mode::Managed => GroupMode::Managed,
        Mode::Additive => GroupMode::Additive,
        Mode::Authoritative => GroupMode::Authoritative,
    }
}

fn nesting(word: Nesting) -> entrain_domain::policy::Nesting {
    match word {
        Nesting::Flatten => entrain_domain::policy::Nesting::Flatten,
        Nesting::Direct => entrain_domain::policy::Nesting::Direct,
    }
}
