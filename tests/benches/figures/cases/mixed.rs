//! A load as of a small site: of a thousand requests, 600 look at a user, 200 at a page, 150 ask
//! who they are, 49 ping and one signs in. Beside pgbench with these look-ups in the same shares,
//! and without the rest.

use tests::PASSWORD;

use crate::{
    Effort,
    cases::{accounts, reads},
    data,
    load::{Pgbench, Wrk},
    process::{Server, peak_memory},
    report::Report,
    rounds::alternate,
    service::Service,
};

const CASE: &str = "mixed";
const USERS: i64 = 10_000;

pub(super) async fn measure(effort: Effort, report: &mut Report) {
    let database = data::with_users(USERS).await;
    let service = Service::start(&database, &[]).await;
    data::sign_up(&service.client()).await;
    let tokens = data::sign_in(&service.client()).await;
    let (users, persons) = (USERS.to_string(), data::PERSONS.to_string());
    let load = ["mixed", &users, &tokens.access, &persons, PASSWORD];
    let client = database.client().await;
    let server = Server::of(&client, database.name()).await;
    let wrk = Wrk::new(effort.seconds, &load);
    let status = accounts::status_statement(&client).await;
    let looks = [(&*reads::user_statement(), 600), (&reads::page_statement(), 200), (&status, 150)];
    let (url, pgbench) = (database.url(), Pgbench::mixed(effort.seconds, &looks));
    let rounds = alternate(
        effort.rounds,
        async || wrk.run(&service, server).await,
        async || pgbench.run(&url).await,
    )
    .await;
    accounts::beside(report, CASE, &rounds, "pgbench, the look-ups", "of pgbench");
    report.tell(CASE, "peak memory", peak_memory(service.id()), "MB");
}
