//! Medians, and two sides that take turns.

use std::future::Future;

/// The middle one; of an even number the upper of the two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value that so much of them do not exceed.
pub(crate) fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

/// Runs both sides in turn, so that whatever else the machine does meets both. The first round
/// only warms up.
pub(crate) async fn alternate<A, B>(
    rounds: usize,
    mut left: impl AsyncFnMut() -> A,
    mut right: impl AsyncFnMut() -> B,
) -> Vec<(A, B)> {
    left().await;
    right().await;
    let mut all = Vec::new();
    for _ in 0..rounds {
        let of_left = left().await;
        all.push((of_left, right().await));
    }
    all
}

/// Has a blocking call made without holding up the other tasks.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> {
    let task = tokio::task::spawn_blocking(work);
    async { task.await.unwrap() }
}
