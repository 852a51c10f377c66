//! What anybody may read, beside pgbench, which sends the same statement and does nothing with
//! the rows.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    Effort,
    cases::tell,
    data,
    load::{Pgbench, Wrk},
    process::Server,
    report::{Goal, Report},
    rounds::{alternate, median},
    service::Service,
};

pub(super) const USERS: i64 = 10_000;
/// What the API asks for.
pub(super) const COLUMNS: &str =
    "users.id, users.username, users.email, users.is_admin, users.created_date";

/// What the API asks for one user, for pgbench.
pub(super) fn user_statement() -> String {
    format!(
        "\\set id random(1, {USERS})\nSELECT {COLUMNS} FROM users WHERE users.id = :id LIMIT 1;\n"
    )
}

/// What the API asks for the first page.
pub(super) fn page_statement() -> String {
    format!(
        "\\set after 0\n\\set limit 51\nSELECT {COLUMNS} FROM users WHERE users.id > :after \
         ORDER BY users.id LIMIT :limit;\n"
    )
}

pub(super) async fn one_user(effort: Effort, report: &mut Report) {
    let load = ["user", &USERS.to_string()];
    beside_pgbench("user", effort, report, &load, &user_statement()).await;
}

pub(super) async fn page(effort: Effort, report: &mut Report) {
    beside_pgbench("page", effort, report, &["get", "/users"], &page_statement()).await;
}

async fn beside_pgbench(
    case: &'static str,
    effort: Effort,
    report: &mut Report,
    load: &[&str],
    statement: &str,
) {
    let database = data::with_users(USERS).await;
    let client = database.client().await;
    let server = Server::of(&client, database.name()).await;
    let service = Service::start(&database, &[]).await;
    let wrk = Wrk::new(effort.seconds, load);
    let (url, pgbench) = (database.url(), Pgbench::new(effort.seconds, statement));
    let rounds = alternate(
        effort.rounds,
        async || wrk.run(&service, server).await,
        async || pgbench.run(&url).await,
    )
    .await;
    let ours: Vec<_> = rounds.iter().map(|(ours, _)| *ours).collect();
    tell(report, case, &ours);
    report.tell(case, "pgbench", median(rounds.iter().map(|(_, pgbench)| *pgbench)), "/s");
    let ratio = median(rounds.iter().map(|(ours, pgbench)| ours.rate / pgbench));
    report.hold(case, "of pgbench", (ratio, ""), Goal::AtLeast(0.70));
}

/// The first page of many users, one in the middle, and the last.
pub(super) async fn depth(effort: Effort, report: &mut Report) {
    const CASE: &str = "depth";
    let database = data::with_users(effort.many).await;
    let service = Service::start(&database, &[]).await;
    // As the `Link` of the page before has it; nobody wants to walk there each time.
    let cursor = |after: i64| URL_SAFE_NO_PAD.encode(after.to_be_bytes());
    let page = |after: i64| {
        Wrk::new(effort.seconds, &["get", &format!("/users?cursor={}", cursor(after))])
    };
    let first = Wrk::new(effort.seconds, &["get", "/users"]);
    let (middle, last) = (page(effort.many / 2), page(effort.many - 50));
    for after in [0, effort.many / 2, effort.many - 50] {
        let cursor = if after == 0 { String::new() } else { format!("?cursor={}", cursor(after)) };
        let page = service.client().get(format!("/users{cursor}")).await.ok(200);
        let page = page.as_array().unwrap();
        assert_eq!((page.len(), page[0]["id"].as_i64()), (50, Some(after + 1)));
    }
    let rounds = alternate(
        effort.rounds,
        async || first.run(&service, None).await,
        async || (middle.run(&service, None).await, last.run(&service, None).await),
    )
    .await;
    report.tell(CASE, "users", effort.many as f64, "");
    let pages = ["first page, median", "middle page, median", "last page, median"];
    let times = rounds.iter().map(|(first, (middle, last))| [first.p50, middle.p50, last.p50]);
    for (index, name) in pages.into_iter().enumerate() {
        report.tell(CASE, name, median(times.clone().map(|times| times[index])), "ms");
    }
    let ratio = median(times.map(|[first, _, last]| last / first));
    report.hold(CASE, "last page, of the first's time", (ratio, ""), Goal::AtMost(1.3));
}
