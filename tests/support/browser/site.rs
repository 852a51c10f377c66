//! Where the pages come from: the program `users` serving the built client, one for each test; or
//! one application for all of them, made empty for each: the `docker compose up` that
//! COMPOSE_PROJECT_NAME and COMPOSE_URL name, or the rehearsal that REHEARSAL_URL and
//! REHEARSAL_DATABASE name.

use std::process::{Command, Stdio};

use crate::{Database, program::Serving};

/// Forgets everybody, and all that was tried too often; first, what a test left that failed midway.
const EMPTY: [&str; 2] = [
    "ALTER TABLE IF EXISTS away RENAME TO users",
    "TRUNCATE users, sessions, refresh_tokens, throttle RESTART IDENTITY",
];

/// The API and the client, with a database that nobody else uses.
#[derive(Debug)]
pub(super) enum Site {
    Program { serving: Serving, database: Database },
    Compose(Compose),
    Rehearsal(Rehearsal),
}

impl Site {
    pub(super) async fn start(settings: &[(&str, &str)]) -> Self {
        if let Some(compose) = Compose::named() {
            assert!(settings.is_empty(), "the containers run with the settings that they have");
            compose.empty();
            return Self::Compose(compose);
        }
        if let Some(rehearsal) = Rehearsal::named() {
            assert!(settings.is_empty(), "the containers run with the settings that they have");
            EMPTY.iter().for_each(|sql| rehearsal.execute(sql));
            return Self::Rehearsal(rehearsal);
        }
        let client = std::env::var("CLIENT_DIR").unwrap_or_else(|_| {
            panic!("CLIENT_DIR names no built client: run `cargo xtask test`, which builds it")
        });
        let database = Database::migrated().await;
        let url = database.url();
        let mut all = vec![("DATABASE_URL", url.as_str()), ("CLIENT_DIR", client.as_str())];
        all.extend_from_slice(settings);
        Self::Program { serving: Serving::start(&all), database }
    }

    pub(super) fn base(&self) -> String {
        match self {
            Self::Program { serving, .. } => format!("http://{}", serving.address()),
            Self::Compose(compose) => compose.url.clone(),
            Self::Rehearsal(rehearsal) => rehearsal.url.clone(),
        }
    }

    pub(super) async fn execute(&self, sql: &str) {
        match self {
            Self::Program { database, .. } => database.execute(sql).await,
            Self::Compose(compose) => compose.execute(sql),
            Self::Rehearsal(rehearsal) => rehearsal.execute(sql),
        }
    }

    /// Ends the API, until the next test begins.
    pub(super) fn stop_the_api(&self) {
        match self {
            Self::Program { serving, .. } => serving.terminate(),
            Self::Compose(compose) => compose.run(&["stop", "users"]),
            Self::Rehearsal(_) => panic!("ECS would start another one"),
        }
    }
}

/// The containers of `docker compose up`. They serve one test at a time.
#[derive(Debug)]
pub(super) struct Compose {
    url: String,
}

impl Compose {
    fn named() -> Option<Self> {
        Some(Self { url: std::env::var("COMPOSE_URL").ok()? })
    }

    /// Starts what a test has stopped, and forgets everybody.
    fn empty(&self) {
        self.run(&["up", "--detach", "--wait", "--no-recreate", "users"]);
        EMPTY.iter().for_each(|sql| self.execute(sql));
    }

    fn execute(&self, sql: &str) {
        let psql = ["exec", "-T", "db", "psql", "--quiet", "--username=postgres", "--dbname=users"];
        let statement = format!("--command={sql}");
        self.run(&[&psql[..], &["--set=ON_ERROR_STOP=1", &statement]].concat());
    }

    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new("docker");
        command.arg("compose").args(arguments).stdin(Stdio::null());
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker compose {arguments:?}: {said}");
    }
}

/// What `cargo xtask rehearse --keep` runs: the emulated load balancer with real containers.
#[derive(Debug)]
pub(super) struct Rehearsal {
    url: String,
    /// The container of PostgreSQL.
    database: String,
}

impl Rehearsal {
    fn named() -> Option<Self> {
        let url = std::env::var("REHEARSAL_URL").ok()?;
        Some(Self { url, database: std::env::var("REHEARSAL_DATABASE").ok()? })
    }

    fn execute(&self, sql: &str) {
        let mut command = Command::new("docker");
        command.args(["exec", &self.database, "psql", "--quiet", "--username=postgres"]);
        command.args(["--dbname=users", "--set=ON_ERROR_STOP=1", &format!("--command={sql}")]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}");
    }
}
