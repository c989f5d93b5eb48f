//! The small company of the demo: a maker of weather instruments in four towns, with the usual untidiness.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::credentials::{account_id, application};
use super::names::local_part;
use super::{fill, site};
use crate::state::uuid_from;
use crate::world::World;
use crate::world::atlassian::SiteAccount;
use crate::world::tenant::{EntraGroup, EntraUser, Member, Tenant};

const DOMAIN: &str = "windrose.example";

/// Name, department, title, town, and a remark: `-` nothing, `off` disabled, `guest`, `nomail`.
#[rustfmt::skip]
const PEOPLE: [(&str, &str, &str, &str, &str); 58] = [
    ("Marta Oliveira", "Management", "Chief Executive", "Lisbon", "-"),
    ("Jonas Weber", "Management", "Chief Technology Officer", "Berlin", "-"),
    ("Aisha Karimi", "Management", "Chief Financial Officer", "Berlin", "-"),
    ("Ana Duarte", "Engineering", "Engineering Manager", "Lisbon", "-"),
    ("Ben Achterberg", "Engineering", "Software Engineer", "Utrecht", "-"),
    ("Carla Moreno", "Engineering", "Software Engineer", "Lisbon", "-"),
    ("Dmytro Shevchenko", "Engineering", "Software Engineer", "Berlin", "-"),
    ("Elin Sandberg", "Engineering", "Software Engineer", "Berlin", "-"),
    ("Farid Haddad", "Engineering", "Firmware Engineer", "Utrecht", "-"),
    ("Grace Mwangi", "Engineering", "Site Reliability Engineer", "Nairobi", "-"),
    ("Hiro Tanaka", "Engineering", "Firmware Engineer", "Utrecht", "-"),
    ("Ivana Horvat", "Engineering", "Test Engineer", "Berlin", "-"),
    ("Jakub Novák", "Engineering", "Software Engineer", "Berlin", "-"),
    ("Kemi Adeyemi", "Engineering", "Data Engineer", "Nairobi", "-"),
    ("Lars Nygård", "Engineering", "Software Engineer", "Berlin", "-"),
    ("Mei Lin", "Engineering", "Data Engineer", "Utrecht", "-"),
    ("Noah Becker", "Engineering", "Working Student", "Berlin", "-"),
    ("Olga Petrova", "Engineering", "Security Engineer", "Lisbon", "-"),
    ("Pedro Alves", "Engineering", "Software Engineer", "Lisbon", "off"),
    ("Quynh Tran", "Product", "Head of Product", "Berlin", "-"),
    ("Rita Santos", "Product", "Product Manager", "Lisbon", "-"),
    ("Samuel Okoye", "Product", "Product Manager", "Nairobi", "-"),
    ("Tessa van Dijk", "Product", "Product Designer", "Utrecht", "-"),
    ("Umar Farooq", "Product", "User Researcher", "Berlin", "-"),
    ("Valeria Conti", "Support", "Support Lead", "Lisbon", "-"),
    ("Wanjiru Kamau", "Support", "Support Engineer", "Nairobi", "-"),
    ("Xenia Papadaki", "Support", "Support Engineer", "Berlin", "-"),
    ("Yusuf Demir", "Support", "Support Engineer", "Berlin", "-"),
    ("Zuzana Králová", "Support", "Support Engineer", "Berlin", "-"),
    ("Amara Nwosu", "Support", "Support Engineer", "Nairobi", "-"),
    ("Bruno Ferreira", "Support", "Support Engineer", "Lisbon", "-"),
    ("Chloé Martin", "Sales", "Head of Sales", "Utrecht", "-"),
    ("David Schulz", "Sales", "Account Executive", "Berlin", "-"),
    ("Esra Yıldız", "Sales", "Account Executive", "Berlin", "-"),
    ("Filipe Costa", "Sales", "Account Executive", "Lisbon", "-"),
    ("Georgia Wright", "Sales", "Sales Engineer", "Utrecht", "-"),
    ("Hannah Vogel", "Marketing", "Head of Marketing", "Berlin", "-"),
    ("Isaac Njoroge", "Marketing", "Content Editor", "Nairobi", "-"),
    ("Julia Krämer", "Marketing", "Brand Designer", "Berlin", "-"),
    ("Katarzyna Wójcik", "Finance", "Accountant", "Berlin", "-"),
    ("Luís Pinto", "Finance", "Controller", "Lisbon", "-"),
    ("Monika Huber", "People", "Head of People", "Berlin", "-"),
    ("Nadia Rahman", "People", "Recruiter", "Berlin", "-"),
    ("Otto Lindholm", "IT", "Head of IT", "Berlin", "-"),
    ("Paula Gomes", "IT", "Systems Administrator", "Lisbon", "-"),
    ("Quentin Leroy", "IT", "Service Desk Analyst", "Utrecht", "-"),
    ("Ravi Menon", "IT", "Systems Administrator", "Nairobi", "-"),
    ("Sara Johansson", "Production", "Production Manager", "Utrecht", "-"),
    ("Tom de Boer", "Production", "Technician", "Utrecht", "nomail"),
    ("Uwe Krause", "Production", "Technician", "Utrecht", "nomail"),
    ("Veronika Seidl", "Production", "Buyer", "Utrecht", "-"),
    ("William Otieno", "Production", "Calibration Engineer", "Nairobi", "-"),
    ("Julia Krämer", "Support", "Support Engineer", "Lisbon", "-"),
    ("Yara Haddad", "Product", "Product Designer", "Lisbon", "off"),
    ("Pia Lindqvist", "Engineering", "Consultant", "Stockholm", "guest"),
    ("Marco Bellini", "Engineering", "Consultant", "Milan", "guest"),
    ("Sofia Keller", "Marketing", "Agency Copywriter", "Zurich", "guest"),
    ("Arjun Rao", "Support", "Partner Engineer", "Pune", "guest"),
];

/// Whom a group takes in: everybody of a department, everybody of a town, people by name, or another group.
enum Who {
    Department(&'static str),
    Town(&'static str),
    Person(&'static str),
    Group(&'static str),
}

use Who::{Department, Group, Person, Town};

const GROUPS: [(&str, &str, &[Who]); 12] = [
    ("Jira Engineering", "Boards of the engineers", &[Department("Engineering"), Person("Jonas Weber")]),
    ("Jira Product", "Roadmaps", &[Department("Product"), Person("Marta Oliveira")]),
    ("Jira Support", "Queues of customer support", &[Department("Support"), Person("Grace Mwangi")]),
    ("Jira Marketing", "Campaigns", &[Department("Marketing")]),
    (
        "Jira Everyone",
        "All who work with Jira",
        &[
            Group("Jira Engineering"),
            Group("Jira Product"),
            Group("Jira Support"),
            Group("Jira Marketing"),
            Department("IT"),
        ],
    ),
    (
        "Jira Release Managers",
        "Who may release a version",
        &[Person("Ana Duarte"), Person("Ivana Horvat"), Person("Rita Santos")],
    ),
    (
        "Confluence Authors",
        "Who writes the handbook",
        &[Group("Jira Product"), Department("People"), Person("Isaac Njoroge"), Person("Luís Pinto")],
    ),
    ("Confluence Readers", "Everybody in Berlin and Lisbon", &[Town("Berlin"), Town("Lisbon")]),
    (
        "Project Barometer",
        "The new station",
        &[Group("Jira Engineering"), Person("Tessa van Dijk"), Group("Jira Release Managers")],
    ),
    (
        "On Call",
        "Who is woken at night",
        &[Person("Grace Mwangi"), Person("Dmytro Shevchenko"), Person("Ravi Menon")],
    ),
    (
        "jira-administrators",
        "Helps with boards and fields",
        &[Person("Otto Lindholm"), Person("Noah Becker")],
    ),
    (
        "All Staff",
        "Everybody on the payroll",
        &[Town("Berlin"), Town("Lisbon"), Town("Utrecht"), Town("Nairobi")],
    ),
];

/// Who is in Jira before the first sync, and whether the profile shows the address. The last two left long ago.
const IN_JIRA: [(&str, bool); 12] = [
    ("Ana Duarte", true),
    ("Ben Achterberg", true),
    ("Dmytro Shevchenko", false),
    ("Grace Mwangi", true),
    ("Quynh Tran", true),
    ("Rita Santos", false),
    ("Valeria Conti", true),
    ("Yusuf Demir", false),
    ("Otto Lindholm", true),
    ("Jonas Weber", true),
    ("Pedro Alves", true),
    ("Yara Haddad", true),
];

/// The company of the demo. It is always the same.
pub fn demo_world() -> World {
    let mut rng = ChaCha8Rng::seed_from_u64(2026);
    let mut tenant = Tenant { id: uuid_from(&mut rng), domain: DOMAIN.into(), ..Tenant::default() };
    let application = application(&mut rng);
    tenant.applications.insert(application.client_id.clone(), application);

    let mut people: Vec<EntraUser> = Vec::new();
    for (number, (name, department, title, town, remark)) in PEOPLE.iter().enumerate() {
        let (given, surname) = name.split_once(' ').unwrap_or((name, ""));
        let mut local = format!("{}.{}", local_part(given), local_part(surname));
        if people.iter().any(|other| other.mail_nickname.as_deref() == Some(&local)) {
            local.push('2');
        }
        let guest = *remark == "guest";
        let mail = if guest { format!("{local}@partner.example") } else { format!("{local}@{DOMAIN}") };
        let principal = if guest {
            format!("{}#EXT#@windrose.onmicrosoft.com", mail.replace('@', "_"))
        } else {
            mail.clone()
        };
        people.push(EntraUser {
            id: uuid_from(&mut rng),
            display_name: Some((*name).to_owned()),
            given_name: Some(given.to_owned()),
            surname: Some(surname.to_owned()),
            mail: (*remark != "nomail").then_some(mail),
            user_principal_name: principal,
            account_enabled: Some(*remark != "off"),
            user_type: Some(if guest { "Guest".into() } else { "Member".into() }),
            mail_nickname: Some(local),
            job_title: Some((*title).to_owned()),
            department: Some((*department).to_owned()),
            company_name: Some(if guest { "Partner".into() } else { "Windrose".into() }),
            employee_id: (!guest).then(|| format!("{:04}", number + 1)),
            office_location: Some((*town).to_owned()),
            created_date_time: Some("2021-03-01T08:00:00Z".into()),
            manager: (number > 0).then(|| people[0].id.clone()),
            ..EntraUser::default()
        });
    }

    let ids: BTreeMap<&str, String> =
        GROUPS.iter().map(|(name, _, _)| (*name, uuid_from(&mut rng))).collect();
    let mut groups = Vec::new();
    for (name, description, members) in &GROUPS {
        let mut found = std::collections::BTreeSet::new();
        for who in *members {
            let fits = |number: usize| match who {
                Department(department) => PEOPLE[number].1 == *department,
                Town(town) => PEOPLE[number].3 == *town,
                Person(person) => PEOPLE[number].0 == *person,
                Group(_) => false,
            };
            if let Group(group) = who {
                found.insert(Member::Group(ids[group].clone()));
            }
            found.extend((0..PEOPLE.len()).filter(|n| fits(*n)).map(|n| Member::User(people[n].id.clone())));
        }
        groups.push(EntraGroup {
            id: ids[name].clone(),
            display_name: Some((*name).to_owned()),
            description: Some((*description).to_owned()),
            mail_nickname: Some(name.chars().filter(char::is_ascii_alphanumeric).collect()),
            created_date_time: Some("2021-03-01T08:00:00Z".into()),
            members: found,
            ..EntraGroup::default()
        });
    }

    let mut atlassian = site::empty(DOMAIN, PEOPLE.len(), &mut rng);
    let mut settled = Vec::new();
    for (name, email_visible) in IN_JIRA {
        let Some(person) = people.iter().find(|p| p.display_name.as_deref() == Some(name)) else { continue };
        let id = account_id(&mut rng);
        settled.push(id.clone());
        let account = SiteAccount {
            account_id: id.clone(),
            email: person.mail.clone(),
            email_visible,
            display_name: name.into(),
            managed: true,
            ..SiteAccount::default()
        };
        atlassian.accounts.insert(id, account);
    }
    site::add_group(
        &mut atlassian,
        "Project Barometer",
        &["user"],
        settled.iter().take(2).cloned().collect(),
        &mut rng,
    );
    // The one directory group of theirs that grants a seat, so that joiners take one and leavers give it back.
    if let Some(jira) = atlassian.products.first_mut() {
        jira.groups.insert("Project Barometer".into());
    }
    site::add_group(
        &mut atlassian,
        "Friday Band",
        &["user"],
        settled.iter().skip(3).take(4).cloned().collect(),
        &mut rng,
    );
    site::join(&mut atlassian, site::JIRA_USERS, settled);
    for (number, name) in ["Harbour Office Kiel", "Cape Weather Service"].iter().enumerate() {
        let id = format!("qm:{}:{number}", uuid_from(&mut rng));
        let customer = SiteAccount {
            account_id: id.clone(),
            account_type: "customer".into(),
            email: Some(format!("desk{number}@clients.example")),
            display_name: (*name).to_owned(),
            ..SiteAccount::default()
        };
        atlassian.accounts.insert(id, customer);
    }
    site::add_apps(&mut atlassian, &mut rng);
    fill(&mut tenant, people, groups);
    World { tenant, atlassian }
}
