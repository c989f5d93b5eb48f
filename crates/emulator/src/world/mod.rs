//! The one in-memory world behind all listeners: a tenant on the Microsoft side, a site with its organization on the
//! Atlassian side, and a clock that tests may move.

pub mod atlassian;
pub mod file;
pub mod generate;
pub mod tenant;

/// The world.
#[derive(Debug, Clone)]
pub struct World {
    /// The Entra tenant.
    pub tenant: tenant::Tenant,
    /// The Jira site and the organization it belongs to.
    pub atlassian: atlassian::Atlassian,
}
