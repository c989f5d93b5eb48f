//! A seeded generator of worlds of any size, in time linear in people and groups, and the small company of the demo.
//!
//! The same options always give the same world, ids and secrets included. A generated world has what makes a directory
//! sync hard: nested groups and a cycle, guests, disabled people, people without an address, people who are in Jira
//! already, with a visible address or without, people and groups of one name, and groups whose name is taken on the site.

mod credentials;
mod demo;
mod names;
mod site;

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) use credentials::{account_id, application, client_secret};
pub use demo::demo_world;

use super::World;
use super::atlassian::Atlassian;
use super::tenant::{EntraGroup, EntraUser, Member, Tenant};
use crate::state::uuid_from;
use names::{CITIES, DEPARTMENTS, GIVEN, PURPOSES, SURNAMES, local_part};

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Users of the directory, guests included.
    pub people: usize,
    /// Groups of the directory.
    pub groups: usize,
    /// The world follows from it.
    pub seed: u64,
    /// E-mail domain of the company.
    pub domain: String,
    /// Members of a group on average; groups have from a third to five thirds of it.
    pub members_per_group: usize,
    /// Share of guests, in percent.
    pub guests: u32,
    /// Share of disabled people, in percent.
    pub disabled: u32,
    /// Share of people without a mail address, in percent.
    pub without_mail: u32,
    /// Share of groups that hold other groups, in percent.
    pub nested: u32,
    /// Share of people who have an account on the site already, in percent.
    pub in_jira: u32,
    /// Whether there are people and groups of one name, groups with a name that is taken on the site, and a cycle.
    pub clashes: bool,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            people: 100,
            groups: 10,
            seed: 1,
            domain: "acme.example".into(),
            members_per_group: 60,
            guests: 4,
            disabled: 3,
            without_mail: 1,
            nested: 4,
            in_jira: 20,
            clashes: true,
        }
    }
}

/// When generated worlds begin; what is in them has been there since.
pub(crate) fn beginning() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("the instant is well formed")
}

/// Makes a world.
pub fn generate(options: &GenerateOptions) -> World {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut tenant = Tenant { id: uuid_from(&mut rng), domain: options.domain.clone(), ..Tenant::default() };
    let application = application(&mut rng);
    tenant.applications.insert(application.client_id.clone(), application);
    let people = people(options, &mut rng);
    let groups = groups(options, &people, &mut rng);
    let mut atlassian = site::empty(&options.domain, options.people, &mut rng);
    site::settle(&mut atlassian, &people, options, &mut rng);
    fill(&mut tenant, people, groups);
    World { tenant, atlassian }
}

/// Puts users and groups into a tenant as having been there since the beginning: no delta query reports them as changes.
fn fill(tenant: &mut Tenant, people: Vec<EntraUser>, groups: Vec<EntraGroup>) {
    let at = beginning();
    for user in people {
        tenant.add_user(user, at).expect("generated users have ids and names of their own");
    }
    for group in groups {
        tenant.add_group(group, at).expect("generated groups have ids of their own");
    }
    tenant.log.clear();
}

fn happens(percent: u32, rng: &mut ChaCha8Rng) -> bool {
    rng.random_range(0..100) < percent
}

fn pick<'a, T>(from: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

fn people(options: &GenerateOptions, rng: &mut ChaCha8Rng) -> Vec<EntraUser> {
    let mut taken: HashSet<String> = HashSet::with_capacity(options.people);
    let mut people: Vec<EntraUser> = Vec::with_capacity(options.people);
    for number in 0..options.people {
        let (mut given, mut surname) = (*pick(&GIVEN, rng), *pick(&SURNAMES, rng));
        if options.clashes && number == 1 {
            given = people[0]
                .given_name
                .as_deref()
                .and_then(|n| GIVEN.iter().find(|g| **g == n))
                .map_or(given, |g| *g);
            surname = people[0]
                .surname
                .as_deref()
                .and_then(|n| SURNAMES.iter().find(|s| **s == n))
                .map_or(surname, |s| *s);
        }
        let (department, titles) = pick(&DEPARTMENTS, rng);
        let (city, country) = pick(&CITIES, rng);
        let guest = number > 2 && happens(options.guests, rng);
        let base = format!("{}.{}", local_part(given), local_part(surname));
        let mut local = base.clone();
        let mut suffix = 1;
        while !taken.insert(local.clone()) {
            // Counting on from 3 would try thousands of numbers for each of 100,000 people; the person's own is free.
            suffix = if suffix == 3 { number.max(4) } else { suffix + 1 };
            local = format!("{base}{suffix}");
        }
        let mail =
            if guest { format!("{local}@partner.example") } else { format!("{local}@{}", options.domain) };
        let principal = if guest {
            let hidden = options.domain.split('.').next().unwrap_or("acme");
            format!("{}#EXT#@{hidden}.onmicrosoft.com", mail.replace('@', "_"))
        } else {
            mail.clone()
        };
        let year = rng.random_range(2012..2026);
        let (month, day) = (rng.random_range(1..=12), rng.random_range(1..=28));
        people.push(EntraUser {
            id: uuid_from(rng),
            display_name: Some(format!("{given} {surname}")),
            given_name: Some(given.to_owned()),
            surname: Some(surname.to_owned()),
            mail: (number < 3 || guest || !happens(options.without_mail, rng)).then_some(mail),
            user_principal_name: principal,
            account_enabled: Some(number < 3 || !happens(options.disabled, rng)),
            user_type: Some(if guest { "Guest".into() } else { "Member".into() }),
            mail_nickname: Some(local),
            job_title: Some((*pick(titles, rng)).to_owned()),
            department: Some((*department).to_owned()),
            company_name: Some(if guest { "Partner".into() } else { "Acme".into() }),
            employee_id: (!guest).then(|| format!("{:06}", number + 1)),
            office_location: Some((*city).to_owned()),
            usage_location: Some((*country).to_owned()),
            created_date_time: Some(format!("{year}-{month:02}-{day:02}T08:00:00Z")),
            // A tree of managers: everybody's is somebody who came before.
            manager: (number > 0).then(|| people[number / 8].id.clone()),
            ..EntraUser::default()
        });
    }
    people
}

fn groups(options: &GenerateOptions, people: &[EntraUser], rng: &mut ChaCha8Rng) -> Vec<EntraGroup> {
    let mut groups: Vec<EntraGroup> = Vec::with_capacity(options.groups);
    for number in 0..options.groups {
        let name = group_name(number);
        // Every 25th is a Microsoft 365 group: with a mailbox, and without nested groups.
        let unified = number % 25 == 24;
        let nickname: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        groups.push(EntraGroup {
            id: uuid_from(rng),
            display_name: Some(name.clone()),
            description: Some(format!("{name}: who takes part")),
            mail: unified.then(|| format!("{}.{number}@{}", local_part(&name), options.domain)),
            mail_nickname: Some(format!("{nickname}{number}")),
            mail_enabled: unified,
            security_enabled: true,
            group_types: if unified { vec!["Unified".into()] } else { Vec::new() },
            visibility: unified.then(|| "Private".into()),
            created_date_time: Some("2020-02-03T09:00:00Z".into()),
            members: members(options, people, number, rng),
            ..EntraGroup::default()
        });
    }
    nest(options, &mut groups, rng);
    groups
}

/// `Jira Engineering`, `Confluence Engineering`, …, then with a city, then numbered.
fn group_name(number: usize) -> String {
    let purpose = PURPOSES[number % PURPOSES.len()];
    let rest = number / PURPOSES.len();
    let (department, _) = DEPARTMENTS[rest % DEPARTMENTS.len()];
    let rest = rest / DEPARTMENTS.len();
    let place = rest % (CITIES.len() + 1);
    let round = rest / (CITIES.len() + 1);
    let mut name = format!("{purpose} {department}");
    if place > 0 {
        name.push(' ');
        name.push_str(CITIES[place - 1].0);
    }
    if round > 0 {
        name = format!("{name} {}", round + 1);
    }
    name
}

fn members(
    options: &GenerateOptions,
    people: &[EntraUser],
    number: usize,
    rng: &mut ChaCha8Rng,
) -> BTreeSet<Member> {
    let average = options.members_per_group;
    // One group of larger worlds is empty.
    if people.is_empty() || (options.groups >= 20 && number == 7) {
        return BTreeSet::new();
    }
    let wanted = rng.random_range(average / 3..=average * 5 / 3).min(people.len());
    if wanted * 2 >= people.len() {
        // So large a share is a run of neighbours: drawing until enough different ones are found would not end.
        let start = rng.random_range(0..people.len());
        return (0..wanted).map(|i| Member::User(people[(start + i) % people.len()].id.clone())).collect();
    }
    let mut chosen = BTreeSet::new();
    while chosen.len() < wanted {
        chosen.insert(Member::User(pick(people, rng).id.clone()));
    }
    chosen
}

fn nest(options: &GenerateOptions, groups: &mut [EntraGroup], rng: &mut ChaCha8Rng) {
    let count = groups.len();
    for number in 1..count {
        if happens(options.nested, rng) && groups[number].group_types.is_empty() {
            let inner = groups[rng.random_range(0..number)].id.clone();
            groups[number].members.insert(Member::Group(inner));
        }
    }
    if !options.clashes || count < 10 {
        return;
    }
    // A ring of three.
    for (outer, inner) in [(1, 2), (2, 3), (3, 1)] {
        let id = groups[inner].id.clone();
        groups[outer].members.insert(Member::Group(id));
    }
    let twin = groups[4].display_name.clone();
    groups[5].display_name = twin;
    groups[6].display_name = Some("jira-administrators".into());
    groups[8].display_name = Some(site::TAKEN_GROUP.into());
}

/// A site with its administrator, its default groups and products, and nobody else.
pub(crate) fn empty_site(domain: &str, people: usize, rng: &mut ChaCha8Rng) -> Atlassian {
    site::empty(domain, people, rng)
}
