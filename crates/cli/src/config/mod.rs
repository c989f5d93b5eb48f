//! What people configure: the settings of the process and the connection documents. The environment is read here and
//! nowhere else.

pub(crate) mod document;
pub(crate) mod reference;
pub(crate) mod settings;

pub(crate) use document::{Document, Environment};
pub(crate) use settings::{LogFormat, Settings};
