//! Entra ID and Microsoft Graph: tokens, and the reading of the directory.
