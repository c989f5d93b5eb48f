//! Starting and stopping.

use std::collections::BTreeSet;
use std::time::Duration;

use entrain_emulator::faults::{Fault, FaultKind};
use entrain_emulator::{Error, Options, WorldSource, start};

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn the_description_has_all_addresses_and_credentials() {
    let emulator = start(Options::of(20, 3)).await.unwrap();
    let line = serde_json::to_value(emulator.description()).unwrap();
    let keys = [
        "authority_url",
        "graph_url",
        "site_url",
        "organization_url",
        "tenant_id",
        "client_id",
        "client_secret",
        "admin_email",
        "api_token",
        "organization_id",
        "directory_id",
        "api_key",
        "control_url",
        "hook_url",
        "mail_host",
        "mail_port",
    ];
    let object = line.as_object().unwrap();
    assert_eq!(object.keys().map(String::as_str).collect::<BTreeSet<_>>(), keys.into());
    assert!(object["mail_port"].as_u64().is_some_and(|port| port > 0), "{line}");
    let texts = object.iter().filter(|(key, _)| *key != "mail_port");
    assert!(
        texts.into_iter().all(|(_, value)| value.as_str().is_some_and(|text| !text.is_empty())),
        "{line}"
    );
    let addresses: BTreeSet<_> =
        object.iter().filter(|(key, _)| key.ends_with("_url")).map(|(_, url)| url.as_str()).collect();
    assert_eq!(addresses.len(), 6);
    emulator.stop().await;
}

#[tokio::test]
async fn it_stops_when_told_and_when_dropped_also_with_an_answer_under_way() {
    let stall = Fault::new(FaultKind::StallHeaders { ms: 600_000 });
    let emulator = start(Options { faults: vec![stall], ..Options::of(5, 1) }).await.unwrap();
    let (site, control) =
        (emulator.description().site_url.clone(), emulator.description().control_url.clone());
    let hanging = tokio::spawn(client().get(format!("{site}/x")).timeout(Duration::from_mins(1)).send());
    client().get(format!("{control}/health")).send().await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), emulator.stop()).await.expect("it stops");
    client().get(format!("{control}/health")).send().await.unwrap_err();
    hanging.abort();

    let emulator = start(Options::of(5, 1)).await.unwrap();
    let control = emulator.description().control_url.clone();
    drop(emulator);
    let gone = async { while client().get(format!("{control}/health")).send().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("it stops");
}

#[tokio::test]
async fn a_start_that_cannot_be_says_why() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = held.local_addr().unwrap();
    let error = start(Options { listen, ..Options::of(1, 1) }).await.unwrap_err();
    assert!(
        matches!(&error, Error::Listen { .. }) && error.to_string().contains(&listen.to_string()),
        "{error}"
    );

    let world = WorldSource::File("/nowhere/world.toml".into());
    let error = start(Options { world, ..Options::default() }).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/world.toml"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faults.toml");
    std::fs::write(
        &path,
        "[[faults]]\nkind = { html = {} }\n\n[[faults]]\nkind = { status = { status = 7 } }\n",
    )
    .unwrap();
    let error = start(Options { faults_file: Some(path), ..Options::of(1, 1) }).await.unwrap_err();
    assert!(error.to_string().contains("faults[1]: status lies between"), "{error}");

    let mut options = Options::of(1, 1);
    options.settings.graph.delta_page_size = 0;
    let error = start(options).await.unwrap_err();
    assert!(error.to_string().contains("graph.delta_page_size"), "{error}");
}

#[tokio::test]
async fn a_file_of_faults_is_in_force_from_the_first_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faults.toml");
    let text = "[[faults]]\nsurface = \"site\"\ncount = 1\nkind = { status = { status = 503, headers = { \"Retry-After\" = \"3\" } } }\n";
    std::fs::write(&path, text).unwrap();
    let emulator = start(Options { faults_file: Some(path), ..Options::of(1, 1) }).await.unwrap();
    let site = &emulator.description().site_url;
    let first = client().get(format!("{site}/rest/api/3/serverInfo")).send().await.unwrap();
    assert_eq!((first.status().as_u16(), &first.headers()["retry-after"]), (503, &"3".parse().unwrap()));
    let second = client().get(format!("{site}/rest/api/3/serverInfo")).send().await.unwrap();
    assert_ne!(second.status(), 503);
}
