//! What people do with their accounts, each alone.

use std::io::Write;

use crate::{
    Effort,
    cases::tell,
    data,
    load::Wrk,
    process::Server,
    report::Report,
    service::{Service, hashes_per_second},
};

const USERS: i64 = 10_000;
/// Each continues a session of its own.
const REFRESHING: usize = 16;

pub(super) async fn status(effort: Effort, report: &mut Report) {
    let database = data::with_users(USERS).await;
    let service = Service::start(&database, &[]).await;
    data::sign_up(&service.client()).await;
    let tokens = data::sign_in(&service.client()).await;
    let wrk = Wrk::new(effort.seconds, &["get", "/auth/status", &tokens.access]);
    several("status", effort, report, &database, &service, &wrk).await;
}

pub(super) async fn refresh(effort: Effort, report: &mut Report) {
    let database = data::with_users(USERS).await;
    let service = Service::start(&database, &[]).await;
    data::sign_up(&service.client()).await;
    let client = database.client().await;
    let server = Server::of(&client, database.name()).await;
    let mut outcomes = Vec::new();
    // A used token is good for nothing, so each round begins with new ones.
    for _ in 0..effort.rounds {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for _ in 0..REFRESHING {
            let tokens = data::sign_in(&service.client()).await;
            writeln!(file, "{}", tokens.refresh).unwrap();
        }
        let path = file.path().to_str().unwrap();
        let wrk = Wrk {
            threads: REFRESHING,
            connections: REFRESHING,
            ..Wrk::new(effort.seconds, &["refresh", path])
        };
        outcomes.push(wrk.run(&service, server).await);
    }
    tell(report, "refresh", &outcomes);
}

pub(super) async fn register(effort: Effort, report: &mut Report) {
    let database = data::with_users(USERS).await;
    let service = Service::start(&database, &[]).await;
    let client = database.client().await;
    let server = Server::of(&client, database.name()).await;
    let mut outcomes = Vec::new();
    for round in 0..effort.rounds {
        let seed = format!("round-{round}");
        outcomes.push(Wrk::new(effort.seconds, &["register", &seed]).run(&service, server).await);
    }
    tell(report, "register", &outcomes);
    report.tell("register", "argon2 alone", hashes_per_second(effort.seconds), "/s");
}

async fn several(
    case: &'static str,
    effort: Effort,
    report: &mut Report,
    database: &tests::Database,
    service: &Service,
    wrk: &Wrk,
) {
    let client = database.client().await;
    let server = Server::of(&client, database.name()).await;
    wrk.run(service, server).await;
    let mut outcomes = Vec::new();
    for _ in 0..effort.rounds {
        outcomes.push(wrk.run(service, server).await);
    }
    tell(report, case, &outcomes);
}
