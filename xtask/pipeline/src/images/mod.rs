//! The images: what is built from which sources, and what the registry has and gets.
//!
//! `docker` is called as the program that people have, with their contexts, builders and
//! credential helpers.

pub(crate) mod build;
pub(crate) mod docker;
pub(crate) mod login;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod push;
pub(crate) mod registry;
pub(crate) mod source;

use std::future::Future;

use tokio::task::JoinSet;

use crate::interrupt::Stop;
use crate::process::Interrupted;

/// Does the same for several images at once. The first failure stops the others, and is the one
/// that counts.
///
/// # Errors
/// The first that is not merely the consequence of another.
async fn side_by_side<I, T, E, F>(
    items: I,
    stop: &Stop,
    work: impl Fn(I::Item, Stop) -> F,
) -> Result<Vec<T>, E>
where
    I: IntoIterator,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: From<Interrupted> + Send + 'static,
{
    let stop = stop.child();
    let mut tasks = JoinSet::new();
    for (index, item) in items.into_iter().enumerate() {
        let work = work(item, stop.clone());
        tasks.spawn(async move { (index, work.await) });
    }
    let mut done = Vec::new();
    let mut failed = None;
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok((index, Ok(value))) => done.push((index, value)),
            Ok((_, Err(error))) => {
                failed.get_or_insert(error);
                // A second request would deny the others the time to end in order.
                if !stop.requested() {
                    stop.request();
                }
            }
            // The panic has been reported; here it only must not be lost.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(Interrupted.into()),
            },
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Failure {
        Interrupted,
        Broken,
    }

    impl From<Interrupted> for Failure {
        fn from(_: Interrupted) -> Self {
            Self::Interrupted
        }
    }

    #[tokio::test]
    async fn results_keep_their_order() {
        let stop = Stop::default();
        let run = side_by_side([3_u64, 1, 2], &stop, |number, _| async move {
            tokio::time::sleep(std::time::Duration::from_millis(number * 10)).await;
            Ok::<_, Failure>(number)
        });
        assert_eq!(run.await, Ok(vec![3, 1, 2]));
    }

    #[tokio::test]
    async fn the_first_failure_stops_the_others_and_counts() {
        let outer = Stop::default();
        let run = side_by_side([true, false], &outer, |fails, stop| async move {
            if fails {
                return Err(Failure::Broken);
            }
            stop.wait().await;
            Err::<(), _>(Failure::Interrupted)
        });
        assert_eq!(run.await, Err(Failure::Broken));
        assert!(!outer.requested());
    }
}
