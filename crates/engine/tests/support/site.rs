//! A site in memory, with lag, faults and a count of what reached it.

use super::*;

/// What goes wrong with a write.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It happens, and the answer is lost.
    LoseAnswer,
    /// It does not happen, and nobody can tell.
    LoseRequest,
    /// It does not happen, and this is said.
    Refuse(Failure),
    /// Nothing: the next one is about a later write.
    Pass,
}

/// What a person does in a group.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ByHand {
    In,
    Out,
}

#[derive(Debug, Clone)]
pub(crate) struct FakeSite {
    state: Arc<Mutex<SiteState>>,
    kill: Kill,
}

#[derive(Debug, Default)]
struct SiteState {
    accounts: Vec<(Account, Option<Instant>)>,
    groups: Vec<SiteGroup>,
    members: BTreeMap<SiteGroupId, BTreeSet<AccountId>>,
    mails: BTreeMap<String, usize>,
    writes: BTreeMap<StepKind, usize>,
    calls: BTreeMap<StepKind, usize>,
    requests: u64,
    member_reads: u64,
    lag: Duration,
    /// For how long a new membership does not show in the list of members.
    member_lag: Duration,
    late: HashMap<(SiteGroupId, AccountId), Instant>,
    faults: HashMap<StepKind, VecDeque<Fault>>,
    in_flight: usize,
    most_in_flight: usize,
    products: Vec<Product>,
    group_fault: HashMap<String, Failure>,
    /// Why members of groups cannot be read.
    members_fault: Option<Failure>,
    /// The organization plane, where a key is configured.
    organization: Option<OrganizationState>,
    /// Accounts whose address the site does not show.
    hidden: BTreeSet<AccountId>,
    /// Who is invited hides the address, and is called by the part of it before the `@`.
    newcomers_hide: bool,
    properties: BTreeMap<(AccountId, String), PropertyValues>,
    /// Rungs that were taken of accounts, by whomever.
    access: BTreeMap<AccountId, BTreeSet<Measure>>,
    leads_asked: usize,
    /// Seats that there are of each product.
    seats: BTreeMap<ProductKey, u64>,
}

impl SiteState {
    /// The account as the site shows it.
    fn shown(&self, account: &Account) -> Account {
        let hidden = self.hidden.contains(&account.id);
        Account { email: account.email.clone().filter(|_| !hidden), ..account.clone() }
    }
    fn seated(&self, product: &Product) -> BTreeSet<AccountId> {
        product.groups.iter().filter_map(|id| self.members.get(id)).flatten().cloned().collect()
    }
}

#[derive(Debug, Default)]
struct OrganizationState {
    requests: u64,
    addresses: usize,
    renames: Option<RenameBy>,
    profiles: BTreeMap<AccountId, ProfileStanding>,
    fails: Option<Failure>,
}

impl FakeSite {
    pub(crate) fn new(kill: Kill) -> Self {
        Self { state: Arc::default(), kill }
    }
    fn state(&self) -> MutexGuard<'_, SiteState> {
        self.state.lock().unwrap()
    }
    pub(crate) fn account(&self, n: u32) -> AccountId {
        let id = AccountId::parse(format!("acc-{n}")).unwrap();
        let account = Account {
            id: id.clone(),
            email: Some(address(n)),
            display_name: format!("Person {n}").into(),
            activity: AccountActivity::Active,
            kind: AccountKind::Person,
        };
        self.state().accounts.push((account, None));
        id
    }
    /// A portal customer of the same address, who shows it nowhere.
    pub(crate) fn customer(&self, n: u32) -> AccountId {
        let id = self.account(n);
        let mut state = self.state();
        let (account, _) = state.accounts.iter_mut().rev().find(|(account, _)| account.id == id).unwrap();
        account.kind = AccountKind::Customer;
        account.id = AccountId::parse(format!("qm:{n}")).unwrap();
        let id = account.id.clone();
        state.hidden.insert(id.clone());
        id
    }
    /// From now on, who is invited hides the address, and is called by the part of it before the `@`.
    pub(crate) fn newcomers_hide(&self) {
        self.state().newcomers_hide = true;
    }
    /// A second account of the same address.
    pub(crate) fn twin(&self, n: u32) -> AccountId {
        let id = AccountId::parse(format!("twin-{n}")).unwrap();
        let mut state = self.state();
        let (account, _) = state.accounts.iter().find(|(a, _)| a.email == Some(address(n))).unwrap().clone();
        state.accounts.push((Account { id: id.clone(), ..account }, None));
        id
    }
    pub(crate) fn group(&self, name: &str, members: &[&AccountId]) -> SiteGroupId {
        let mut state = self.state();
        let id = SiteGroupId::parse(format!("sg-{}", state.groups.len())).unwrap();
        state.groups.push(SiteGroup { id: id.clone(), name: name.into() });
        state.members.insert(id.clone(), members.iter().map(|m| (*m).clone()).collect());
        id
    }
    /// What a kill leaves behind in the count is forgotten.
    pub(crate) fn nothing_in_flight(&self) {
        self.state().in_flight = 0;
    }
    pub(crate) fn lag(&self, lag: Duration) {
        self.state().lag = lag;
    }
    #[allow(dead_code, clippy::allow_attributes, reason = "not every test file uses it")]
    pub(crate) fn memberships_show_after(&self, lag: Duration) {
        self.state().member_lag = lag;
    }
    pub(crate) fn fault(&self, kind: StepKind, fault: Fault) {
        self.state().faults.entry(kind).or_default().push_back(fault);
    }
    pub(crate) fn no_more_faults(&self) {
        self.state().faults.clear();
    }
    /// A product that these groups grant, with so many seats as it shows and so many as there are.
    pub(crate) fn product(&self, key: &str, groups: &[&SiteGroupId], shown: u64, real: u64) {
        let mut state = self.state();
        state.products.retain(|product| *product.key.0 != *key);
        state.products.push(Product {
            key: ProductKey(key.into()),
            name: key.into(),
            groups: groups.iter().map(|id| (*id).clone()).collect(),
            default_groups: BTreeSet::new(),
            seats: Seats::Limited { limit: shown, used: 0 },
        });
        state.seats.insert(ProductKey(key.into()), real);
    }
    /// Every addition to the group of this name is refused.
    pub(crate) fn refuse_group(&self, name: &str, failure: Failure) {
        self.state().group_fault.insert(name.into(), failure);
    }
    /// The group of this name takes members again.
    pub(crate) fn allow_group(&self, name: &str) {
        self.state().group_fault.remove(name);
    }
    /// The members of no group can be read, or of all again.
    pub(crate) fn members_fail(&self, failure: Option<Failure>) {
        self.state().members_fault = failure;
    }
    /// A key of the organization is configured from now on.
    pub(crate) fn with_organization(&self) {
        self.state().organization = Some(OrganizationState::default());
    }
    pub(crate) fn organization_fails(&self, failure: Option<Failure>) {
        self.state().organization.as_mut().unwrap().fails = failure;
    }
    pub(crate) fn renames(&self, by: RenameBy) {
        self.state().organization.as_mut().unwrap().renames = Some(by);
    }
    pub(crate) fn profile(&self, account: &AccountId, standing: ProfileStanding) {
        self.state().organization.as_mut().unwrap().profiles.insert(account.clone(), standing);
    }
    pub(crate) fn profile_now(&self, account: &AccountId) -> Option<ProfileStanding> {
        self.state().organization.as_ref().unwrap().profiles.get(account).cloned()
    }
    pub(crate) fn property(&self, account: &AccountId, key: &str) -> Option<PropertyValues> {
        self.state().properties.get(&(account.clone(), key.to_owned())).cloned()
    }
    /// How many addresses the organization was asked for.
    pub(crate) fn addresses_asked(&self) -> usize {
        self.state().organization.as_ref().map_or(0, |o| o.addresses)
    }
    /// An access is changed by hand.
    pub(crate) fn access_by_hand(&self, account: &AccountId, measure: Measure) {
        let mut state = self.state();
        state.access.entry(account.clone()).or_default().insert(measure);
        let (known, _) = state.accounts.iter_mut().find(|(a, _)| a.id == *account).unwrap();
        known.activity = AccountActivity::Inactive;
    }
    pub(crate) fn taken(&self, account: &AccountId) -> BTreeSet<Measure> {
        self.state().access.get(account).cloned().unwrap_or_default()
    }
    pub(crate) fn leads_asked(&self) -> usize {
        self.state().leads_asked
    }
    pub(crate) fn hide(&self, account: &AccountId) {
        self.state().hidden.insert(account.clone());
    }
    pub(crate) fn call_account(&self, id: &AccountId, name: &str, activity: AccountActivity) {
        let mut state = self.state();
        let (account, _) = state.accounts.iter_mut().find(|(a, _)| a.id == *id).unwrap();
        account.display_name = name.into();
        account.activity = activity;
    }
    pub(crate) fn writes(&self) -> usize {
        self.state().writes.values().sum()
    }
    pub(crate) fn written(&self) -> BTreeMap<StepKind, usize> {
        self.state().writes.clone()
    }
    pub(crate) fn calls(&self, kind: StepKind) -> usize {
        self.state().calls.get(&kind).copied().unwrap_or(0)
    }
    pub(crate) fn requests_made(&self) -> u64 {
        self.state().requests
    }
    pub(crate) fn most_in_flight(&self) -> usize {
        self.state().most_in_flight
    }
    pub(crate) fn mails(&self) -> BTreeMap<String, usize> {
        self.state().mails.clone()
    }
    /// Groups by name with the addresses of their members.
    pub(crate) fn picture(&self) -> BTreeMap<String, Vec<BTreeSet<String>>> {
        let state = self.state();
        let mut picture: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
        for group in &state.groups {
            let members = state.members[&group.id]
                .iter()
                .map(|id| {
                    let (account, _) = state.accounts.iter().find(|(a, _)| a.id == *id).unwrap();
                    account.email.as_ref().unwrap().to_string()
                })
                .collect();
            picture.entry(group.name.to_string()).or_default().push(members);
        }
        picture
    }
    pub(crate) fn members_of(&self, group: &SiteGroupId) -> Vec<AccountId> {
        self.state().members[group].iter().cloned().collect()
    }
    /// Somebody is put into a group, or taken out, by hand.
    pub(crate) fn by_hand(&self, group: &str, account: &AccountId, act: ByHand) {
        let mut state = self.state();
        let id = state.groups.iter().find(|g| *g.name == *group).unwrap().id.clone();
        let members = state.members.get_mut(&id).unwrap();
        match act {
            ByHand::In => members.insert(account.clone()),
            ByHand::Out => members.remove(account),
        };
    }
    pub(crate) fn remove_group(&self, group: &SiteGroupId) {
        let mut state = self.state();
        state.groups.retain(|known| known.id != *group);
        state.members.remove(group);
    }
    pub(crate) fn account_of(&self, n: u32) -> AccountId {
        let state = self.state();
        let (account, _) =
            state.accounts.iter().find(|(a, _)| a.email.as_ref() == Some(&address(n))).unwrap();
        account.id.clone()
    }
    pub(crate) fn member_reads(&self) -> u64 {
        self.state().member_reads
    }
    async fn call(&self) {
        self.state().requests += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    /// One write: counted, faulty if so wished, with a write point before and after.
    async fn write<R>(
        &self,
        kind: StepKind,
        act: impl FnOnce(&mut SiteState) -> Result<(R, Effect), Failure>,
    ) -> Result<R, Failure> {
        let fault = {
            let mut state = self.state();
            state.requests += 1;
            *state.calls.entry(kind).or_default() += 1;
            state.in_flight += 1;
            state.most_in_flight = state.most_in_flight.max(state.in_flight);
            state.faults.get_mut(&kind).and_then(VecDeque::pop_front)
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.kill.point().await;
        let result = match &fault {
            Some(Fault::LoseRequest) => Err(lost()),
            Some(Fault::Refuse(failure)) => Err(failure.clone()),
            Some(Fault::LoseAnswer | Fault::Pass) | None => {
                let mut state = self.state();
                act(&mut state).map(|(result, effect)| {
                    if effect == Effect::Written {
                        *state.writes.entry(kind).or_default() += 1;
                    }
                    result
                })
            }
        };
        self.kill.point().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.state().in_flight -= 1;
        match fault {
            Some(Fault::LoseAnswer) => Err(lost()),
            _ => result,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Effect {
    Written,
    Nothing,
}

fn lost() -> Failure {
    Failure::new(FailureCode::WriteUnclear, FailureClass::Unclear, "the answer was lost", "look it up")
}

fn unknown() -> Failure {
    Failure::new(
        FailureCode::SiteObjectUnknown,
        FailureClass::Object,
        "the site does not know the user",
        "look whether it was deleted",
    )
}

pub(crate) fn refusal(code: FailureCode, class: FailureClass) -> Failure {
    Failure::new(code, class, format!("refused with {code}"), "mend it")
}

fn visible(at: Option<Instant>) -> bool {
    at.is_none_or(|at| Instant::now() >= at)
}

impl Site for FakeSite {
    async fn standing_at_once(&self) -> Result<SiteStanding, Failure> {
        self.standing().await
    }
    async fn standing(&self) -> Result<SiteStanding, Failure> {
        self.call().await;
        Ok(SiteStanding {
            own_account: AccountId::parse("acc-bot").unwrap(),
            products: {
                let state = self.state();
                let counted = |product: &Product| Product {
                    seats: Seats::Limited {
                        limit: product.seats.limit().unwrap(),
                        used: state.seated(product).len() as u64,
                    },
                    ..product.clone()
                };
                state.products.iter().map(counted).collect()
            },
            administrative_groups: BTreeSet::new(),
            site_admin: Some(true),
            administer: Some(true),
            browse_users: Some(true),
        })
    }
    fn remember(&self, _accounts: &[Account]) {}
    fn protect(&self, _protected: &Protected, _standing: &SiteStanding, _groups: &[SiteGroup]) {}
    async fn accounts(&self) -> Result<Vec<Account>, Failure> {
        self.call().await;
        let state = self.state();
        Ok(state.accounts.iter().filter(|(_, at)| visible(*at)).map(|(a, _)| state.shown(a)).collect())
    }
    async fn groups(&self) -> Result<Vec<SiteGroup>, Failure> {
        self.call().await;
        Ok(self.state().groups.clone())
    }
    async fn members(&self, group: &SiteGroupId) -> Result<Vec<AccountId>, Failure> {
        self.call().await;
        let mut state = self.state();
        state.member_reads += 1;
        if let Some(failure) = &state.members_fault {
            return Err(failure.clone());
        }
        let shows = |account: &&AccountId| {
            let late = state.late.get(&(group.clone(), (*account).clone()));
            late.is_none_or(|at| *at <= Instant::now())
        };
        state.members.get(group).map(|m| m.iter().filter(shows).cloned().collect()).ok_or_else(unknown)
    }
    async fn groups_of(&self, account: &AccountId) -> Result<Option<Vec<SiteGroupId>>, Failure> {
        self.call().await;
        let state = self.state();
        if !state.accounts.iter().any(|(known, at)| known.id == *account && visible(*at)) {
            return Ok(None);
        }
        let held = state.members.iter().filter(|(_, members)| members.contains(account));
        Ok(Some(held.map(|(group, _)| group.clone()).collect()))
    }
    async fn find_accounts(&self, email: &EmailAddress) -> Result<Vec<Account>, Failure> {
        self.call().await;
        let state = self.state();
        let fits = |a: &Account| a.email.as_ref() == Some(email);
        let there = state.accounts.iter().filter(|(a, at)| visible(*at) && fits(a));
        Ok(there.map(|(a, _)| state.shown(a)).collect())
    }
    fn look_up_by(&self) -> LookupBy {
        if self.state().organization.is_some() { LookupBy::Organization } else { LookupBy::Site }
    }
    async fn find_in_organization(
        &self,
        addresses: &[EmailAddress],
    ) -> Result<Vec<(EmailAddress, AccountId)>, Failure> {
        let mut state = self.state();
        let organization = state.organization.as_mut().unwrap();
        organization.requests += 1;
        organization.addresses += addresses.len();
        if let Some(failure) = &organization.fails {
            return Err(failure.clone());
        }
        let known = state.accounts.iter().filter_map(|(a, _)| Some((a.email.clone()?, a.id.clone())));
        Ok(known.filter(|(email, _)| addresses.contains(email)).collect())
    }
    async fn renaming(&self, groups: &[SiteGroupId]) -> Result<Vec<(SiteGroupId, RenameBy)>, Failure> {
        let mut state = self.state();
        let Some(organization) = &mut state.organization else { return Ok(Vec::new()) };
        organization.requests += 1;
        if let Some(failure) = &organization.fails {
            return Err(failure.clone());
        }
        let by = organization.renames.clone().unwrap_or(RenameBy::Organization);
        Ok(groups.iter().map(|group| (group.clone(), by.clone())).collect())
    }
    async fn rename_group(&self, group: &SiteGroup, name: &str) -> Result<(), Failure> {
        self.write(StepKind::RenameGroup, |state| {
            state.organization.as_mut().unwrap().requests += 1;
            let known = state.groups.iter_mut().find(|g| g.id == group.id).ok_or_else(unknown)?;
            if *known.name == *name {
                return Ok(((), Effect::Nothing));
            }
            known.name = name.into();
            Ok(((), Effect::Written))
        })
        .await
    }
    async fn profiles(&self, accounts: &[AccountId]) -> Result<Vec<(AccountId, ProfileStanding)>, Failure> {
        let mut state = self.state();
        let organization = state.organization.as_mut().unwrap();
        organization.requests += 1;
        if let Some(failure) = &organization.fails {
            return Err(failure.clone());
        }
        let known = organization.profiles.clone();
        // Whoever is on the site is managed, unless the test says otherwise
        let told = |id: &AccountId| {
            let there = state.accounts.iter().any(|(a, _)| a.id == *id);
            let other = there.then(|| ProfileStanding::Managed(Profile::new()));
            known.get(id).cloned().or(other).map(|standing| (id.clone(), standing))
        };
        Ok(accounts.iter().filter_map(told).collect())
    }
    async fn set_profile(&self, account: &AccountId, profile: &Profile) -> Result<(), Failure> {
        self.write(StepKind::UpdateUser, |state| {
            let organization = state.organization.as_mut().unwrap();
            organization.requests += 1;
            let known = organization.profiles.entry(account.clone());
            let known = known.or_insert_with(|| ProfileStanding::Managed(Profile::new()));
            let ProfileStanding::Managed(shown) = known else {
                return Err(refusal(FailureCode::OrganizationRefused, FailureClass::Object));
            };
            let before = shown.clone();
            shown.extend(profile.clone());
            Ok(((), if *shown == before { Effect::Nothing } else { Effect::Written }))
        })
        .await
    }
    async fn change_access(&self, account: &AccountId, act: AccessAct) -> Result<Changed, Failure> {
        let kind = match act {
            AccessAct::Take(Measure::Suspend) => StepKind::SuspendUser,
            AccessAct::Take(Measure::Deactivate) => StepKind::DeactivateUser,
            AccessAct::Take(Measure::Remove) => StepKind::RemoveUser,
            AccessAct::Back(Reversible::Suspend) => StepKind::RestoreUser,
            AccessAct::Back(Reversible::Deactivate) => StepKind::ReactivateUser,
        };
        self.write(kind, |state| {
            let states = state.access.entry(account.clone()).or_default();
            let changed = match act {
                AccessAct::Take(measure) => states.insert(measure),
                AccessAct::Back(from) => states.remove(&from.measure()),
            };
            let active = states.is_empty();
            let (known, _) = state.accounts.iter_mut().find(|(a, _)| a.id == *account).ok_or_else(unknown)?;
            known.activity = if active { AccountActivity::Active } else { AccountActivity::Inactive };
            if act == AccessAct::Take(Measure::Remove) {
                for members in state.members.values_mut() {
                    members.remove(account);
                }
            }
            Ok(if changed { (Changed::Now, Effect::Written) } else { (Changed::Already, Effect::Nothing) })
        })
        .await
    }
    async fn taken_access(&self, account: &AccountId) -> Result<Option<BTreeSet<Reversible>>, Failure> {
        self.call().await;
        let mut state = self.state();
        let Some(organization) = state.organization.as_mut() else { return Ok(None) };
        organization.requests += 1;
        if let Some(failure) = &organization.fails {
            return Err(failure.clone());
        }
        let of = |measure: &Measure| match measure {
            Measure::Suspend => Some(Reversible::Suspend),
            Measure::Deactivate => Some(Reversible::Deactivate),
            Measure::Remove => None,
        };
        let taken = state.access.get(account);
        Ok(Some(taken.into_iter().flatten().filter_map(of).collect()))
    }
    async fn leads(&self, accounts: &[AccountId]) -> Result<Vec<(AccountId, Vec<Lead>)>, Failure> {
        self.call().await;
        let mut state = self.state();
        state.leads_asked += accounts.len();
        Ok(Vec::new())
    }
    async fn set_property(
        &self,
        account: &AccountId,
        key: &str,
        values: &PropertyValues,
    ) -> Result<(), Failure> {
        self.write(StepKind::UpdateUser, |state| {
            if !state.accounts.iter().any(|(a, at)| a.id == *account && visible(*at)) {
                return Err(unknown());
            }
            let before = state.properties.insert((account.clone(), key.to_owned()), values.clone());
            Ok(((), if before.as_ref() == Some(values) { Effect::Nothing } else { Effect::Written }))
        })
        .await
    }
    async fn find_groups(&self, name: &str) -> Result<Vec<SiteGroup>, Failure> {
        self.call().await;
        Ok(self.state().groups.iter().filter(|g| *g.name == *name).cloned().collect())
    }
    async fn account(&self, id: &AccountId) -> Result<Option<Account>, Failure> {
        self.call().await;
        Ok(self.state().accounts.iter().find(|(a, at)| a.id == *id && visible(*at)).map(|(a, _)| a.clone()))
    }
    async fn invite(&self, email: &EmailAddress, _products: &[String]) -> Result<Account, Failure> {
        self.write(StepKind::CreateUser, |state| {
            *state.mails.entry(email.key()).or_default() += 1;
            let person = |a: &Account| a.kind == AccountKind::Person && a.email.as_ref() == Some(email);
            if let Some((account, _)) = state.accounts.iter_mut().find(|(a, _)| person(a)) {
                if state.access.get_mut(&account.id).is_some_and(|taken| taken.remove(&Measure::Remove)) {
                    account.activity = AccountActivity::Active;
                }
                return Ok((account.clone(), Effect::Nothing));
            }
            let account = Account {
                id: AccountId::parse(format!("new-{}", state.accounts.len())).unwrap(),
                email: Some(email.clone()),
                display_name: match email.as_str().split_once('@') {
                    Some((local, _)) if state.newcomers_hide => local.into(),
                    _ => email.as_str().into(),
                },
                activity: AccountActivity::Active,
                kind: AccountKind::Person,
            };
            if state.newcomers_hide {
                state.hidden.insert(account.id.clone());
            }
            let at = Instant::now() + state.lag;
            state.accounts.push((account.clone(), Some(at)));
            Ok((account, Effect::Written))
        })
        .await
    }
    async fn create_group(&self, name: &str) -> Result<SiteGroup, Failure> {
        self.write(StepKind::CreateGroup, |state| {
            if state.groups.iter().any(|g| *g.name == *name) {
                return Err(refusal(FailureCode::SiteNameTaken, FailureClass::Object));
            }
            let id = SiteGroupId::parse(format!("sg-{}", state.groups.len())).unwrap();
            let group = SiteGroup { id: id.clone(), name: name.into() };
            state.groups.push(group.clone());
            state.members.insert(id, BTreeSet::new());
            Ok((group, Effect::Written))
        })
        .await
    }
    async fn add_member(&self, group: &SiteGroup, account: &AccountId) -> Result<Added, Failure> {
        self.write(StepKind::AddMember, |state| {
            if let Some(failure) = state.group_fault.get(&*group.name) {
                return Err(failure.clone());
            }
            if !state.accounts.iter().any(|(a, at)| a.id == *account && visible(*at)) {
                return Err(unknown());
            }
            let at = Instant::now() + state.member_lag;
            let full = state.products.iter().find(|product| {
                let seated = state.seated(product);
                product.groups.contains(&group.id)
                    && !seated.contains(account)
                    && seated.len() as u64 >= state.seats[&product.key]
            });
            if let Some(product) = full {
                let failure = refusal(FailureCode::SiteSeatsExhausted, FailureClass::Object);
                return Err(failure.for_seats_of(Some(&product.key.0)));
            }
            let members = state.members.get_mut(&group.id).ok_or_else(unknown)?;
            Ok(if members.insert(account.clone()) {
                state.late.insert((group.id.clone(), account.clone()), at);
                (Added::Now, Effect::Written)
            } else {
                (Added::Already, Effect::Nothing)
            })
        })
        .await
    }
    async fn remove_member(&self, group: &SiteGroup, account: &AccountId) -> Result<Removed, Failure> {
        self.write(StepKind::RemoveMember, |state| {
            let members = state.members.get_mut(&group.id).ok_or_else(unknown)?;
            Ok(if members.remove(account) {
                (Removed::Now, Effect::Written)
            } else {
                (Removed::Already, Effect::Nothing)
            })
        })
        .await
    }
    fn requests(&self) -> RequestCounts {
        let state = self.state();
        let organization = state.organization.as_ref().map_or(0, |o| o.requests);
        RequestCounts { site: state.requests, organization, ..RequestCounts::default() }
    }
}
