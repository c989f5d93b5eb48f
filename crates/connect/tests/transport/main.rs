//! The client against servers that misbehave, byte by byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world fails, wherever that is")]

mod answers;
mod faults;
mod limits;
mod server;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use entrain_connect::http::{BaseUrl, Http, HttpOptions, Meter, Patience, Plane, SteppedEnvironment};

/// A client for this address whose waits take no time, and what it waits by.
pub(crate) fn client(address: &str, plane: Plane) -> (Http, Arc<SteppedEnvironment>) {
    let environment = environment();
    (Http::new(options(address, plane, &environment)).unwrap(), environment)
}

pub(crate) fn environment() -> Arc<SteppedEnvironment> {
    Arc::new(SteppedEnvironment::starting_at("2026-11-23T10:00:00Z".parse().unwrap()))
}

pub(crate) fn options(address: &str, plane: Plane, environment: &Arc<SteppedEnvironment>) -> HttpOptions {
    let base = BaseUrl::parse(address).unwrap();
    let mut options = HttpOptions::new(base, plane, Arc::new(Meter::new()), environment.clone());
    options.patience = Patience { attempt: Duration::from_secs(20), ..Patience::default() };
    options
}
