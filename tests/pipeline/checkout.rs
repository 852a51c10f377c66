//! A small checkout with two Dockerfiles, and the pipeline in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use tests::{
    images::remove_images,
    pipeline::{self, git},
};

use crate::registry::{PASSWORD, USERNAME};

const DOCKERFILE: &str = "FROM scratch AS builder\nCOPY SERVICE.txt /image/SERVICE.txt\n\
                          FROM scratch\nARG APP_VERSION=dev\n\
                          LABEL org.opencontainers.image.version=$APP_VERSION\n\
                          COPY --from=builder /image /\n";

/// A checkout that is removed with its images.
pub(crate) struct Checkout {
    directory: TempDir,
    /// Where the pipeline puts what it must not leave behind.
    pub(crate) scratch: PathBuf,
    name: String,
    environment: BTreeMap<&'static str, String>,
}

impl Checkout {
    /// One commit, for a registry. Its images' names are no other test's.
    pub(crate) fn new(host: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pipeline-test-{}-{number}", std::process::id());
        let directory = tempfile::tempdir().unwrap();
        let (root, scratch) = (directory.path().join("checkout"), directory.path().join("scratch"));
        fs::create_dir_all(root.join("ecs")).unwrap();
        fs::create_dir(&scratch).unwrap();
        let environment = BTreeMap::from([
            ("REGISTRY_USERNAME", USERNAME.to_owned()),
            ("REGISTRY_PASSWORD", PASSWORD.to_owned()),
        ]);
        let checkout = Self { directory, scratch, name, environment };
        checkout.configure(&format!("host = \"{host}\""));
        for service in ["users", "client"] {
            let dockerfile = DOCKERFILE.replace("SERVICE", service);
            checkout.write(&format!("Dockerfile.{service}"), &dockerfile);
            checkout.write(&format!("{service}.txt"), &format!("{service} of {}", checkout.name));
        }
        checkout.git(&["init", "--quiet", "--initial-branch=main"]);
        checkout.commit("Begin");
        checkout
    }

    /// Where it lies.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("checkout")
    }

    /// The repository of a service.
    pub(crate) fn repository(&self, service: &str) -> String {
        format!("{}-{service}", self.name)
    }

    /// Writes the pipeline's configuration, with these lines about the registry.
    pub(crate) fn configure(&self, registry: &str) {
        let text = format!(
            "name = \"{}\"\n[registry]\n{registry}\n[services.users]\n[services.client]\n\
             build_args = {{ API_SERVICE_URL = \"\" }}\n",
            self.name
        );
        self.write("ecs/pipeline.toml", &text);
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.root().join(name), text).unwrap();
    }

    /// Commits everything.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    /// The commit.
    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.root(), arguments)
    }

    /// Sets a variable for the pipeline; an empty value unsets it.
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.environment.insert(name, value.to_owned());
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = pipeline::command(&pipeline::path(), &self.root());
        command.args(arguments).env("TMPDIR", &self.scratch).env("XDG_RUNTIME_DIR", &self.scratch);
        command.envs(self.environment.iter().filter(|(_, value)| !value.is_empty()));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the pipeline.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Runs the pipeline. Whatever comes of it, it leaves nothing and shows no password.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        let finished = Finished::from(self.command(arguments).output().unwrap());
        assert!(!finished.output().contains(PASSWORD), "{}", finished.output());
        assert_eq!(self.left_over(), Vec::<PathBuf>::new());
        finished
    }

    /// What the pipeline has left in its temporary directory.
    pub(crate) fn left_over(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.scratch).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        remove_images(&self.name);
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Finished {
    /// Both outputs.
    pub(crate) fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The report of a command that must have succeeded with `--output json`.
    #[track_caller]
    pub(crate) fn report(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.output());
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The only line of a command that must have failed before it did anything.
    #[track_caller]
    pub(crate) fn only_line(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}", self.output());
        assert_eq!(self.stdout, "");
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        self.stderr.trim_end()
    }
}

/// The part of a report about one service.
pub(crate) fn image<'r>(report: &'r Value, service: &str) -> &'r Value {
    let mut images = report["images"].as_array().unwrap().iter();
    images.find(|image| image["service"] == service).unwrap()
}
