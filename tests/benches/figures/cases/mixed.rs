//! A load as of a small site: of a thousand requests, 600 look at a user, 200 at a page, 150 ask
//! who they are, 49 ping and one signs in.

use tests::PASSWORD;

use crate::{
    Effort, cases::tell, data, load::Wrk, process::Server, process::peak_memory, report::Report,
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
    let mut outcomes = Vec::new();
    for _ in 0..effort.rounds {
        outcomes.push(wrk.run(&service, server).await);
    }
    tell(report, CASE, &outcomes);
    report.tell(CASE, "peak memory", peak_memory(service.id()), "MB");
}
