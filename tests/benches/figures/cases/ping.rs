//! `/ping` beside a server that is nothing but the framework.

use tests::Database;

use crate::{
    Effort,
    cases::tell,
    load::Wrk,
    report::{Goal, Report},
    rounds::{alternate, median},
    service::Service,
};

const CASE: &str = "ping";

pub(super) async fn measure(effort: Effort, report: &mut Report) {
    let database = Database::migrated().await;
    let service = Service::start(&database, &[]).await;
    let counting = Service::start(&database, &[("METRICS_PORT", "0")]).await;
    let bare = Service::bare();
    let wrk = Wrk::new(effort.seconds, &["get", "/ping"]);
    let rounds = alternate(
        effort.rounds,
        async || (wrk.run(&service, None).await, wrk.run(&counting, None).await),
        async || wrk.run(&bare, None).await,
    )
    .await;
    let ours: Vec<_> = rounds.iter().map(|((ours, _), _)| *ours).collect();
    tell(report, CASE, &ours);
    report.tell(CASE, "bare actix", median(rounds.iter().map(|(_, bare)| bare.rate)), "/s");
    let bare = median(rounds.iter().map(|(_, bare)| bare.api));
    report.tell(CASE, "processor, bare actix", bare, "µs");
    let ratio = median(rounds.iter().map(|((ours, _), bare)| ours.rate / bare.rate));
    report.hold(CASE, "of bare actix", (ratio, ""), Goal::AtLeast(0.85));
    let ratio = median(rounds.iter().map(|((ours, counting), _)| counting.rate / ours.rate));
    report.tell(CASE, "with metrics, of without", ratio, "");
}
