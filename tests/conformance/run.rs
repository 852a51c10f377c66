//! One run of schemathesis.

use std::{path::Path, process::Command};

use crate::role::Role;

/// What every answer is checked for.
pub(crate) const CHECKS: [&str; 13] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
    OUR_OWN,
];

/// The one in `rules.py`: what `positive_data_acceptance` lets pass is looked at once more.
const OUR_OWN: &str = "refused_only_for_what_no_schema_says";

/// Requests of an operation; more find nothing new here, and take longer.
const EXAMPLES: &str = "30";
/// A run can be repeated.
const SEED: &str = "1";

pub(crate) struct Schemathesis(Command);

impl Schemathesis {
    pub(crate) fn new(role: &Role) -> Self {
        let program = std::env::var_os("SCHEMATHESIS_BIN")
            .expect("SCHEMATHESIS_BIN names no program: run `cargo xtask test`, which installs it");
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
        let mut command = Command::new(program);
        command.env("SCHEMATHESIS_HOOKS", directory.join("rules.py"));
        // Nothing is written beside it.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg("--config-file").arg(directory.join("schemathesis.toml")).arg("run");
        command.arg(format!("http://{}/swagger.json", role.serving.address()));
        command.args(["--checks", &CHECKS.join(","), "--continue-on-failure", "--no-color"]);
        command.args(["--max-examples", EXAMPLES, "--seed", SEED]);
        // Its database of earlier failures would make runs differ.
        command.args(["--generation-database", "none"]);
        if let Some(token) = &role.access_token {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        Self(command)
    }

    pub(crate) fn without(mut self, operations: &[&str]) -> Self {
        for operation in operations {
            self.0.args(["--exclude-name", operation]);
        }
        self
    }

    pub(crate) fn only(mut self, operations: &[&str]) -> Self {
        for operation in operations {
            self.0.args(["--include-name", operation]);
        }
        self
    }

    /// Runs it, which must find nothing, and prints how much it has tried.
    #[track_caller]
    pub(crate) fn run(mut self, about: &str) {
        let directory = tempfile::tempdir().unwrap();
        // What it leaves behind goes there.
        let output = self.0.current_dir(&directory).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "as {about}:\n{text}\n{error}");
        let count = text.lines().skip_while(|line| !line.starts_with("Test cases:")).nth(1);
        let count = count.unwrap_or_else(|| panic!("as {about}, no test case:\n{text}"));
        println!("as {about}: {}", count.trim());
    }
}
