//! An emulator of Entra sign-in, Microsoft Graph, Jira Cloud and the Atlassian organization API over one in-memory
//! world. It imitates the vendors' documents, quirks and limits included, and knows nothing of Entrain.

pub mod world;
