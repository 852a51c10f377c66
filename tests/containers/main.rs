//! The API on a PostgreSQL that testcontainers starts: the image that production resembles,
//! through the crate that many people test with.
//!
//! A container for each test, removed at its end; the next run removes what a killed one
//! left, for the crate has no reaper.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "in a test suite a broken assumption must end the test"
)]

mod disk;

use std::process::{Command, Stdio};

use chrono::Utc;
use serde_json::json;
use testcontainers_modules::{
    postgres::Postgres,
    testcontainers::{
        ContainerAsync, ContainerRequest, ImageExt, core::Mount, runners::AsyncRunner,
    },
};
use tests::{
    Client, PASSWORD,
    app::{Server, migrate},
};
use users::clock::Clock;

/// Marks this suite's containers with the number of the process that started them.
const LABEL: &str = "users.tests.process";

/// The version in production and in `docker-compose.yml`.
const TAG: &str = "17";

/// PostgreSQL with its data in memory.
fn postgres() -> ContainerRequest<Postgres> {
    Postgres::default()
        .with_tag(TAG)
        .with_label(LABEL, std::process::id().to_string())
        .with_mount(Mount::tmpfs_mount("/var/lib/postgresql/data"))
        .with_env_var("POSTGRES_INITDB_ARGS", "--no-sync")
}

/// Starts it; gives its address, up to the database's name.
async fn start(request: ContainerRequest<Postgres>) -> (ContainerAsync<Postgres>, String) {
    remove_left_behind();
    let container = request.start().await;
    let container =
        container.expect("a container from postgres:17; `docker info` says whether Docker answers");
    let host = container.get_host().await.unwrap();
    let port = container.get_host_port_ipv4(5432).await.unwrap();
    (container, format!("postgres://postgres:postgres@{host}:{port}"))
}

#[tokio::test]
async fn a_person_signs_up_and_in_on_the_image_that_production_resembles() {
    let (container, server) = start(postgres()).await;
    let url = format!("{server}/postgres");
    migrate(&url).await;
    migrate(&url).await;

    let client = tests::database::connect(&url).await;
    let version = client.query_one("SHOW server_version", &[]).await.unwrap();
    assert!(version.get::<_, String>(0).starts_with(TAG));

    let server = Server::start(&url, Clock::fixed(Utc::now()), &[]).await;
    let api = Client::new(server.base()).checked_against_its_document().await;
    let body = json!({"username": "michael", "email": "m@example.com", "password": PASSWORD});
    api.post("/auth/register").json(body).await.ok(201);
    let body = json!({"email": "M@example.com", "password": PASSWORD});
    let tokens = api.post("/auth/login").json(body).await.ok(200);
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(api.get("/auth/status").bearer(token).await.ok(200)["username"], "michael");

    drop(server);
    container.rm().await.unwrap();
}

/// Removes the containers of runs that were killed.
fn remove_left_behind() {
    let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}");
    let mut list = Command::new("docker");
    list.args(["ps", "--all", "--filter", &format!("label={LABEL}"), "--format", &format]);
    // Where the program `docker` is missing, the engine may answer all the same.
    let Ok(output) = list.stderr(Stdio::null()).output() else { return };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((id, process)) = line.split_once(' ') else { continue };
        let alive = Command::new("kill").args(["-0", process]).stderr(Stdio::null()).status();
        if !alive.is_ok_and(|status| status.success()) {
            // Another run may be just as eager.
            let _ = Command::new("docker").args(["rm", "--force", "--volumes", id]).output();
        }
    }
}
