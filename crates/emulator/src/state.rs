//! What all handlers share: the world, the clock, the seeded randomness, the settings, the addresses, the request log
//! and the faults.
//!
//! Handlers take `axum::extract::State<Shared>`. They never draw an id, a random number or the time from anywhere else, so
//! that a run with a fixed clock and a seed can be repeated. The layers of the listeners (request log, latency, limits,
//! faults) run outside the handlers; two faults need their help:
//!
//! - `$batch` of Graph asks `state.faults.batch_item(url)` before each inner request and, if it gets an
//!   [`ItemFault`](crate::faults::ItemFault), answers that item with its status, headers and body instead of running it.
//!   Graph handlers ask `state.limits.graph(...)` for each request, inner ones too, with its resource units; the burst
//!   limits of Jira are kept by a layer.
//! - The Jira authentication asks `state.faults.dead_token()` for each request and, if it is true, treats the caller as
//!   anonymous and adds `X-Seraph-LoginReason: AUTHENTICATED_FAILED` to the answer.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::catcher::Catcher;
use crate::faults::Faults;
use crate::limits::Limits;
use crate::log::RequestLog;
use crate::settings::Settings;
use crate::tape::Tape;
use crate::world::World;

/// The state as handlers hold it.
pub type Shared = Arc<State>;

/// One of the listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// Entra sign-in: tokens, discovery.
    Authority,
    /// Microsoft Graph.
    Graph,
    /// The Jira Cloud site.
    Site,
    /// The organization and user management API, and the `/ex/jira` gateway (`api.atlassian.com`).
    Organization,
}

impl Surface {
    /// All of them, in the order of their ports.
    pub const ALL: [Surface; 4] = [Surface::Authority, Surface::Graph, Surface::Site, Surface::Organization];

    /// The name as it is written in settings, faults and the log.
    pub const fn name(self) -> &'static str {
        match self {
            Surface::Authority => "authority",
            Surface::Graph => "graph",
            Surface::Site => "site",
            Surface::Organization => "organization",
        }
    }
}

/// The addresses of the listeners, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Urls {
    /// Root of Entra sign-in; paths go on with `/{tenant}/oauth2/v2.0/token`.
    pub authority: String,
    /// Root of Graph; paths go on with `/v1.0/`.
    pub graph: String,
    /// Root of the Jira site; paths go on with `/rest/api/3/`.
    pub site: String,
    /// Root of what stands for `api.atlassian.com`.
    pub organization: String,
    /// Root of the control interface.
    pub control: String,
}

/// The emulator's clock: real time plus an offset, or a fixed instant that only moves when told.
#[derive(Debug)]
pub struct EmulatorClock {
    fixed: Option<Timestamp>,
    offset_ms: AtomicI64,
}

impl EmulatorClock {
    /// A clock that runs with the machine's.
    pub fn real() -> Self {
        Self { fixed: None, offset_ms: AtomicI64::new(0) }
    }

    /// A clock that stands at `at` until it is advanced.
    pub fn fixed(at: Timestamp) -> Self {
        Self { fixed: Some(at), offset_ms: AtomicI64::new(0) }
    }

    /// What time it is in the emulated world.
    #[expect(clippy::disallowed_methods, reason = "this is the emulator's one source of time")]
    pub fn now(&self) -> Timestamp {
        let base = self.fixed.unwrap_or_else(Timestamp::now);
        let offset = SignedDuration::from_millis(self.offset_ms.load(Ordering::Relaxed));
        base.checked_add(offset).unwrap_or(base)
    }

    /// Moves the clock by `milliseconds`, backwards when negative. A move out of the representable range is refused.
    pub fn advance(&self, milliseconds: i64) -> Result<(), String> {
        let offset = SignedDuration::from_millis(milliseconds);
        self.now()
            .checked_add(offset)
            .map_err(|e| format!("the clock cannot be moved by {milliseconds} ms: {e}"))?;
        self.offset_ms.fetch_add(milliseconds, Ordering::Relaxed);
        Ok(())
    }
}

/// Everything the handlers share.
#[derive(Debug)]
pub struct State {
    world: RwLock<World>,
    /// The emulated time.
    pub clock: EmulatorClock,
    rng: Mutex<ChaCha8Rng>,
    settings: RwLock<Arc<Settings>>,
    urls: OnceLock<Urls>,
    /// What was asked and answered.
    pub log: RequestLog,
    /// Whole exchanges, when a test wants them.
    pub tape: Tape,
    /// What was sent to people.
    pub catcher: Catcher,
    /// What shall go wrong.
    pub faults: Faults,
    /// The throttling quotas.
    pub limits: Limits,
    /// Authorization codes that wait to be redeemed.
    pub(crate) codes: crate::entra::Codes,
    /// Who is told what changes in the tenant.
    pub subscriptions: crate::graph::Subscriptions,
}

impl State {
    /// The state over a world, with no faults.
    pub fn new(world: World, clock: EmulatorClock, seed: u64, settings: Settings) -> Self {
        Self {
            world: RwLock::new(world),
            clock,
            rng: Mutex::new(stream(seed, 1)),
            log: RequestLog::new(settings.log_entries, settings.log_body_bytes),
            tape: Tape::default(),
            catcher: Catcher::default(),
            faults: Faults::new(seed),
            limits: Limits::default(),
            codes: crate::entra::Codes::default(),
            subscriptions: crate::graph::Subscriptions::default(),
            settings: RwLock::new(Arc::new(settings)),
            urls: OnceLock::new(),
        }
    }

    /// The state of a unit test: a fixed clock, default settings, and addresses that nobody listens on.
    pub fn for_test(world: World) -> Shared {
        let at = "2026-01-15T08:00:00Z".parse().expect("the instant is well formed");
        let state = Self::new(world, EmulatorClock::fixed(at), 1, Settings::default());
        state.set_urls(Urls {
            authority: "http://authority.test".into(),
            graph: "http://graph.test".into(),
            site: "http://site.test".into(),
            organization: "http://organization.test".into(),
            control: "http://control.test".into(),
        });
        Arc::new(state)
    }

    /// The world, to read. Do not hold it over an `await`.
    pub fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, to change. Do not hold it over an `await`.
    pub fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the settings.
    pub fn set_settings(&self, settings: Settings) {
        self.log.set_caps(settings.log_entries, settings.log_body_bytes);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// The addresses of the listeners; empty before they are bound.
    pub fn urls(&self) -> Urls {
        self.urls.get().cloned().unwrap_or_default()
    }

    /// Fixes the addresses. Later calls have no effect.
    pub fn set_urls(&self, urls: Urls) {
        let _ = self.urls.set(urls);
    }

    /// What time it is in the emulated world.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new GUID, lower case with hyphens, from the seed.
    pub fn uuid(&self) -> String {
        uuid_from(&mut *self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A random number below `bound` (0 when `bound` is 0), from the seed.
    pub fn random_below(&self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..bound)
    }
}

/// A version 4 GUID from a generator.
/// Chance from the seed in a stream of its own: the generator of worlds draws from the same seed in stream 0, and an id drawn
/// while serving must not be one that the world has already.
pub(crate) fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

pub(crate) fn uuid_from(rng: &mut impl Rng) -> String {
    let mut bytes = [0_u8; 16];
    rng.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().hyphenated().to_string()
}
