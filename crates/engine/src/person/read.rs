//! Reading one person: both sides side by side, and what is remembered of groups, which many syncs share.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use entrain_domain::Failure;
use entrain_domain::memory::{Anchor, Memory};
use entrain_domain::model::{
    Account, AccountId, AccountState, Assignments, DirectoryGroupId, DirectoryUser, EmailAddress, Ground,
    GroupSeen, PersonFound, PersonKey, PersonReading, Seats, SiteGroupId, SiteSnapshot, SiteStanding,
    group_name_key, snapshot_of_one,
};
use entrain_domain::plan::{Approval, Lookup, LookupBy, Lookups, MendedBy, Plan, SetAside};
use entrain_domain::policy::{AttributeRules, Ceiling, Leavers, Memberships, Rules};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::PersonOrder;
use super::after::put_groups;
use super::asking::Claimed;
use crate::ports::{AboutPerson, Clock, Directory, DirectoryRead, Ids, Site, Store, Watermark};
use crate::run::{Engine, Reach, World, fold};

/// How long the checks of the site hold for the syncs of persons.
const CHECKED: SignedDuration = SignedDuration::from_secs(60);

/// With fewer seats left than this, they are counted again before one is taken…
const FEW_SEATS: u64 = 50;
/// …unless that was done so lately.
const COUNTED: SignedDuration = SignedDuration::from_secs(2);

/// What the syncs of many persons share for a while: the checks of the site, and the groups of both sides.
#[derive(Debug, Default)]
pub struct Warm(Mutex<Option<Known>>);

#[derive(Debug, Clone)]
struct Known {
    checked_at: Timestamp,
    standing: SiteStanding,
    stamp: String,
    ground: Arc<Ground>,
}

/// What reading one person found.
pub(super) enum Seen {
    /// Something to plan over, with the rules as far as they are about one person.
    World(Box<World>, Box<Rules>),
    /// Something that a run over everything has to see to.
    Waits(SetAside),
    /// The directory does not know the person, and nothing hangs on them.
    Nobody,
}

/// Whose account an address is, by the site, and whose address it is, by the directory.
struct Looked {
    hits: Vec<Account>,
    sharing: Vec<DirectoryUser>,
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Reads the person on both sides.
    pub(super) async fn read_person(&self, claimed: &Claimed, order: &PersonOrder) -> Result<Seen, Failure> {
        let (store, user) = (&self.ports.store, &claimed.user);
        let (demand, now) = (self.rules.demand(), self.ports.clock.now());
        let AboutPerson { mut memory, mirrored, assignments, head, ground_stamp, history } =
            store.about_person(&self.connection, user, now).await?;
        let linked = memory.user(user).map(|link| link.account.clone());
        let hint = match &linked {
            Some(_) => None,
            None => order.address.clone().or_else(|| mirrored.as_ref().and_then(DirectoryUser::address)),
        };
        let Some(head) = head else {
            return Ok(Seen::Waits(waits(order, "nothing was read yet for this connection")));
        };
        let basis = self.basis(head.basis.full_at);
        if head.basis.rules != basis.rules || head.basis.demand != basis.demand {
            return Ok(Seen::Waits(waits(order, "the rules have changed since the last run")));
        }

        let key = PersonKey::Id(user.clone());
        let reading = self.ports.directory.person(&key, &demand);
        let account = async {
            match &linked {
                Some(id) => {
                    let (account, groups) =
                        tokio::try_join!(self.ports.site.account(id), self.ports.site.groups_of(id))?;
                    Ok::<_, Failure>(Some((account, groups.unwrap_or_default())))
                }
                None => Ok(None),
            }
        };
        let looked = async {
            match &hint {
                Some(address) => self.look_for(address).await.map(Some),
                None => Ok(None),
            }
        };
        let (reading, account, mut looked, known) =
            tokio::try_join!(reading, account, looked, self.warm(ground_stamp))?;
        let found = match reading {
            PersonReading::Found(found) => Some(found),
            _ if linked.is_none() => return Ok(Seen::Nobody),
            PersonReading::Gone(_) => None,
            PersonReading::Missing(_) | PersonReading::Unknown | PersonReading::Several(_) => {
                let why = "the directory does not find the person, and does not have them in its recycle bin either";
                return Ok(Seen::Waits(waits(order, why)));
            }
        };

        let mut site = SiteSnapshot::new(known.standing.clone(), Vec::new(), known.ground.site.clone());
        let mut lookups = Lookups::new();
        let (shown, groups) = account.unwrap_or_default();
        let enabled = found.as_ref().filter(|found| found.user.account == AccountState::Enabled);
        if let Some(account) = &shown {
            site.put_account(account.clone());
        } else if let Some(address) = enabled.and_then(|found| found.user.address()) {
            // No account yet, or one that the site does not know any more.
            if looked.is_none() || hint.as_ref() != Some(&address) {
                looked = Some(self.look_for(&address).await?);
            }
            if let (Some(looked), Some(found)) = (looked, enabled) {
                if let Some(aside) = shared(order, &found.user, &address, &looked.sharing) {
                    return Ok(Seen::Waits(aside));
                }
                let ids: Vec<AccountId> = looked.hits.iter().map(|account| account.id.clone()).collect();
                if !ids.is_empty() {
                    memory = store.person_memory(&self.connection, user, &ids).await?;
                }
                let lookup = fold(looked.hits.clone(), &address, found.user.label());
                for account in looked.hits {
                    let taken = matches!(&lookup, Lookup::One(id) if *id == account.id);
                    if taken || account.email.as_ref() == Some(&address) {
                        site.put_account(account);
                    }
                }
                lookups.insert(user.clone(), lookup);
            }
        }
        let seen =
            self.look_at_groups(&known.ground, &memory, linked.as_ref(), &groups, found.as_deref()).await?;
        let snapshot = snapshot_of_one(
            &known.ground.directory,
            user,
            found.as_deref(),
            &seen,
            assignments.as_ref().filter(|list| self.is_asked_for(list)),
        );
        let mut world = World {
            reach: Reach::Full,
            basis,
            directory: DirectoryRead { snapshot, watermark: no_watermark(now) },
            site,
            memory,
            lookups,
            history,
            now,
            seats_read: true,
            since: None,
            own: Some(user.clone()),
            asked: None,
        };
        let account = linked.or_else(|| world.site.accounts().first().map(|account| account.id.clone()));
        match account {
            Some(account) => put_groups(&mut world, &account, &groups),
            None => put_groups(&mut world, &known.standing.own_account.clone(), &[]),
        }
        // The ladder's rungs and attributes are the business of runs over everything.
        let rules = Rules {
            leavers: Leavers::default(),
            attributes: AttributeRules::default(),
            ..self.rules.clone()
        };
        Ok(Seen::World(Box::new(world), Box::new(rules)))
    }

    fn is_asked_for(&self, list: &Assignments) -> bool {
        matches!(
            &self.rules.scope.users,
            entrain_domain::policy::UserScope::Assigned(application) if application == list.application()
        )
    }

    /// Whose account it is that has an address, and who in the directory has it.
    async fn look_for(&self, address: &EmailAddress) -> Result<Looked, Failure> {
        let demand = self.rules.demand();
        let hits = async {
            match self.ports.site.look_up_by() {
                LookupBy::Site => self.ports.site.find_accounts(address).await,
                LookupBy::Organization => {
                    let found = self.ports.site.find_in_organization(std::slice::from_ref(address)).await?;
                    let mut hits = Vec::new();
                    for (_, id) in found {
                        if let Some(account) = self.ports.site.account(&id).await? {
                            hits.push(Account { email: Some(address.clone()), ..account });
                        }
                    }
                    Ok(hits)
                }
            }
        };
        let (hits, sharing) = tokio::try_join!(hits, self.ports.directory.people_of(address, &demand))?;
        Ok(Looked { hits, sharing })
    }

    /// The groups in which the account is, or was put, and of which the directory does not say that the person is in
    /// them: before anything is taken away, they are looked at by themselves.
    async fn look_at_groups(
        &self,
        ground: &Ground,
        memory: &Memory,
        account: Option<&AccountId>,
        current: &[SiteGroupId],
        found: Option<&PersonFound>,
    ) -> Result<HashMap<DirectoryGroupId, GroupSeen>, Failure> {
        let Some(account) = account.filter(|_| self.rules.memberships == Memberships::Sync) else {
            return Ok(HashMap::new());
        };
        let is_in: HashSet<&DirectoryGroupId> =
            found.iter().flat_map(|found| &found.groups).map(|(id, _)| id).collect();
        let owned = memory.all_memberships().filter(|(_, of, _)| *of == account).map(|(group, _, _)| group);
        let mut wanted: BTreeSet<DirectoryGroupId> = BTreeSet::new();
        for group in owned.chain(current) {
            match memory.anchor_of(group) {
                Some(Anchor::Directory(id)) => {
                    wanted.insert(id.clone());
                }
                Some(Anchor::Named(_)) | None => {
                    let Some(site) = ground.site.iter().find(|known| known.id == *group) else { continue };
                    let name = group_name_key(&site.name);
                    for binding in self.rules.bindings.iter().filter(|b| group_name_key(&b.site) == name) {
                        let bound = ground
                            .directory
                            .iter()
                            .filter(|known| binding.directory.selects(&known.id, &known.name));
                        wanted.extend(bound.map(|known| known.id.clone()));
                    }
                }
            }
        }
        wanted.retain(|id| !is_in.contains(id));
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let wanted: Vec<DirectoryGroupId> = wanted.into_iter().collect();
        Ok(self.ports.directory.groups_seen(&wanted).await?.into_iter().collect())
    }

    /// The plan for the person. Where it takes seats, they are counted as taken for the syncs beside it at once; where few
    /// are left, they are counted anew.
    pub(super) async fn plan_and_reserve(
        &self,
        world: &mut World,
        rules: &Rules,
        approval: Approval,
    ) -> Result<Plan, Failure> {
        let plan = self.person_plan(world, rules, approval)?;
        if plan.waiting.is_empty() && plan.seats.values().all(|seats| seats.after <= seats.before) {
            return Ok(plan);
        }
        let mut warm = self.warm.0.lock().await;
        let Some(known) = warm.as_mut() else { return Ok(plan) };
        let few = known.standing.products.iter().any(|product| match rules.seats.ceiling(product) {
            Ceiling::At(most) => most.saturating_sub(product.seats.used().unwrap_or_default()) < FEW_SEATS,
            Ceiling::NotKnown | Ceiling::None => false,
        });
        let now = self.ports.clock.now();
        if few && now.duration_since(known.checked_at) > COUNTED {
            let standing = self.standing_at_once().await?;
            known.standing = standing.distrusting_unfiltered_lists(&known.ground.site);
            known.checked_at = now;
        }
        world.site.put_products(known.standing.products.clone());
        let plan = self.person_plan(world, rules, approval)?;
        for product in &mut known.standing.products {
            let after = plan.seats.get(&product.key).filter(|seats| seats.after > seats.before);
            product.seats = match (product.seats, after.map(|seats| seats.after)) {
                (Seats::Limited { limit, .. }, Some(used)) => Seats::Limited { limit, used },
                (Seats::Unlimited { .. }, Some(used)) => Seats::Unlimited { used },
                (Seats::LimitNotTold { .. }, Some(used)) => Seats::LimitNotTold { used },
                (seats, _) => seats,
            };
        }
        Ok(plan)
    }

    /// The checks of the site and the groups of both sides, read again when they are old or have changed.
    async fn warm(&self, stamp: String) -> Result<Known, Failure> {
        let store = &self.ports.store;
        let mut warm = self.warm.0.lock().await;
        let now = self.ports.clock.now();
        let fresh = |known: &Known| known.checked_at <= now && now.duration_since(known.checked_at) < CHECKED;
        let known = match warm.take() {
            Some(known) if fresh(&known) && known.stamp == stamp => known,
            Some(known) if fresh(&known) => {
                let ground = Arc::new(store.ground(&self.connection).await?);
                Known { stamp, ground, ..known }
            }
            _ => {
                let (standing, ground) =
                    tokio::try_join!(self.standing_at_once(), store.ground(&self.connection))?;
                let standing = standing.distrusting_unfiltered_lists(&ground.site);
                Known { checked_at: now, standing, stamp, ground: Arc::new(ground) }
            }
        };
        // Below the planner, before anything is written
        self.ports.site.protect(&self.rules.protected, &known.standing, &known.ground.site);
        *warm = Some(known.clone());
        Ok(known)
    }
}

/// Several people of the directory with one address, none of them linked: nobody is chosen here.
fn shared(
    order: &PersonOrder,
    user: &DirectoryUser,
    address: &EmailAddress,
    sharing: &[DirectoryUser],
) -> Option<SetAside> {
    let others = sharing
        .iter()
        .filter(|other| other.id != user.id && other.account != AccountState::Disabled)
        .filter(|other| other.address().as_ref() == Some(address))
        .count();
    (others > 0).then(|| SetAside {
        object: order.who.clone(),
        reason: format!("{} people in the directory share the address {address}", others + 1),
        remedy: "give each an address of their own in Entra ID".into(),
        mended_by: MendedBy::Itself,
    })
}

fn waits(order: &PersonOrder, why: &str) -> SetAside {
    SetAside {
        object: order.who.clone(),
        reason: format!("waits for a run over everything: {why}"),
        remedy: "run entrain sync once, or wait for the schedule".into(),
        mended_by: MendedBy::Itself,
    }
}

/// A reading of one person is nothing to go on from.
fn no_watermark(at: Timestamp) -> Watermark {
    Watermark { users: String::new(), groups: String::new(), issued_at: at }
}
