//! What a client is built from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{BaseUrl, Environment, Meter, Plane, Shared};

/// How long a client waits and how often it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To make a connection.
    pub connect: Duration,
    /// Between two pieces of an answer.
    pub read: Duration,
    /// For one attempt, from the first byte sent to the last byte read.
    pub attempt: Duration,
    /// Attempts for one call, the first included.
    pub attempts: u32,
    /// Attempts for one call when the answers are 429, which cost the other side nothing.
    pub throttled_attempts: u32,
    /// Longest single pause before another attempt; when more is asked for, the call ends as throttled.
    pub pause: Duration,
    /// Longest sum of pauses for one call.
    pub pauses: Duration,
    /// First delay of the exponential schedule used when the other side names none.
    pub base_delay: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            attempt: Duration::from_mins(2),
            attempts: 5,
            throttled_attempts: 10,
            pause: Duration::from_mins(2),
            pauses: Duration::from_mins(5),
            base_delay: Duration::from_secs(2),
        }
    }
}

/// Requests under way at once. Budgets hold the rate; this bounds sockets alone, and must not be what somebody waits for: 100
/// people who sign in at once ask the site 200 questions, 340 ms each.
const IN_FLIGHT: usize = 256;

/// What a client is built from. One client serves one origin.
#[derive(Clone)]
pub struct HttpOptions {
    /// The only origin that it talks to.
    pub base: BaseUrl,
    /// Whose rules apply.
    pub plane: Plane,
    /// Counts; share one among the clients of a connection.
    pub meter: Arc<Meter>,
    /// Time and chance.
    pub environment: Arc<dyn Environment>,
    /// Waits and attempts.
    pub patience: Patience,
    /// Largest decoded body, in bytes.
    pub body_limit: usize,
    /// More certificate authorities than the host's own, as PEM: for a proxy that opens TLS, and for tests.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Proxy address, when one is configured; the variables of the environment are never looked at (O-06).
    pub proxy: Option<String>,
    /// Requests under way at once; HTTP/2 carries many on one connection.
    pub in_flight: usize,
    /// What outlives this client, where others of the process go to the same places.
    pub shared: Shared,
}

impl HttpOptions {
    /// Options with the usual limits: 32 MiB decoded, 256 requests in flight.
    pub fn new(base: BaseUrl, plane: Plane, meter: Arc<Meter>, environment: Arc<dyn Environment>) -> Self {
        Self {
            base,
            plane,
            meter,
            environment,
            patience: Patience::default(),
            body_limit: 32 * 1024 * 1024,
            extra_ca_pem: None,
            proxy: None,
            in_flight: IN_FLIGHT,
            shared: Shared::default(),
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("base", &self.base)
            .field("plane", &self.plane)
            .field("patience", &self.patience)
            .field("body_limit", &self.body_limit)
            .finish_non_exhaustive()
    }
}
