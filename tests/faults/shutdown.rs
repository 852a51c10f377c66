//! SIGTERM under load: whatever the service has taken on, it answers.

use std::time::{Duration, Instant};

use crate::{
    load::Load,
    service::{postgres, serve},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_flight_is_answered() {
    let postgres = postgres().await;
    // Else `/ping` is not in the log.
    let everything = [("RUST_LOG", "info,users::http::middleware=debug")];
    let serving = serve(&postgres.url(), &everything);
    let load = Load::start(&serving.client(), 32).await;
    load.more(2_000).await;
    // Those who sign people up and in before the load begins: two requests each, and one page.
    let before = 32 * 2 + 1;
    serving.terminate();
    let begin = Instant::now();
    let (code, lines) = tokio::task::spawn_blocking(move || serving.finish()).await.unwrap();
    let took = begin.elapsed();
    let tally = load.finish().await;

    let taken_on = lines.iter().filter(|line| line.contains(r#""message":"request""#)).count();
    let answered = tally.right + tally.unavailable + before;
    println!(
        "{:34} {taken_on} requests taken on, {answered} answered, {} refused a connection; \
         ended after {:.2} s",
        "SIGTERM under load",
        tally.unanswered.len(),
        took.as_secs_f64()
    );
    assert_eq!(code, Some(0), "{}", lines.join("\n"));
    assert!(tally.wrong.is_empty(), "{:#?}", tally.wrong);
    assert_eq!(tally.unavailable, 0, "{tally}");
    assert_eq!(taken_on, answered, "an answer was lost");
    assert!(took < Duration::from_secs(3), "{took:?}");
}
