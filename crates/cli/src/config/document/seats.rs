//! What `[seats]` means.

use entrain_domain::model::ProductKey;
use entrain_domain::policy::{Expr, SeatRule, SeatRules};

use super::sections::Sections;
use super::values::Reader;

/// Products of Jira, as the site names them, and Confluence, whose seats only the organization tells.
const PRODUCTS: [&str; 5] =
    ["jira-software", "jira-servicedesk", "jira-core", "jira-product-discovery", CONFLUENCE];
const CONFLUENCE: &str = "confluence";

/// Whether seats of Confluence are limited.
pub(super) fn limits_confluence(rules: &SeatRules) -> bool {
    rules.products.keys().any(|product| &*product.0 == CONFLUENCE)
}

/// Reads the section; every mistake is reported.
pub(super) fn read(reader: &mut Reader<'_>, s: &Sections) -> SeatRules {
    let mut rules = SeatRules::default();
    for (at, text) in s.seats.first.iter().enumerate() {
        let key = format!("seats.first[{at}]");
        match Expr::condition(text) {
            Ok(first) if first.reads_groups() => reader.found(
                &key,
                "looks at groups",
                "an order of people goes by their attributes; write user.NAME",
            ),
            Ok(first) => rules.first.push(first),
            Err(e) => reader.found(&key, format!("cannot be used: {e}"), e.remedy),
        }
    }
    for (product, seats) in &s.seats.products {
        let key = format!("seats.products.{product}");
        if !PRODUCTS.contains(&product.as_str()) {
            reader.found(&key, "is no product", format!("known are {}", PRODUCTS.join(", ")));
            continue;
        }
        if product == CONFLUENCE && s.site.organization.is_none() {
            reader.found(
                &key,
                "needs an organization key, and none is configured",
                "add [site.organization], or take it out; Jira does not tell the seats of Confluence",
            );
        }
        let rule = SeatRule { budget: seats.budget, reserve: seats.reserve };
        if !rule.limits() {
            reader.found(&key, "limits nothing", "write budget, reserve, or both");
        }
        rules.products.insert(ProductKey(product.as_str().into()), rule);
    }
    rules
}
