//! The use cases of Entrain over ports: one run from reading to report, what a killed run left behind, and the checks
//! of a connection. Knows nothing of HTTP, SQL or terminals.

pub mod ports;
