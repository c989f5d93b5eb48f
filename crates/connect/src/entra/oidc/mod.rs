//! Sign-in of people with OpenID Connect (code flow with PKCE), and the tokens with which Entra ID calls a custom
//! authentication extension. Issuer and tenant are fixed: what another tenant signs is refused, whoever signed it.
//!
//! | module | holds |
//! |---|---|
//! | `authority` | discovery and signing keys, kept, and read anew within bounds when an unknown key is named |
//! | `relying` | a sign-in from the redirect to the verified person |
//! | `caller` | bearer tokens of Microsoft's caller of extensions |

mod authority;
mod caller;
mod relying;

pub use authority::Authority;
pub use caller::{CallerCheck, CallerToken, RefusedCaller};
pub use relying::{Account, Begun, Groups, RelyingParty, SignIn, SignedIn, Wanted};

/// How far the clocks of two machines may be apart, in seconds.
const LEEWAY_S: i64 = 120;
