//! Twenty at a time: direct members of groups, and single users, through `$batch`.
//!
//! Each item has its own status: what was throttled or failed is sent again, alone, and what cannot be read makes its
//! group unknown and nothing else (N-10, N-15).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use entrain_domain::model::{DirectoryGroupId, DirectoryUserId, MemberRef, Unread};
use entrain_domain::policy::GroupSelector;
use entrain_domain::{Failure, FailureClass, FailureCode};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use serde_json::value::RawValue;

use super::graph::{Graph, consent, refusal};
use super::paging::Turns;
use super::wire::{
    BatchWire, ErrorBody, GROUP_SELECT, GroupWire, Listed, MemberWire, Page, Selection, UserWire,
};
use crate::Error;
use crate::http::{Answer, Call, HttpOptions, Repeat, Target, delay, parse_retry_after};

const BATCH: &str = "/$batch";
/// Most items that Graph takes in one batch.
const ITEMS: usize = 20;
/// Batches under way at once.
const IN_FLIGHT: usize = 8;
/// Answers without a refusal after which batches follow one another faster again.
const CALM: usize = 4;
/// Attempts for one item after failures of its own.
const ATTEMPTS: u32 = 5;

/// One item of a batch: what is asked, and how often it failed.
struct Item<K> {
    key: K,
    url: String,
    faults: u32,
}

/// How fast batches may follow one another. A bucket that fills while it is emptied lets some items through and refuses
/// others, so what counts is whether the whole gets on, not how often one item was refused.
struct Pace {
    /// Batches that may be under way.
    window: usize,
    /// Answers without a refusal since the last one, or since the window grew.
    smooth: usize,
    /// What the answers of this round ask for: nothing is sent before it.
    pause: Option<Duration>,
    refused: bool,
    /// How far batches keep apart: a step further with each round that had a refusal, a step nearer after [`CALM`] answers
    /// that had none.
    apart: u32,
    /// Rounds with a refusal since an item last got through, and how long was waited.
    fruitless: u32,
    waited: Duration,
}

impl Pace {
    fn new() -> Self {
        Self {
            window: IN_FLIGHT,
            smooth: 0,
            pause: None,
            refused: false,
            apart: 0,
            fruitless: 0,
            waited: Duration::ZERO,
        }
    }

    fn rest(&mut self, wait: Duration) {
        self.pause = Some(self.pause.unwrap_or_default().max(wait));
    }

    fn keep_apart(&mut self, graph: &Graph, steps: u32, asked: Option<Duration>) {
        let HttpOptions { patience, environment, .. } = graph.http.options();
        self.rest(delay(patience, steps, asked, environment.random()));
    }

    /// An item was refused for want of quota. What was asked for is a floor; where it was too little, more follows.
    fn refused(&mut self, graph: &Graph, asked: Option<Duration>) {
        self.keep_apart(graph, self.apart + 1, asked);
        self.refused = true;
    }

    /// An answer has come, with so many items that got through.
    fn answered(&mut self, graph: &Graph, through: usize) {
        if through > 0 {
            (self.fruitless, self.waited) = (0, Duration::ZERO);
        }
        if self.refused {
            return;
        }
        self.smooth += 1;
        if self.smooth >= self.window.max(CALM) {
            (self.window, self.smooth) = ((self.window + 1).min(IN_FLIGHT), 0);
            self.apart = self.apart.saturating_sub(1);
        }
        if self.apart > 0 {
            self.keep_apart(graph, self.apart, Some(Duration::ZERO));
        }
    }

    /// Nothing is under way any more: takes in what the round came to, or gives up.
    fn round(&mut self, graph: &Graph, last: &Answer) -> Result<(), Error> {
        let HttpOptions { patience, meter, .. } = graph.http.options();
        if !std::mem::take(&mut self.refused) {
            return Ok(());
        }
        meter.throttled();
        (self.window, self.smooth) = ((self.window / 2).max(1), 0);
        self.apart += 1;
        self.fruitless += 1;
        let pause = self.pause.unwrap_or_default();
        self.waited = self.waited.saturating_add(pause);
        if self.fruitless >= patience.throttled_attempts || self.waited > patience.pauses {
            return Err(throttled(graph, last, pause));
        }
        Ok(())
    }

    /// Waits what the round asked for.
    async fn wait(&mut self, graph: &Graph) {
        if let Some(pause) = self.pause.take() {
            graph.http.options().environment.sleep(pause).await;
        }
    }
}

/// What one answer of an item means.
pub(super) enum Step {
    /// Finished.
    Done,
    /// There is a next page.
    More(String),
}

/// What became of an item that could not be read.
pub(super) enum Lost {
    Denied,
    Vanished,
    Failed(u16),
}

/// Runs items through batches until none is left. `take` gets the answers that succeeded, `lose` what is given up.
pub(super) async fn run<K>(
    graph: &Graph,
    items: impl IntoIterator<Item = (K, String)>,
    mut take: impl FnMut(&K, &Answer, Option<&RawValue>) -> Result<Step, Error>,
    mut expired: impl FnMut(&K) -> Option<String>,
    mut lose: impl FnMut(&K, Lost) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut queue: VecDeque<Item<K>> =
        items.into_iter().map(|(key, url)| Item { key, url, faults: 0 }).collect();
    let mut under_way = FuturesUnordered::new();
    let (mut renewed, mut pace) = (false, Pace::new());
    loop {
        if under_way.is_empty() {
            // Only here: what ends while something is left would pass for everything there is
            if queue.is_empty() {
                return Ok(());
            }
            pace.wait(graph).await;
        }
        // A batch that is not full waits for the others: their next pages may fill it.
        while pace.pause.is_none()
            && under_way.len() < pace.window
            && (queue.len() >= ITEMS || (under_way.is_empty() && !queue.is_empty()))
        {
            let batch: Vec<Item<K>> = queue.drain(..queue.len().min(ITEMS)).collect();
            under_way.push(send(graph, batch));
        }
        let Some(result) = under_way.next().await else { continue };
        let (batch, answer) = result?;
        let wire: BatchWire<'_> = answer.json_borrowed()?;
        let mut batch: HashMap<usize, Item<K>> = batch.into_iter().enumerate().collect();
        let (mut through, mut denied) = (0, false);
        for response in &wire.responses {
            let Some(mut item) = response.id.trim().parse().ok().and_then(|id: usize| batch.remove(&id))
            else {
                return Err(answer.invalid("a part of the batch answers to nothing that was asked, or twice"));
            };
            match response.status {
                200..=299 => {
                    through += 1;
                    match take(&item.key, &answer, response.body)? {
                        Step::Done => {}
                        // Long groups first: their pages come one after another.
                        Step::More(url) => queue.push_front(Item { url, faults: 0, key: item.key }),
                    }
                }
                429 => {
                    let now = graph.http.options().environment.now();
                    let asked = response.retry_after().and_then(|text| parse_retry_after(&text, now));
                    pace.refused(graph, asked);
                    queue.push_back(item);
                }
                401 => {
                    denied = true;
                    queue.push_back(item);
                }
                403 => lose(&item.key, Lost::Denied)?,
                404 => lose(&item.key, Lost::Vanished)?,
                400 if is_expired(response.body) => match expired(&item.key) {
                    Some(url) => queue.push_back(Item { url, ..item }),
                    None => lose(&item.key, Lost::Failed(400))?,
                },
                status @ (408 | 424 | 500..) => {
                    item.faults += 1;
                    if item.faults >= ATTEMPTS {
                        lose(&item.key, Lost::Failed(status))?;
                    } else {
                        pace.rest(Duration::from_millis(500) * (1 << item.faults.min(6)));
                        queue.push_back(item);
                    }
                }
                status => lose(&item.key, Lost::Failed(status))?,
            }
        }
        // What the answer does not mention at all is asked again.
        let mut missing: Vec<(usize, Item<K>)> = batch.into_iter().collect();
        missing.sort_unstable_by_key(|(id, _)| *id);
        for (_, mut item) in missing {
            item.faults += 1;
            if item.faults >= ATTEMPTS { lose(&item.key, Lost::Failed(0))? } else { queue.push_back(item) }
        }
        if denied {
            // The token ran out between the batch and its parts: the next batch fetches another one, once.
            if renewed {
                return Err(unauthenticated(&answer));
            }
            renewed = true;
            let token = graph.tokens.get().await?;
            if graph.tokens.replace(token.generation).await?.is_none() {
                return Err(unauthenticated(&answer));
            }
        }
        pace.answered(graph, through);
        if let Some(pause) = pace.pause.filter(|pause| *pause > graph.http.options().patience.pause) {
            return Err(throttled(graph, &answer, pause));
        }
        // What is under way is not called back; what would follow it waits.
        if under_way.is_empty() {
            pace.round(graph, &answer)?;
        }
    }
}

async fn send<K>(graph: &Graph, batch: Vec<Item<K>>) -> Result<(Vec<Item<K>>, Answer), Error> {
    let requests: Vec<_> = batch
        .iter()
        .enumerate()
        .map(|(id, item)| json!({"id": id.to_string(), "method": "GET", "url": item.url}))
        .collect();
    let call = Call::post(BATCH, Target::new(BATCH), json!({"requests": requests}), Repeat::Safe);
    let answer = graph.send(call).await?;
    // An older page of the documentation says 424 where one item was throttled.
    if answer.is_success() || answer.status == 424 {
        Ok((batch, answer))
    } else {
        Err(refusal(&answer).error)
    }
}

fn is_expired(body: Option<&RawValue>) -> bool {
    body.and_then(|body| serde_json::from_str::<ErrorBody>(body.get()).ok())
        .is_some_and(|body| body.is("Directory_ExpiredPageToken"))
}

fn throttled(graph: &Graph, answer: &Answer, wait: Duration) -> Error {
    let now = graph.http.options().environment.now();
    let wait = jiff::SignedDuration::try_from(wait).unwrap_or(jiff::SignedDuration::MAX);
    Error::Throttled {
        context: Box::new(answer.context.clone()),
        resume_at: now.checked_add(wait).unwrap_or(jiff::Timestamp::MAX),
        reason: "parts of a batch are refused for a long time".to_owned(),
    }
}

fn unauthenticated(answer: &Answer) -> Error {
    Failure::new(
        FailureCode::DirectoryUnauthenticated,
        FailureClass::Connection,
        format!("{} refuses the access token in parts of a batch, also a new one", answer.context),
        "Run it again; if it stays, check the clock of this host",
    )
    .into()
}

/// What was learnt of one group's members.
pub(super) enum Members<M> {
    /// All of them.
    Known(Vec<M>),
    /// They could not be read.
    Unread(Unread),
}

struct Gathering<M> {
    members: Vec<M>,
    turns: Turns,
    restarts: u32,
}

impl<M> Default for Gathering<M> {
    fn default() -> Self {
        Self { members: Vec::new(), turns: Turns::default(), restarts: 0 }
    }
}

/// Reads the direct members of groups with these properties, each to its last page, and hands them over group by group.
pub(super) async fn read_members<M: Listed>(
    graph: &Graph,
    groups: &[DirectoryGroupId],
    select: &str,
    done: impl Fn(&DirectoryGroupId, Members<M>),
) -> Result<(), Error> {
    let first = |group: &DirectoryGroupId| {
        let target = Target::new("/groups").segment(group.as_str()).path("/members");
        String::from(target.query("$select", select).query("$top", "999"))
    };
    let gathering = std::sync::Mutex::new(HashMap::<DirectoryGroupId, Gathering<M>>::new());
    let lock = || gathering.lock().expect("nothing panics while it holds the lock");
    let take = |group: &DirectoryGroupId, answer: &Answer, body: Option<&RawValue>| {
        let page: Page<&RawValue> = part(answer, body)?;
        let mut gathering = lock();
        let entry = gathering.entry(group.clone()).or_default();
        for member in &page.value {
            let member = M::parse(member).ok_or_else(|| answer.invalid("a member has no usable id"))?;
            entry.members.push(member);
        }
        if let Some(link) = page.next {
            entry.turns.next(&link, page.value.len()).map_err(|reason| answer.invalid(reason))?;
            return Ok(Step::More(graph.http.options().base.relative(&link, &answer.context)?));
        }
        let members = std::mem::take(&mut entry.members);
        gathering.remove(group);
        done(group, Members::Known(members));
        Ok(Step::Done)
    };
    let expired = |group: &DirectoryGroupId| {
        let mut gathering = lock();
        let entry = gathering.entry(group.clone()).or_default();
        *entry = Gathering { restarts: entry.restarts + 1, ..Gathering::default() };
        (entry.restarts <= 5).then(|| first(group))
    };
    let lose = |group: &DirectoryGroupId, why: Lost| {
        lock().remove(group);
        let (reason, remedy) = match why {
            Lost::Denied => (
                "Graph refuses to list the members of this group".to_owned(),
                consent("GroupMember.Read.All (and Member.Read.Hidden for a group with hidden membership)"),
            ),
            Lost::Vanished => (
                "the group vanished while it was read".to_owned(),
                "Nothing has to be done: the next run knows more".to_owned(),
            ),
            Lost::Failed(0) => (
                "Graph gave no answer for the members of this group".to_owned(),
                "Run it again later".to_owned(),
            ),
            Lost::Failed(status) => (
                format!("Graph answered with status {status} for the members of this group"),
                "Run it again later".to_owned(),
            ),
        };
        done(group, Members::Unread(Unread { reason: reason.into(), remedy: remedy.into() }));
        Ok(())
    };
    run(graph, groups.iter().map(|group| (group.clone(), first(group))), take, expired, lose).await
}

/// Finds the groups that these selectors name, by id and by name, and hands over each with its name. A selector that finds
/// nothing names no group.
pub(super) async fn find_groups(
    graph: &Graph,
    selectors: &[&GroupSelector],
    found: impl Fn(&DirectoryGroupId, &str),
) -> Result<(), Error> {
    let mut items = Vec::new();
    for selector in selectors {
        let text = selector.as_str();
        if is_object_id(text) {
            let id = DirectoryGroupId::parse(text.to_ascii_lowercase()).expect("an object id is an id");
            items.push((Wanted::Id, group_url(&id)));
        }
        // In a text of a filter a quote is written twice (OData).
        let filter = format!("displayName eq '{}'", text.replace('\'', "''"));
        let target = Target::new("/groups").query("$filter", &filter);
        items.push((Wanted::Name, String::from(target.query("$select", GROUP_SELECT).query("$top", "999"))));
    }
    let mut pages = Turns::default();
    let take = |wanted: &Wanted, answer: &Answer, body: Option<&RawValue>| {
        let take = |group: &GroupWire| {
            found(&group.id, group.display_name.as_ref().and_then(Option::as_deref).unwrap_or_default());
        };
        if *wanted == Wanted::Id {
            take(&part(answer, body)?);
            return Ok(Step::Done);
        }
        let page: Page<GroupWire> = part(answer, body)?;
        page.value.iter().for_each(take);
        let Some(link) = page.next else { return Ok(Step::Done) };
        pages.next(&link, page.value.len()).map_err(|reason| answer.invalid(reason))?;
        Ok(Step::More(graph.http.options().base.relative(&link, &answer.context)?))
    };
    let lose = |wanted: &Wanted, why: Lost| match (wanted, why) {
        (Wanted::Id, Lost::Vanished) => Ok(()),
        (_, why) => Err(not_found_out(&why)),
    };
    run(graph, items, take, |_| None, lose).await
}

/// By what a group is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Id,
    Name,
}

/// Whether a text has the shape of an object id; it may be a name all the same.
fn is_object_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

pub(super) fn group_url(id: &DirectoryGroupId) -> String {
    String::from(Target::new("/groups").segment(id.as_str()).query("$select", GROUP_SELECT))
}

fn not_found_out(why: &Lost) -> Error {
    match why {
        Lost::Denied => Failure::new(
            FailureCode::DirectoryConsentMissing,
            FailureClass::Connection,
            "Graph refuses to show the groups of the scope",
            consent("GroupMember.Read.All"),
        ),
        Lost::Vanished => Failure::new(
            FailureCode::DirectoryAnswerInvalid,
            FailureClass::Transient,
            "Graph does not know the list of groups",
            "Check that graph_url is the root of Microsoft Graph for your cloud",
        ),
        Lost::Failed(status) => Failure::new(
            FailureCode::DirectoryUnavailable,
            FailureClass::Transient,
            format!("the groups of the scope could not be looked up (status {status})"),
            "Run it again later",
        ),
    }
    .into()
}

/// Looks groups up one by one; `None` when Graph does not know the id.
pub(super) async fn read_groups(
    graph: &Graph,
    groups: &[DirectoryGroupId],
    done: impl Fn(&DirectoryGroupId, Option<&str>),
) -> Result<(), Error> {
    let take = |id: &DirectoryGroupId, answer: &Answer, body: Option<&RawValue>| {
        let wire: GroupWire = part(answer, body)?;
        if wire.id != *id {
            return Err(answer.invalid("another group came back than was asked for"));
        }
        done(id, Some(wire.display_name.as_ref().and_then(Option::as_deref).unwrap_or_default()));
        Ok(Step::Done)
    };
    let lose = |id: &DirectoryGroupId, why: Lost| match why {
        Lost::Vanished => {
            done(id, None);
            Ok(())
        }
        why => Err(not_found_out(&why)),
    };
    run(graph, groups.iter().map(|id| (id.clone(), group_url(id))), take, |_| None, lose).await
}

/// Looks users up one by one; `None` when Graph does not know the id.
pub(super) async fn read_users(
    graph: &Graph,
    users: &[DirectoryUserId],
    selection: &Selection,
    done: impl Fn(&DirectoryUserId, Option<UserWire>),
) -> Result<(), Error> {
    let url = |user: &DirectoryUserId| {
        String::from(Target::new("/users").segment(user.as_str()).query("$select", &selection.text))
    };
    let take = |user: &DirectoryUserId, answer: &Answer, body: Option<&RawValue>| {
        let wire: UserWire = part(answer, body)?;
        if wire.id != *user {
            return Err(answer.invalid("another user came back than was asked for"));
        }
        done(user, Some(wire));
        Ok(Step::Done)
    };
    let lose = |user: &DirectoryUserId, why: Lost| match why {
        Lost::Vanished => {
            done(user, None);
            Ok(())
        }
        Lost::Denied => Err(Failure::new(
            FailureCode::DirectoryPropertiesHidden,
            FailureClass::Connection,
            "Graph names members of groups that it refuses to show",
            consent("User.Read.All"),
        )
        .of(user.as_str())
        .into()),
        Lost::Failed(status) => Err(Failure::new(
            FailureCode::DirectoryUnavailable,
            FailureClass::Transient,
            format!("a member of a group could not be looked up (status {status})"),
            "Run it again later",
        )
        .of(user.as_str())
        .into()),
    };
    run(graph, users.iter().map(|user| (user.clone(), url(user))), take, |_| None, lose).await
}

/// Reads the groups that users are direct members of.
pub(super) async fn read_groups_of(
    graph: &Graph,
    users: &[DirectoryUserId],
    found: impl Fn(&DirectoryUserId, &DirectoryGroupId),
) -> Result<(), Error> {
    let url = |user: &DirectoryUserId| {
        let target = Target::new("/users").segment(user.as_str()).path("/memberOf");
        String::from(target.query("$select", "id").query("$top", "999"))
    };
    let turns = std::sync::Mutex::new(HashMap::<DirectoryUserId, Turns>::new());
    let take = |user: &DirectoryUserId, answer: &Answer, body: Option<&RawValue>| {
        let page: Page<MemberWire> = part(answer, body)?;
        for group in &page.value {
            if let Some(MemberRef::Group(group)) = group.member() {
                found(user, &group);
            }
        }
        let Some(link) = page.next else { return Ok(Step::Done) };
        let mut turns = turns.lock().expect("nothing panics while it holds the lock");
        let turns = turns.entry(user.clone()).or_default();
        turns.next(&link, page.value.len()).map_err(|reason| answer.invalid(reason))?;
        Ok(Step::More(graph.http.options().base.relative(&link, &answer.context)?))
    };
    let lose = |user: &DirectoryUserId, why: Lost| match why {
        // Gone again; the next round says so.
        Lost::Vanished => Ok(()),
        Lost::Denied => Err(Failure::new(
            FailureCode::DirectoryConsentMissing,
            FailureClass::Connection,
            "Graph refuses to tell the groups of a user",
            consent("GroupMember.Read.All"),
        )
        .of(user.as_str())
        .into()),
        Lost::Failed(status) => Err(Failure::new(
            FailureCode::DirectoryUnavailable,
            FailureClass::Transient,
            format!("the groups of a user could not be read (status {status})"),
            "Run it again later",
        )
        .of(user.as_str())
        .into()),
    };
    run(graph, users.iter().map(|user| (user.clone(), url(user))), take, |_| None, lose).await
}

pub(super) fn part<'a, T: serde::Deserialize<'a>>(
    answer: &Answer,
    body: Option<&'a RawValue>,
) -> Result<T, Error> {
    let body = body.ok_or_else(|| answer.invalid("a part of the batch is empty"))?;
    serde_json::from_str(body.get())
        .map_err(|_| answer.invalid("a part of the batch has another shape than documented"))
}
