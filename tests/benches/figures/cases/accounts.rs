//! What people do with their accounts, each alone and beside what it is made of.

use std::io::Write;

use tokio_postgres::Client;

use crate::{
    Effort,
    cases::{reads::COLUMNS, tell},
    data,
    load::{Outcome, Pgbench, Wrk},
    process::Server,
    report::Report,
    rounds::{alternate, blocking, median},
    service::{Service, hashes_per_second},
};

const USERS: i64 = 10_000;
/// Each continues a session of its own.
const REFRESHING: usize = 16;
/// The first of the sessions that pgbench continues; the API's own have small numbers.
const SESSION: i64 = 1_000_000;

/// What the API asks about the holder of an access token, for pgbench.
pub(super) async fn status_statement(client: &Client) -> String {
    let session = "SELECT id, user_id FROM sessions ORDER BY id LIMIT 1";
    let row = client.query_one(session, &[]).await.unwrap();
    let (session, user): (i64, i64) = (row.get(0), row.get(1));
    format!(
        "\\set session {session}\n\\set user {user}\nSELECT {COLUMNS} FROM users \
         INNER JOIN sessions ON sessions.user_id = users.id WHERE sessions.id = :session \
         AND users.id = :user AND users.active AND sessions.created_date > '2020-01-01Z' \
         AND sessions.last_used_date > '2020-01-01Z' LIMIT 1;\n"
    )
}

pub(super) async fn status(effort: Effort, report: &mut Report) {
    let database = data::with_users(USERS).await;
    let service = Service::start(&database, &[]).await;
    data::sign_up(&service.client()).await;
    let tokens = data::sign_in(&service.client()).await;
    let client = database.client().await;
    let server = Server::of(&client, database.name()).await;
    let wrk = Wrk::new(effort.seconds, &["get", "/auth/status", &tokens.access]);
    let pgbench = Pgbench::new(effort.seconds, &status_statement(&client).await);
    let url = database.url();
    let rounds = alternate(
        effort.rounds,
        async || wrk.run(&service, server).await,
        async || pgbench.run(&url).await,
    )
    .await;
    beside(report, "status", &rounds, "pgbench", "of pgbench");
}

/// Beside a transaction of the same statements, which continues as many sessions.
pub(super) async fn refresh(effort: Effort, report: &mut Report) {
    let database = data::with_users(USERS).await;
    let service = Service::start(&database, &[]).await;
    data::sign_up(&service.client()).await;
    let client = database.client().await;
    let server = Server::of(&client, database.name()).await;
    let pgbench = Pgbench::new(effort.seconds, &exchange()).over(REFRESHING);
    let url = database.url();
    let rounds = alternate(
        effort.rounds,
        async || {
            // A used token is good for nothing, so each round begins with new ones.
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
            wrk.run(&service, server).await
        },
        async || {
            begin_sessions(&client).await;
            pgbench.run(&url).await
        },
    )
    .await;
    beside(report, "refresh", &rounds, "pgbench, the same transaction", "of pgbench");
}

/// Sessions whose first tokens pgbench knows, anew.
async fn begin_sessions(client: &Client) {
    let begin = format!(
        "DELETE FROM sessions WHERE id >= {SESSION};
         INSERT INTO sessions (id, user_id, created_date, last_used_date)
         SELECT {SESSION} + n, 1, now(), now() FROM generate_series(0, {REFRESHING} - 1) AS n;
         INSERT INTO refresh_tokens (token_hash, session_id)
         SELECT sha256(concat(n, '-', 0)::bytea), {SESSION} + n
         FROM generate_series(0, {REFRESHING} - 1) AS n"
    );
    client.batch_execute(&begin).await.unwrap();
}

/// The statements of a refresh.
fn exchange() -> String {
    let hash = |step: &str| format!("sha256(concat(:client_id::text, '-', {step}::text)::bytea)");
    let (old, new) = (hash(":last"), hash(":step"));
    format!(
        "\\set last :step
\\set step :step + 1
\\set session {SESSION} + :client_id
BEGIN;
SELECT id, user_id, created_date, last_used_date, user_agent FROM sessions WHERE id = ANY (
SELECT session_id FROM refresh_tokens WHERE token_hash = {old}) LIMIT 1 FOR UPDATE;
SELECT active FROM users WHERE id = 1 LIMIT 1;
SELECT used_date, sealed_successor FROM refresh_tokens WHERE token_hash = {old} LIMIT 1;
UPDATE refresh_tokens SET used_date = now(), sealed_successor = {new} WHERE token_hash = {old};
INSERT INTO refresh_tokens (token_hash, session_id) VALUES ({new}, :session);
UPDATE sessions SET last_used_date = now() WHERE id = :session;
COMMIT;
"
    )
}

/// Beside the hash function, which is most of it.
pub(super) async fn register(effort: Effort, report: &mut Report) {
    let database = data::with_users(USERS).await;
    let service = Service::start(&database, &[]).await;
    let client = database.client().await;
    let server = Server::of(&client, database.name()).await;
    let mut round = 0;
    let rounds = alternate(
        effort.rounds,
        async || {
            round += 1;
            let seed = format!("round-{round}");
            Wrk::new(effort.seconds, &["register", &seed]).run(&service, server).await
        },
        async || blocking(move || hashes_per_second(effort.seconds)).await,
    )
    .await;
    beside(report, "register", &rounds, "argon2 alone", "of argon2 alone");
}

/// Tells of both sides, and of their ratio.
pub(super) fn beside(
    report: &mut Report,
    case: &'static str,
    rounds: &[(Outcome, f64)],
    other: &str,
    ratio: &str,
) {
    let ours: Vec<_> = rounds.iter().map(|(ours, _)| *ours).collect();
    tell(report, case, &ours);
    report.tell(case, other, median(rounds.iter().map(|(_, other)| *other)), "/s");
    report.tell(case, ratio, median(rounds.iter().map(|(ours, other)| ours.rate / other)), "");
}
