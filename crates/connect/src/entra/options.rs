//! Where a tenant is and as whom it is read.

use super::{Credential, Sessions};

/// A national cloud of Microsoft: tokens of one are useless in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// The worldwide one, US GCC included.
    Global,
    /// US Government L4 (GCC High).
    UsGov,
    /// US Government L5 (DoD).
    UsGovDod,
    /// China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// All clouds.
    pub const ALL: [Self; 4] = [Self::Global, Self::UsGov, Self::UsGovDod, Self::China];

    /// The name in a connection document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::UsGov => "usgov",
            Self::UsGovDod => "usgov-dod",
            Self::China => "china",
        }
    }

    /// The sign-in host.
    pub fn authority_url(self) -> &'static str {
        match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGov | Self::UsGovDod => "https://login.microsoftonline.us",
            Self::China => "https://login.partner.microsoftonline.cn",
        }
    }

    /// The root of Microsoft Graph, without a version.
    pub fn graph_url(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com",
            Self::UsGov => "https://graph.microsoft.us",
            Self::UsGovDod => "https://dod-graph.microsoft.us",
            Self::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    /// The scope of a token for it.
    pub fn scope(self) -> String {
        format!("{}/.default", self.graph_url())
    }
}

/// Where a tenant is and as whom it is read.
#[derive(Debug, Clone)]
pub struct EntraOptions {
    /// Root of the sign-in host.
    pub authority_url: String,
    /// Root of Microsoft Graph, without a version.
    pub graph_url: String,
    /// What a token is asked for: `<resource>/.default`.
    pub scope: String,
    /// Tenant id, or a verified domain name of it.
    pub tenant_id: String,
    /// Application (client) id.
    pub client_id: String,
    /// How the application proves itself.
    pub credential: Credential,
    /// Where its token is kept, where others of the process sign in as the same application.
    pub sessions: Sessions,
}

impl EntraOptions {
    /// Options with the addresses of a cloud.
    pub fn in_cloud(cloud: Cloud, tenant_id: &str, client_id: &str, credential: Credential) -> Self {
        Self {
            authority_url: cloud.authority_url().to_owned(),
            graph_url: cloud.graph_url().to_owned(),
            scope: cloud.scope(),
            tenant_id: tenant_id.to_owned(),
            client_id: client_id.to_owned(),
            credential,
            sessions: Sessions::default(),
        }
    }
}
