//! Settings of the process: flag, environment variable, default (contract, "Process settings").

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object per line
    Json,
}

/// Settings that every command takes. Values from the environment are never printed, not even by `--help`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Process settings")]
pub(crate) struct Settings {
    /// Folder of the database and of the secret key, made with mode 0700 [default: ./entrain-data]
    #[arg(long, global = true, value_name = "DIR", env = "ENTRAIN_DATA_DIR", hide_env_values = true)]
    pub(crate) data_dir: Option<PathBuf>,

    /// Database: `sqlite:FILE` or `postgres://…` [default: entrain.db in the data directory]
    #[arg(long, global = true, value_name = "URL", env = "ENTRAIN_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<SecretText>,

    /// Key that seals secrets, made at first start with mode 0600 [default: secret.key in the data directory]
    #[arg(long, global = true, value_name = "FILE", env = "ENTRAIN_SECRET_KEY_FILE", hide_env_values = true)]
    pub(crate) secret_key_file: Option<PathBuf>,

    /// Format of log lines on standard error [default: text on a terminal, json elsewhere]
    #[arg(long, global = true, value_name = "FORMAT", env = "ENTRAIN_LOG_FORMAT", hide_env_values = true)]
    pub(crate) log_format: Option<LogFormat>,

    /// What is logged: error, warn, info, debug, trace, or filters by module [default: warn]
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "ENTRAIN_LOG",
        hide_env_values = true,
        hide = true
    )]
    pub(crate) log: Option<String>,
}

/// A setting that may hold a password.
#[derive(Debug, Clone)]
pub(crate) struct SecretText(SecretString);

impl std::str::FromStr for SecretText {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(SecretString::from(text.to_owned())))
    }
}

impl Settings {
    /// The data directory.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from("./entrain-data"))
    }

    /// Address of the database, if one was given; holds a password where the operator wrote one into it.
    pub(crate) fn database_url(&self) -> Option<SecretString> {
        self.database_url.as_ref().map(|url| url.0.clone()).filter(|url| !url.expose_secret().is_empty())
    }

    /// The same settings with everything in another folder.
    pub(crate) fn in_folder(&self, folder: &Path) -> Self {
        Self { data_dir: Some(folder.to_owned()), database_url: None, secret_key_file: None, ..self.clone() }
    }
}
