//! The client: sends a call, and sends it again where the rules allow.

use std::fmt;
use std::sync::Arc;

use super::{Answer, Authorization, Call, HttpOptions, Meter};
use crate::{Context, Error};

/// The one client of an origin; clones share connections, budgets and counts.
#[derive(Clone)]
pub struct Http {
    inner: Arc<Inner>,
}

struct Inner {
    options: HttpOptions,
    client: reqwest::Client,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Http {
    /// Builds a client.
    ///
    /// # Errors
    /// `Error::Configuration` when the extra certificates or the proxy address cannot be used.
    pub fn new(options: HttpOptions) -> Result<Self, Error> {
        let client = reqwest::Client::builder().build().map_err(|_| Error::Configuration {
            what: "the HTTP client cannot be built".to_owned(),
            remedy: "Check the extra CA file and the proxy address".to_owned(),
        })?;
        Ok(Self { inner: Arc::new(Inner { options, client }) })
    }

    /// The options it was built from.
    pub fn options(&self) -> &HttpOptions {
        &self.inner.options
    }

    /// The meter, shared with whoever holds it.
    pub fn meter(&self) -> &Meter {
        &self.inner.options.meter
    }

    /// Requests made so far, over all clients that share the meter.
    pub fn requests(&self) -> entrain_domain::run::RequestCounts {
        self.meter().counts()
    }

    /// Sends a call and reads its answer whole.
    ///
    /// # Errors
    /// See [`Error`]; statuses come back as an [`Answer`].
    pub async fn send(&self, call: Call, auth: &Authorization) -> Result<Answer, Error> {
        let Inner { options, client } = &*self.inner;
        let context = Context {
            plane: options.plane,
            method: call.method.to_string(),
            endpoint: call.endpoint,
            object: call.object.clone(),
            request_id: None,
        };
        let url = options.base.resolve(&call.target, &context)?;
        let unreachable = |_| Error::Unreachable {
            context: Box::new(context.clone()),
            attempts: 1,
            reason: "no answer".to_owned(),
        };
        let mut request = client.request(call.method.clone(), url);
        if let Some(value) = auth.value() {
            request = request.header("authorization", value);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        options.meter.sent(options.plane, call.method.as_str(), call.endpoint);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        if status == 429 {
            options.meter.throttled();
        }
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(unreachable)?;
        Ok(Answer { status, headers, body, attempts: 1, context })
    }
}
