//! What is measured, one file each or a small group.

mod access;
mod accounts;
mod client;
mod deploy;
mod images;
mod logins;
mod mixed;
mod ping;
mod reads;
mod startup;

use crate::{Effort, load::Outcome, report::Report, rounds::median};

/// All cases, in the order in which they run.
pub(crate) const ALL: [&str; 14] = [
    "ping", "user", "page", "depth", "access", "status", "refresh", "register", "logins", "mixed",
    "startup", "client", "images", "deploy",
];

/// Measures one of [`ALL`].
pub(crate) async fn measure(case: &str, effort: Effort, report: &mut Report) {
    match case {
        "ping" => ping::measure(effort, report).await,
        "user" => reads::one_user(effort, report).await,
        "page" => reads::page(effort, report).await,
        "depth" => reads::depth(effort, report).await,
        "access" => access::measure(effort, report).await,
        "status" => accounts::status(effort, report).await,
        "refresh" => accounts::refresh(effort, report).await,
        "register" => accounts::register(effort.with_passwords(), report).await,
        "logins" => logins::measure(effort.with_passwords(), report).await,
        "mixed" => mixed::measure(effort, report).await,
        "startup" => startup::measure(report),
        "client" => client::measure(report),
        "images" => images::measure(report),
        "deploy" => deploy::measure(effort, report).await,
        other => unreachable!("no case {other}"),
    }
}

/// Tells what a load of the API came to.
fn tell(report: &mut Report, case: &'static str, outcomes: &[Outcome]) {
    let of = |figure: fn(&Outcome) -> f64| median(outcomes.iter().map(figure));
    report.tell(case, "requests", of(|outcome| outcome.rate), "/s");
    report.tell(case, "time, median", of(|outcome| outcome.p50), "ms");
    report.tell(case, "time, 99 of 100", of(|outcome| outcome.p99), "ms");
    report.tell(case, "processor, API", of(|outcome| outcome.api), "µs");
    let postgres: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.postgres).collect();
    if !postgres.is_empty() {
        report.tell(case, "processor, PostgreSQL", median(postgres), "µs");
    }
}
