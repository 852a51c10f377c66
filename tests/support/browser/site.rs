//! Where the pages come from: the program `users` serving the built client, one for each test; or
//! the one `docker compose up` that COMPOSE_PROJECT_NAME and COMPOSE_URL name, made empty for each.

use std::process::{Command, Stdio};

use crate::{Database, program::Serving};

/// The API and the client, with a database that nobody else uses.
#[derive(Debug)]
pub(super) enum Site {
    Program { serving: Serving, database: Database },
    Compose(Compose),
}

impl Site {
    pub(super) async fn start(settings: &[(&str, &str)]) -> Self {
        if let Some(compose) = Compose::named() {
            assert!(settings.is_empty(), "the containers run with the settings that they have");
            compose.empty();
            return Self::Compose(compose);
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
        }
    }

    pub(super) async fn execute(&self, sql: &str) {
        match self {
            Self::Program { database, .. } => database.execute(sql).await,
            Self::Compose(compose) => compose.execute(sql),
        }
    }

    /// Ends the API, until the next test begins.
    pub(super) fn stop_the_api(&self) {
        match self {
            Self::Program { serving, .. } => serving.terminate(),
            Self::Compose(compose) => compose.run(&["stop", "users"]),
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

    /// Starts what a test has stopped, and forgets everybody, and all that was tried too often.
    fn empty(&self) {
        self.run(&["up", "--detach", "--wait", "--no-recreate", "users"]);
        // Left over where a test failed midway.
        self.execute("ALTER TABLE IF EXISTS away RENAME TO users");
        self.execute("TRUNCATE users, sessions, refresh_tokens, throttle RESTART IDENTITY");
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
