//! What pages load besides themselves: style sheet, icons, script. Each lies at an address that holds a digest of its
//! content, so that browsers may keep it for ever and never show an old one.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// A file of the program.
struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
    address: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    [
        ("console.css", "text/css; charset=utf-8", include_str!("../assets/console.css")),
        ("console.js", "text/javascript; charset=utf-8", include_str!("../assets/console.js")),
        ("door.js", "text/javascript; charset=utf-8", include_str!("../assets/door.js")),
        ("icons.svg", "image/svg+xml", include_str!("../assets/icons.svg")),
        ("mark.svg", "image/svg+xml", include_str!("../assets/mark.svg")),
    ]
    .map(|(name, kind, content)| {
        let digest = hex::encode(&Sha256::digest(content)[..6]);
        let (stem, end) = name.split_once('.').unwrap_or((name, ""));
        Asset { name, kind, content, address: format!("/assets/{stem}.{digest}.{end}") }
    })
    .into()
});

/// The address of an asset by its name in `assets/`; of one that there is not, the root.
pub(crate) fn address(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("/", |asset| asset.address.as_str())
}

/// The routes of the assets: these very addresses, and no other (quality.md W-10).
pub(crate) fn routes() -> Router {
    Router::new().route("/assets/{file}", get(serve))
}

async fn serve(file: Result<Path<String>, PathRejection>) -> Response {
    let Ok(Path(file)) = file else { return Problem::not_here().into_response() };
    let asset = ASSETS.iter().find(|asset| asset.address.strip_prefix("/assets/") == Some(&file));
    let Some(asset) = asset else { return Problem::not_here().into_response() };
    let keep = "public, max-age=31536000, immutable";
    ([(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, keep)], asset.content).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn the_script_stays_small() {
        assert!(include_str!("../assets/console.js").len() < 8 * 1024);
    }

    #[test]
    fn addresses_change_with_the_content() {
        let address = address("console.css");
        assert!(address.starts_with("/assets/console."), "{address}");
        assert_eq!(address.rsplit('.').next(), Some("css"));
        assert_eq!(super::address("nothing.css"), "/");
    }

    #[tokio::test]
    async fn w_10_no_address_leads_to_anything_but_the_assets() {
        let good = address("console.css").to_owned();
        let name = good.trim_start_matches("/assets/");
        let bad = [
            "/assets/".to_owned(),
            "/assets/console.css".into(),
            "/assets/..".into(),
            format!("/assets/../assets/{name}"),
            format!("/assets/./{name}"),
            format!("/assets//{name}"),
            format!("/assets/%2e%2e/{name}"),
            format!("/assets/%2e%2e%2f{name}"),
            format!("/assets/..%5c{name}"),
            "/assets/%2fetc%2fpasswd".into(),
            "/assets/../Cargo.toml".into(),
            "/assets/%2e%2e%2fCargo.toml".into(),
            "/assets/..%c0%af..%c0%afCargo.toml".into(),
            "/assets/%252e%252e%252fCargo.toml".into(),
            "/assets/....//Cargo.toml".into(),
            "/assets/C:%5cWindows%5cwin.ini".into(),
            "/assets/file:%2f%2f%2fetc%2fpasswd".into(),
            "/assets/NUL".into(),
            format!("/assets/{name}%00"),
            format!("/assets/{name}%00.html"),
            format!("/assets/{name}/"),
            format!("/assets/{name}/.."),
            format!("/assets/{}", name.to_uppercase()),
        ];
        let ask = |path: String| async move {
            let request = Request::get(&path).body(Body::empty()).unwrap();
            routes().oneshot(request).await.unwrap().status()
        };
        assert_eq!(ask(good.clone()).await, StatusCode::OK);
        for path in bad {
            assert_eq!(ask(path.clone()).await, StatusCode::NOT_FOUND, "{path}");
        }
    }
}
