//! Subscriptions to change notifications of users and groups (microsoft-graph.md 9): made, renewed, authorized again,
//! deleted, listed. At most one of a kind per application and tenant is allowed, so one that was left behind is replaced.

use std::fmt::Write as _;

use entrain_domain::notification::{Renewal, Subscription, SubscriptionId, Watched};
use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Entra;
use super::graph::consent;
use super::wire::{ErrorBody, Page};
use crate::Error;
use crate::http::{Answer, Call, Repeat, Target};

const ENDPOINT: &str = "/subscriptions";
const ONE: &str = "/subscriptions/{id}";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct SubscriptionOrder {
    /// Where notifications go.
    pub notification_url: String,
    /// Where news of the subscription itself go.
    pub lifecycle_url: String,
    /// Comes back in each notification, and nobody else knows it; at most 128 characters.
    pub client_state: SecretString,
    /// Until when it is to live; at most 41,760 minutes from now.
    pub expires_at: Timestamp,
}

impl SubscriptionOrder {
    /// SHA-256 of the secret, in hex: what is kept of it.
    pub fn client_state_hash(&self) -> String {
        let digest = Sha256::digest(self.client_state.expose_secret().as_bytes());
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionWire {
    id: String,
    expiration_date_time: Timestamp,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    notification_url: String,
}

fn path(watched: Watched) -> &'static str {
    match watched {
        Watched::Users => "/users",
        Watched::Groups => "/groups",
    }
}

/// The permission that Microsoft's table names for a subscription.
pub(super) fn permission(watched: Watched) -> &'static str {
    match watched {
        Watched::Users => "User.Read.All",
        Watched::Groups => "Group.Read.All",
    }
}

impl Entra {
    /// Subscribes. While the request is under way, Graph validates both addresses; it takes up to twenty seconds.
    /// A subscription of the same kind that sends to the same address, left behind by a lost answer, is replaced.
    ///
    /// # Errors
    /// `directory_consent_missing` without the permission, `notifications_unreachable` when Graph cannot validate an
    /// address, `notifications_taken` when the application is subscribed for another address, and whatever keeps Graph
    /// from being asked.
    pub async fn subscribe(
        &self,
        watched: Watched,
        order: &SubscriptionOrder,
    ) -> Result<Subscription, Error> {
        let mut answer = self.create(watched, order).await?;
        if answer.status == 409 {
            self.clear_way(watched, order).await?;
            answer = self.create(watched, order).await?;
        }
        if !answer.is_success() {
            return Err(refused(&answer, watched));
        }
        let wire: SubscriptionWire = answer.json()?;
        let id = SubscriptionId::parse(&wire.id)
            .ok_or_else(|| answer.invalid("the id of the subscription is none"))?;
        Ok(Subscription { id, expires_at: wire.expiration_date_time })
    }

    async fn create(&self, watched: Watched, order: &SubscriptionOrder) -> Result<Answer, Error> {
        let body = json!({
            "changeType": "updated,deleted",
            "notificationUrl": order.notification_url,
            "lifecycleNotificationUrl": order.lifecycle_url,
            "resource": path(watched),
            "expirationDateTime": order.expires_at.to_string(),
            "clientState": order.client_state.expose_secret(),
            "latestSupportedTlsVersion": "v1_2",
        });
        self.graph
            .send(Call::post(ENDPOINT, Target::new(ENDPOINT), body, Repeat::Never).about(path(watched)))
            .await
    }

    /// Deletes subscriptions of this kind that send to the same address.
    async fn clear_way(&self, watched: Watched, order: &SubscriptionOrder) -> Result<(), Error> {
        let wanted = path(watched).trim_start_matches('/');
        let twins = self.held().await?.into_iter();
        let twins = twins.filter(|wire| wire.resource.trim_start_matches('/').eq_ignore_ascii_case(wanted));
        for twin in twins {
            if twin.notification_url != order.notification_url {
                let host = url::Url::parse(&twin.notification_url).ok();
                let host =
                    host.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "?".into());
                return Err(Failure::new(
                    FailureCode::NotificationsTaken,
                    FailureClass::Connection,
                    format!("the application already has change notifications of {wanted} sent to {host}, and Graph allows one subscription of a kind"),
                    "Give each connection an app registration of its own, or end the other subscription",
                )
                .of(path(watched))
                .into());
            }
            if let Some(id) = SubscriptionId::parse(&twin.id) {
                self.unsubscribe(&id).await?;
            }
        }
        Ok(())
    }

    async fn held(&self) -> Result<Vec<SubscriptionWire>, Error> {
        let answer = self.graph.send(Call::get(ENDPOINT, Target::new(ENDPOINT))).await?;
        if !answer.is_success() {
            return Err(super::graph::refusal(&answer).error);
        }
        // A hundred at most, and of two kinds: they fit on the first page
        Ok(answer.json::<Page<SubscriptionWire>>()?.value)
    }

    /// The application's subscriptions to users and groups, whoever made them.
    ///
    /// # Errors
    /// Whatever keeps Graph from being asked.
    pub async fn subscriptions(&self) -> Result<Vec<(Watched, Subscription)>, Error> {
        let known = |wire: SubscriptionWire| {
            let resource = wire.resource.trim_start_matches('/').to_ascii_lowercase();
            let watched = Watched::ALL.into_iter().find(|watched| watched.as_str() == resource)?;
            let id = SubscriptionId::parse(&wire.id)?;
            Some((watched, Subscription { id, expires_at: wire.expiration_date_time }))
        };
        Ok(self.held().await?.into_iter().filter_map(known).collect())
    }

    /// Lets a subscription live until then; that authorizes it again as well.
    ///
    /// # Errors
    /// As [`Entra::subscribe`], the validation aside.
    pub async fn renew(
        &self,
        watched: Watched,
        id: &SubscriptionId,
        until: Timestamp,
    ) -> Result<Renewal, Error> {
        let target = Target::new(ENDPOINT).segment(id.as_str());
        let body = json!({ "expirationDateTime": until.to_string() });
        let answer = self.graph.send(Call::patch(ONE, target, body).about(path(watched))).await?;
        match answer.status {
            200..=299 => Ok(Renewal::Until(answer.json::<SubscriptionWire>()?.expiration_date_time)),
            404 | 410 => Ok(Renewal::Gone),
            _ => Err(refused(&answer, watched)),
        }
    }

    /// Authorizes a subscription again without letting it live longer.
    ///
    /// # Errors
    /// As [`Entra::renew`].
    pub async fn reauthorize(&self, watched: Watched, id: &SubscriptionId) -> Result<Renewal, Error> {
        let target = Target::new(ENDPOINT).segment(id.as_str()).path("/reauthorize");
        let call = Call::act("/subscriptions/{id}/reauthorize", target).about(path(watched));
        let answer = self.graph.send(call).await?;
        match answer.status {
            200..=299 => Ok(Renewal::Authorized),
            404 | 410 => Ok(Renewal::Gone),
            _ => Err(refused(&answer, watched)),
        }
    }

    /// Ends a subscription; one that is gone already is fine.
    ///
    /// # Errors
    /// Whatever keeps Graph from being asked, and a refusal.
    pub async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), Error> {
        let target = Target::new(ENDPOINT).segment(id.as_str());
        let answer = self.graph.send(Call::delete(ONE, target)).await?;
        match answer.status {
            200..=299 | 404 | 410 => Ok(()),
            _ => Err(super::graph::refusal(&answer).error),
        }
    }
}

fn refused(answer: &Answer, watched: Watched) -> Error {
    let body: ErrorBody = answer.json().unwrap_or_default();
    let told = |code, class, what: &str, remedy: String| {
        Failure::new(code, class, format!("{what}: {}", answer.context), remedy).of(path(watched)).into()
    };
    match answer.status {
        403 => told(
            FailureCode::DirectoryConsentMissing,
            FailureClass::Connection,
            "Graph refuses the subscription for lack of a permission, or because a limit of subscriptions is reached",
            consent(permission(watched)),
        ),
        400 if body.is("ValidationError") || body.is("InvalidRequest") => told(
            FailureCode::NotificationsUnreachable,
            FailureClass::Connection,
            "Graph could not validate the public address of the service",
            "Check that --public-url is an https address that the internet reaches, with a certificate that \
             Microsoft trusts, and that a reverse proxy passes /doors/ on"
                .to_owned(),
        ),
        409 => told(
            FailureCode::NotificationsTaken,
            FailureClass::Connection,
            "the application is already subscribed",
            "Give each connection an app registration of its own, or end the other subscription".to_owned(),
        ),
        _ => super::graph::refusal(answer).error,
    }
}
