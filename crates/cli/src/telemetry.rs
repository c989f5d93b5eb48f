//! Logs and traces of the process. Logs go to standard error; traces go out by OTLP where the standard variables of
//! OpenTelemetry ask for them, and nowhere else.
//!
//! Spans say what the log says and no more: a connection's name, the id of a run, and of a request its method, host and
//! the template of its path. No query, no id of a person or group, no secret.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{Environment, LogFormat};
use crate::ui::{Terminal, log_layer};

/// What is traced: our own work, and nothing of the libraries below it.
const TRACED: &str =
    "entrain=info,entrain_engine=info,entrain_connect=info,entrain_server=info,entrain_store=info";
/// An export takes no longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Nobody answers much to an export.
const MOST: usize = 64 * 1024;

/// What has to be brought to its end with the process.
#[derive(Debug)]
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Starts logs, and traces where the environment asks for them. A filter that cannot be read is as good as none.
    pub(crate) fn start(
        (format, filter): (Option<LogFormat>, Option<&str>),
        terminal: Terminal,
        environment: Environment<'_>,
        runtime: &Handle,
    ) -> Self {
        let filter =
            filter.and_then(|text| EnvFilter::try_new(text).ok()).unwrap_or_else(|| EnvFilter::new("warn"));
        let provider = if wanted(environment) { provider(environment, runtime) } else { Ok(None) };
        let (provider, problem) = match provider {
            Ok(provider) => (provider, None),
            Err(problem) => (None, Some(problem)),
        };
        let traces = provider.as_ref().map(|provider| {
            let tracer: SdkTracer = provider.tracer("entrain");
            let layer = tracing_opentelemetry::layer().with_tracer(tracer);
            layer.with_location(false).with_threads(false).with_filter(EnvFilter::new(TRACED))
        });
        // Only the first subscriber counts; there is no other
        let _ = tracing_subscriber::registry()
            .with(log_layer(format, terminal).with_filter(filter))
            .with(traces)
            .try_init();
        if let Some(problem) = problem {
            tracing::warn!("no traces are sent: {problem}");
        }
        Self(provider)
    }

    /// Sends what is left.
    pub(crate) fn end(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(TIMEOUT)
        {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

fn text(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).and_then(|value| value.into_string().ok()).filter(|value| !value.trim().is_empty())
}

fn wanted(environment: Environment<'_>) -> bool {
    let off = text(environment, "OTEL_SDK_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true"))
        || text(environment, "OTEL_TRACES_EXPORTER").is_some_and(|word| word == "none");
    let endpoint = text(environment, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        .or_else(|| text(environment, "OTEL_EXPORTER_OTLP_ENDPOINT"));
    endpoint.is_some() && !off
}

fn provider(environment: Environment<'_>, runtime: &Handle) -> Result<Option<SdkTracerProvider>, String> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .no_proxy()
        .build()
        .map_err(|_| "no TLS client can be built on this host".to_owned())?;
    // The address, its headers and the rest are read from the variables by the library
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(Client { client, runtime: runtime.clone() })
        .build()
        .map_err(|_| "the variables OTEL_EXPORTER_OTLP_* cannot be used".to_owned())?;
    let named = text(environment, "OTEL_SERVICE_NAME").is_some()
        || text(environment, "OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| all.contains("service.name="));
    let resource = Resource::builder();
    let resource = if named { resource } else { resource.with_service_name("entrain") };
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = resource.with_attribute(version).build();
    Ok(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
}

/// Sends exports on the runtime of the process: the exporter's own thread has none.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl HttpClient for Client {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { exchange(&client, request).await });
        Box::pin(async move { sent.await? })
    }
}

/// One exchange. The error of the library is not passed on: it holds the address, which may hold a token.
async fn exchange(client: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let lost = |_| HttpError::from("the collector does not answer");
    let mut answer = client.execute(request.try_into().map_err(lost)?).await.map_err(lost)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MOST {
            return Err("the collector answers with too much".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    Ok(response)
}
