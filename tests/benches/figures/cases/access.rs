//! Ways to the database, side by side: the same look-ups by the same code over a pool that all workers
//! share, a pool a worker, and one connection a worker on which the look-ups of many requests
//! travel together (pipelining), which is how the service reads. `baseline read` serves them.

use crate::{
    Effort,
    cases::reads::{USERS, page_statement, user_statement},
    data,
    load::{Outcome, Pgbench, Wrk},
    process::Server,
    report::Report,
    rounds::{alternate, median},
    service::Service,
};

const CASE: &str = "access";

/// What it is called, and what `baseline read` is told: the way, and how many connections it may
/// take. Ten is the service's own default, 32 what pgbench and the load have. All of them together are
/// not more than a PostgreSQL takes by default.
const WAYS: [(&str, &str, usize); 4] = [
    ("a shared pool of 10", "shared", 10),
    ("a pool a worker, 10 in all", "pools", 10),
    ("a pool a worker, 32 in all", "pools", 32),
    ("a pipelined connection a worker", "pipelined", 10),
];

pub(super) async fn measure(effort: Effort, report: &mut Report) {
    let users = USERS.to_string();
    let user = Wrk::new(effort.seconds, &["user", &users]);
    let page = Wrk::new(effort.seconds, &["get", "/users"]);
    compare("one user", &user, &user_statement(), effort, report).await;
    compare("a page", &page, &page_statement(), effort, report).await;
}

async fn compare(what: &str, wrk: &Wrk, statement: &str, effort: Effort, report: &mut Report) {
    let database = data::with_users(USERS).await;
    let client = database.client().await;
    let server = Server::of(&client, database.name()).await;
    let services: Vec<Service> = WAYS
        .iter()
        .map(|(_, way, connections)| Service::reading(&database, way, *connections))
        .collect();
    let (url, pgbench) = (database.url(), Pgbench::new(effort.seconds, statement));
    let rounds = alternate(
        effort.rounds,
        async || {
            let mut outcomes = Vec::new();
            for service in &services {
                outcomes.push(wrk.run(service, server).await);
            }
            outcomes
        },
        async || pgbench.run(&url).await,
    )
    .await;
    report.tell(
        CASE,
        format!("{what}: pgbench"),
        median(rounds.iter().map(|(_, pgbench)| *pgbench)),
        "/s",
    );
    for (number, (way, _, _)) in WAYS.iter().enumerate() {
        let of = |figure: fn(&Outcome) -> f64| {
            median(rounds.iter().map(|(ours, _)| figure(&ours[number])))
        };
        let ratio = median(rounds.iter().map(|(ours, pgbench)| ours[number].rate / pgbench));
        report.tell(CASE, format!("{what}: {way}, of pgbench"), ratio, "");
        report.tell(CASE, "  processor, API", of(|outcome| outcome.api), "µs");
        if rounds.iter().all(|(ours, _)| ours[number].postgres.is_some()) {
            let postgres = of(|outcome| outcome.postgres.unwrap_or_default());
            report.tell(CASE, "  processor, PostgreSQL", postgres, "µs");
        }
        report.tell(CASE, "  time, 99 of 100", of(|outcome| outcome.p99), "ms");
    }
}
