//! The real binary against the emulator in this process.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "test code")]
#![allow(unreachable_pub, reason = "a module of each test file")]
#![allow(clippy::allow_attributes, reason = "expect would be unfulfilled where a file uses everything")]

pub mod served;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use entrain_emulator::{Description, Emulator, Options, WorldSource};

/// A folder, an emulated company and a runtime for it.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub emulator: Emulator,
    pub runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// The company of the demo.
    pub fn demo() -> Self {
        Self::of(Options { world: WorldSource::Demo, ..Options::default() })
    }

    pub fn of(options: Options) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let emulator = runtime.block_on(entrain_emulator::start(options)).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), emulator, runtime }
    }

    pub fn company(&self) -> &Description {
        self.emulator.description()
    }

    /// A document for the company, with this scope.
    pub fn document(&self, groups: &str) -> String {
        let c = self.company();
        format!(
            "name = \"Azure AD\"\n\n[directory]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n\
             authority_url = \"{}\"\ngraph_url = \"{}\"\n\n[site]\nurl = \"{}\"\nadmin_email = \"{}\"\n\
             api_token = \"{}\"\n\n[scope]\ngroups = [{groups}]\n",
            c.tenant_id,
            c.client_id,
            c.client_secret,
            c.authority_url,
            c.graph_url,
            c.site_url,
            c.admin_email,
            c.api_token,
        )
    }

    /// Writes a file into the folder.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs the binary with this folder's data.
    pub fn entrain(&self, args: &[&str]) -> Ran {
        entrain_in(self.folder.path(), args, &[])
    }

    /// The same with variables.
    pub fn entrain_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        entrain_in(self.folder.path(), args, variables)
    }

    /// Stores the demo's connection.
    pub fn add(&self, groups: &str) {
        let path = self.file("connection.toml", &self.document(groups));
        self.entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
    }
}

/// The binary with its data in `folder`.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_entrain"));
    command.args(args).env_clear().env("ENTRAIN_DATA_DIR", folder.join("data")).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the binary with its data in `folder`.
pub fn entrain_in(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let output = command(folder, args).envs(variables.iter().copied()).output().unwrap();
    Ran { args: args.join(" "), output }
}

/// What a call gave.
#[derive(Debug)]
pub struct Ran {
    pub args: String,
    pub output: Output,
}

impl Ran {
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        let (out, err) = (self.out(), self.err());
        assert_eq!(
            self.output.status.code(),
            Some(code),
            "entrain {}\n--- out\n{out}\n--- err\n{err}",
            self.args
        );
        self
    }
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out())
            .unwrap_or_else(|e| panic!("entrain {}: {e}: {}", self.args, self.out()))
    }
}
