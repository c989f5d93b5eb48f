//! Seats: a person holds one of a product as soon as one of the person's groups grants it and the person is active.

use super::{Atlassian, SiteAccount, SiteProduct};

/// A product has no seat left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatRefusal {
    /// Key of the product.
    pub product: String,
    /// Its resource id, as error texts name it.
    pub resource: String,
}

pub(super) fn takes_seats(account: &SiteAccount) -> bool {
    account.account_type == "atlassian" && account.active()
}

impl Atlassian {
    /// The resource id (ARI) of a product of the site.
    pub fn resource_of(&self, product_key: &str) -> String {
        format!("ari:cloud:{product_key}::site/{}", self.cloud_id)
    }

    /// The product with this resource id. The forms `jira` and `platform` are not taken: ids come from workspaces.
    pub fn product_by_resource(&self, resource: &str) -> Option<&SiteProduct> {
        self.products.iter().find(|p| self.resource_of(&p.key) == resource)
    }

    /// The keys of the products an account may use, through its groups.
    pub fn products_of(&self, account_id: &str) -> Vec<&SiteProduct> {
        let groups: Vec<&str> = self.groups_of(account_id).map(|g| g.name.as_str()).collect();
        self.products.iter().filter(|p| groups.iter().any(|name| p.groups.contains(*name))).collect()
    }

    /// Whether an account can be put into a group without a product running out of seats.
    pub fn check_seats(&self, group_name: &str, account: &SiteAccount) -> Result<(), SeatRefusal> {
        if !takes_seats(account) {
            return Ok(());
        }
        let held: Vec<&str> =
            self.products_of(&account.account_id).into_iter().map(|p| p.key.as_str()).collect();
        for product in self.products.iter().filter(|p| p.groups.contains(group_name)) {
            if held.contains(&product.key.as_str()) {
                continue;
            }
            if product.seats.is_some_and(|seats| self.seats_used(&product.key) >= seats) {
                let resource = self.resource_of(&product.key);
                return Err(SeatRefusal { product: product.key.clone(), resource });
            }
        }
        Ok(())
    }
}
