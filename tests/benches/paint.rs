//! How long the first page takes on a slow phone: Chromium with its processor slowed down four
//! times and a network like Lighthouse's “slow 4G” (150 ms round trip, 1.6 Mbit/s down,
//! 750 kbit/s up), from a server that sends the compressed forms. `cargo xtask bench paint` runs it.
//!
//! - first contentful paint: as the browser reports it (W3C Paint Timing)
//! - interactive: the application has taken the page over, and the list of users is shown
//! - transferred: what came over the network for the page, answers of the API not counted

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must end")]

use std::time::Duration;

use serde_json::Value;
use tests::browser::{Network, visit};

const ROUNDS: usize = 7;

/// Notes when the first user is shown, without the round trips of a driver that asks.
const WATCH: &str = "
    new MutationObserver((_, observer) => {
        if (document.querySelector('[data-testid=users] time')) {
            window.interactive = performance.now();
            observer.disconnect();
        }
    }).observe(document, { childList: true, subtree: true });
";

const MEASURE: &str = "
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    const loaded = [
        performance.getEntriesByType('navigation')[0],
        ...performance.getEntriesByType('resource').filter(entry => /\\.(js|css|wasm)$/.test(entry.name)),
    ];
    const transferred = loaded.reduce((sum, entry) => sum + entry.encodedBodySize, 0);
    return paint && window.interactive ? [paint.startTime, window.interactive, transferred] : null;
";

#[tokio::main]
async fn main() {
    visit("paint", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        page.slow_processor(4).await;
        page.before_each_page(WATCH).await;
        page.without_cache().await;
        page.limit_network(Network {
            latency: Duration::from_millis(150),
            down: 1_600_000 / 8,
            up: 750_000 / 8,
        })
        .await;
        let mut rounds: [Vec<f64>; 3] = Default::default();
        for _ in 0..ROUNDS {
            page.open("/").await;
            page.until("the page is measured", async || page.run(MEASURE).await.is_array()).await;
            let Value::Array(figures) = page.run(MEASURE).await else { unreachable!() };
            for (round, figure) in rounds.iter_mut().zip(figures) {
                round.push(figure.as_f64().unwrap());
            }
        }
        println!("the first page, processor 4 times slower, slow 4G; {ROUNDS} rounds, no cache");
        let names = ["first contentful paint, ms", "interactive, ms", "transferred, bytes"];
        for (name, mut round) in names.into_iter().zip(rounds) {
            round.sort_by(f64::total_cmp);
            let (first, last) = (round.first().unwrap(), round.last().unwrap());
            let median = round.get(ROUNDS / 2).unwrap();
            println!("{name:28} median {median:>8.0}  ({first:.0} to {last:.0})");
        }
    })
    .await;
}
