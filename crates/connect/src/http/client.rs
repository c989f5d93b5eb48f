//! The client: sends a call within its budget, reads the answer within its limits, and sends it again where the rules
//! allow.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::budget::{Budgets, Reserved, Turn};
use super::{
    Answer, Authorization, Call, HttpOptions, Meter, Plane, Repeat, json::mend_lone_surrogates, retry,
    url::printable,
};
use crate::{Context, Error};

/// The one client of an origin; clones share connections, budgets and counts.
#[derive(Clone)]
pub struct Http {
    inner: Arc<Inner>,
}

struct Inner {
    options: HttpOptions,
    client: reqwest::Client,
    budgets: Arc<Budgets>,
    in_flight: Semaphore,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

/// What goes out as the body, the same on every attempt.
enum Payload {
    Nothing,
    Json(Bytes),
    Form(Zeroizing<String>),
}

/// How one attempt failed.
enum Fault {
    /// Nothing was sent: refused, name not found, no connection in time.
    Unsent(&'static str),
    /// Sent, and no whole answer came back.
    Lost(&'static str),
    /// Repeating it would not help.
    Final(Error),
}

impl Http {
    /// Builds a client.
    ///
    /// # Errors
    /// `Error::Configuration` when the extra certificates or the proxy address cannot be used.
    pub fn new(options: HttpOptions) -> Result<Self, Error> {
        let client = options.shared.transport(&options, build)?;
        let budgets = options.shared.budgets(&options);
        let in_flight = Semaphore::new(options.in_flight.max(1));
        Ok(Self { inner: Arc::new(Inner { options, client, budgets, in_flight }) })
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
    /// `Unreachable`, `Tls`, `TooLarge`, `Redirect`, `ForeignLink` and `UnsafeTarget` as their names say; `Throttled`
    /// when the other side asks for a longer pause than [`Patience`](super::Patience) allows, `Quota` when one is used up;
    /// `Unclear` when a call that must not be repeated was sent and may have been carried out. Every status but
    /// redirects, those 429 and those unclear ones comes back as an [`Answer`].
    pub async fn send(&self, call: Call, auth: &Authorization) -> Result<Answer, Error> {
        let payload = match &call.body {
            None => Payload::Nothing,
            Some(body) => Payload::Json(Bytes::from(serde_json::to_vec(body).expect("a JSON value is JSON"))),
        };
        self.send_payload(call, auth, &payload).await
    }

    /// Sends a form: the token endpoint of Entra takes nothing else.
    pub(crate) async fn send_form(&self, call: Call, form: &[(&str, &str)]) -> Result<Answer, Error> {
        let mut text = Zeroizing::new(String::with_capacity(4096));
        for (name, value) in form {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            text.extend(percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC));
        }
        self.send_payload(call, &Authorization::none(), &Payload::Form(text)).await
    }

    /// The span of a call says as much as the log does: neither query nor ids, and of a channel of alerts not even where
    /// it is.
    async fn send_payload(
        &self,
        call: Call,
        auth: &Authorization,
        payload: &Payload,
    ) -> Result<Answer, Error> {
        let options = &self.inner.options;
        let span = tracing::info_span!(
            "request",
            otel.name = %format_args!("{} {}", call.method, call.endpoint),
            otel.kind = "client",
            http.request.method = %call.method,
            server.address = options.base.host(),
            url.template = call.endpoint,
            http.response.status_code = tracing::field::Empty,
            attempts = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
        );
        let sent = self.send_repeatedly(call, auth, payload).instrument(span.clone()).await;
        match &sent {
            Ok(answer) => {
                span.record("http.response.status_code", answer.status).record("attempts", answer.attempts);
            }
            Err(_) => {
                span.record("otel.status_code", "ERROR");
            }
        }
        sent
    }

    async fn send_repeatedly(
        &self,
        call: Call,
        auth: &Authorization,
        payload: &Payload,
    ) -> Result<Answer, Error> {
        let Inner { options, budgets, .. } = &*self.inner;
        let (environment, patience) = (&*options.environment, &options.patience);
        let mut context = Context {
            plane: options.plane,
            method: call.method.to_string(),
            endpoint: call.endpoint,
            object: call.object.clone(),
            request_id: None,
        };
        let url = options.base.resolve(&call.target, &context)?;
        let (mut attempts, mut faults, mut waited) = (0_u32, 0_u32, Duration::ZERO);
        loop {
            self.wait_for_turn(&call, &context, &mut waited).await?;
            attempts += 1;
            let outcome = self.attempt(&call, &url, auth, payload, &mut context).await;
            let (asked, end) = match outcome {
                Ok((status, headers, body)) => {
                    tracing::debug!(plane = ?options.plane, method = %call.method, endpoint = call.endpoint, status, attempts, "answered");
                    if status == 429 {
                        let pause = retry::throttle_pause(&headers, environment.now());
                        faults += 1;
                        self.throttled(&call, &context, &headers, pause, attempts, &mut waited)?;
                        continue;
                    }
                    budgets.learn(call.endpoint, &call.method, environment.monotonic(), &headers);
                    if !matches!(status, 408 | 500 | 502 | 503 | 504) {
                        return self.settle(status, headers, body, attempts, context);
                    }
                    let asked = retry::retry_after(&headers, environment.now());
                    if let Some(asked) = asked {
                        let pause = asked.min(patience.pause);
                        budgets.rest(call.endpoint, &call.method, environment.monotonic(), pause);
                    }
                    if call.repeat == Repeat::Never {
                        let reason = format!("it answered with status {status}");
                        return Err(Error::Unclear { context: Box::new(context), reason });
                    }
                    (asked, Ok((status, headers, body)))
                }
                Err(Fault::Final(error)) => return Err(error),
                Err(Fault::Lost(reason)) if call.repeat == Repeat::Never => {
                    return Err(Error::Unclear { context: Box::new(context), reason: reason.to_owned() });
                }
                Err(Fault::Lost(reason) | Fault::Unsent(reason)) => (None, Err(reason)),
            };
            faults += 1;
            let wait = retry::delay(patience, faults, asked, environment.random());
            if faults >= patience.attempts || wait > patience.pause || waited + wait > patience.pauses {
                return match end {
                    Ok((status, headers, body)) => Ok(Answer { status, headers, body, attempts, context }),
                    Err(reason) => {
                        let reason = reason.to_owned();
                        Err(Error::Unreachable { context: Box::new(context), attempts, reason })
                    }
                };
            }
            tracing::warn!(plane = ?options.plane, method = %call.method, endpoint = call.endpoint, attempts, wait_ms = wait.as_millis() as u64, "trying again");
            waited += wait;
            environment.sleep(wait).await;
        }
    }

    /// Waits until the budget lets this call go, or says until when it does not.
    async fn wait_for_turn(
        &self,
        call: &Call,
        context: &Context,
        waited: &mut Duration,
    ) -> Result<(), Error> {
        let Inner { options, budgets, .. } = &*self.inner;
        let environment = &*options.environment;
        let mut reserved = Reserved::No;
        loop {
            let throttled = |wait: Duration, reason: String| Error::Throttled {
                context: Box::new(context.clone()),
                resume_at: retry::later(environment.now(), wait),
                reason,
            };
            match budgets.turn(call.endpoint, &call.method, environment.monotonic(), reserved) {
                Turn::Go => return Ok(()),
                Turn::Stopped(wait, quota) => {
                    let resume_at = retry::full_second(retry::later(environment.now(), wait));
                    return Err(Error::Quota { context: Box::new(context.clone()), resume_at, quota });
                }
                Turn::Wait(wait) => {
                    if wait > options.patience.pause {
                        return Err(throttled(wait, "the limit of this endpoint is used up".to_owned()));
                    }
                    reserved = Reserved::Yes;
                    *waited = waited.saturating_add(wait);
                    environment.sleep(wait).await;
                }
            }
        }
    }

    /// A 429: pauses the endpoint for everybody, or ends the call when the pause is too long. It was not carried out,
    /// so it may be repeated whatever it is.
    fn throttled(
        &self,
        call: &Call,
        context: &Context,
        headers: &HeaderMap,
        asked: Option<Duration>,
        attempts: u32,
        waited: &mut Duration,
    ) -> Result<(), Error> {
        let Inner { options, budgets, .. } = &*self.inner;
        let (environment, patience) = (&*options.environment, &options.patience);
        options.meter.throttled();
        let (now, monotonic) = (environment.now(), environment.monotonic());
        if let Some(quota) = retry::is_quota(headers) {
            let wait = retry::quota_pause(asked);
            budgets.stop(monotonic.saturating_add(wait), quota.clone());
            let resume_at = retry::full_second(retry::later(now, wait));
            tracing::warn!(plane = ?options.plane, method = %call.method, endpoint = call.endpoint, quota, %resume_at, "a quota is used up");
            return Err(Error::Quota { context: Box::new(context.clone()), resume_at, quota });
        }
        let wait = retry::delay(patience, attempts, asked, environment.random());
        let throttled = |reason: String| {
            Err(Error::Throttled {
                context: Box::new(context.clone()),
                resume_at: retry::later(now, wait),
                reason,
            })
        };
        budgets.throttled(call.endpoint, &call.method, monotonic, wait);
        tracing::warn!(plane = ?options.plane, method = %call.method, endpoint = call.endpoint, wait_ms = wait.as_millis() as u64, "throttled");
        if wait > patience.pause {
            return throttled("it asks for a long pause".to_owned());
        }
        if attempts >= patience.throttled_attempts || waited.saturating_add(wait) > patience.pauses {
            return throttled(format!("it still refuses after {attempts} attempts"));
        }
        Ok(())
    }

    fn settle(
        &self,
        status: u16,
        headers: HeaderMap,
        body: Bytes,
        attempts: u32,
        context: Context,
    ) -> Result<Answer, Error> {
        if (300..400).contains(&status) {
            let location = headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
            let base = url::Url::parse(self.inner.options.base.as_str()).ok();
            let host =
                base.and_then(|base| base.join(location).ok()).and_then(|url| url.host_str().map(printable));
            let host = host.unwrap_or_else(|| "an address that cannot be read".to_owned());
            return Err(Error::Redirect { context: Box::new(context), host });
        }
        Ok(Answer { status, headers, body, attempts, context })
    }

    async fn attempt(
        &self,
        call: &Call,
        url: &url::Url,
        auth: &Authorization,
        payload: &Payload,
        context: &mut Context,
    ) -> Result<(u16, HeaderMap, Bytes), Fault> {
        let Inner { options, client, in_flight, .. } = &*self.inner;
        let _permit = in_flight.acquire().await.expect("the semaphore is never closed");
        let mut request =
            client.request(call.method.clone(), url.clone()).header("accept", "application/json");
        if let Some(value) = auth.value() {
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                Fault::Final(Error::Configuration {
                    what: "a credential contains a character that no HTTP header can carry".to_owned(),
                    remedy: "Copy the secret again; a line end at its end is the usual reason".to_owned(),
                })
            })?;
            value.set_sensitive(true);
            request = request.header("authorization", value);
        }
        if options.plane == Plane::Directory {
            request = request.header("client-request-id", options.environment.guid());
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        request = match payload {
            Payload::Nothing => request,
            Payload::Json(body) => request.header("content-type", "application/json").body(body.clone()),
            Payload::Form(text) => request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(text.as_str().to_owned()),
        };
        options.meter.sent(options.plane, call.method.as_str(), call.endpoint);
        let mut response = request.send().await.map_err(|error| classify(&error, context))?;
        let headers = response.headers().clone();
        context.request_id = request_id(&headers);
        let too_large = |context: &Context| match call.repeat {
            Repeat::Never => Fault::Lost("the answer is too large"),
            Repeat::Safe => Fault::Final(Error::TooLarge {
                context: Box::new(context.clone()),
                limit: options.body_limit,
            }),
        };
        let announced = response.content_length().unwrap_or(0);
        if usize::try_from(announced).is_ok_and(|length| length > options.body_limit) {
            return Err(too_large(context));
        }
        let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error, context))? {
            if body.len() + chunk.len() > options.body_limit {
                return Err(too_large(context));
            }
            body.extend_from_slice(&chunk);
        }
        mend_lone_surrogates(&mut body);
        Ok((response.status().as_u16(), headers, body.freeze()))
    }
}

fn build(options: &HttpOptions) -> Result<reqwest::Client, Error> {
    let refuse =
        |what: &str, remedy: &str| Error::Configuration { what: what.to_owned(), remedy: remedy.to_owned() };
    let patience = &options.patience;
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("entrain/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(patience.connect)
        .read_timeout(patience.read)
        .timeout(patience.attempt)
        .http1_max_headers(100)
        .http2_max_header_list_size(64 * 1024)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .pool_max_idle_per_host(options.in_flight);
    if let Some(proxy) = &options.proxy {
        let proxy = reqwest::Proxy::all(proxy)
            .map_err(|_| refuse("the proxy address cannot be used", "Give it as http://host:port"))?;
        builder = builder.proxy(proxy);
    }
    if !options.base.is_https() {
        // Plain http to this machine: no certificate store is needed, and a container may have none.
        builder = builder.tls_certs_only([]);
    } else if let Some(pem) = &options.extra_ca_pem {
        let remedy = "Give a PEM file with one or more certificates";
        let certificates = reqwest::Certificate::from_pem_bundle(pem)
            .map_err(|_| refuse("the extra CA file cannot be read", remedy))?;
        if certificates.is_empty() {
            return Err(refuse("the extra CA file holds no certificate", remedy));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|_| {
        refuse(
            "no TLS client can be built: the certificate authorities of this host or the extra CA file cannot be used",
            "Install the ca-certificates package, and check the extra CA file",
        )
    })
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    ["request-id", "x-ms-request-id", "atl-traceid", "x-arequestid", "atl-request-id"]
        .iter()
        .find_map(|name| headers.get(*name))
        .and_then(|value| value.to_str().ok())
        .map(printable)
}

/// Tells apart what was never sent, what was lost, and what repeating cannot help. Never quotes the error of the
/// library whole: it contains the URL.
fn classify(error: &reqwest::Error, context: &Context) -> Fault {
    if let Some(tls) = error.source().and_then(tls_error) {
        let reason = printable(&tls.to_string());
        return Fault::Final(Error::Tls { context: Box::new(context.clone()), reason });
    }
    if error.is_connect() {
        return Fault::Unsent(if error.is_timeout() {
            "no connection in time"
        } else {
            "the connection was refused or the name is not known"
        });
    }
    if error.is_builder() {
        return Fault::Final(Error::UnsafeTarget { context: Box::new(context.clone()) });
    }
    Fault::Lost(if error.is_timeout() {
        "no answer in time"
    } else if error.is_body() || error.is_decode() {
        "the answer was cut off"
    } else {
        "the connection was lost"
    })
}

/// The TLS error somewhere below; `io::Error` keeps its content out of the chain of sources.
pub(crate) fn tls_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.and_then(|inner| tls_error(inner)).or_else(|| cause.source().and_then(tls_error))
}
