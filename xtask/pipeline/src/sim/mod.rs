//! An ECS in memory, for tests: a virtual clock, images that behave as they are called, and faults
//! to order. It is written from what AWS documents, not from what the pipeline expects.
//!
//! An image whose name contains `crash`, `pull`, `secret`, `sick`, `hungry`, `jam` or `half` fails in
//! that way; every other is healthy after a while. Time is tokio's: paused in tests, so that minutes take
//! milliseconds.

mod ecs;
mod faults;
mod locking;
mod port;
mod properties;
mod scenarios;
mod texts;
mod world;

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::cloud::CloudError;
use crate::interrupt::Stop;
use ecs::Ecs;
use faults::{Fault, Faults};

/// What a call costs.
const LATENCY: Duration = Duration::from_millis(40);

/// The cloud that is simulated.
pub(crate) struct Sim {
    state: RefCell<State>,
    started: Instant,
    /// What an interrupt requests.
    stop: Stop,
}

struct State {
    ecs: Ecs,
    faults: Faults,
    /// Every operation that was called, in order.
    calls: Vec<&'static str>,
}

impl Sim {
    /// An empty cluster with room.
    pub(crate) fn new(stop: &Stop) -> Self {
        Self {
            state: RefCell::new(State {
                ecs: Ecs::new(),
                faults: Faults::default(),
                calls: Vec::new(),
            }),
            started: Instant::now(),
            stop: stop.clone(),
        }
    }

    /// Changes how ECS behaves.
    pub(crate) fn with(self, change: impl FnOnce(&mut Ecs)) -> Self {
        change(&mut self.state.borrow_mut().ecs);
        self
    }

    /// Looks at what really is, past all faults.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Ecs) -> T) -> T {
        let now = self.started.elapsed();
        let mut state = self.state.borrow_mut();
        state.ecs.advance(now);
        look(&mut state.ecs)
    }

    /// Orders faults, counted from the next call on.
    pub(crate) fn order(&self, faults: Faults) {
        self.state.borrow_mut().faults = faults;
    }

    /// How often an operation was called.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.state.borrow().calls.iter().filter(|call| **call == operation).count()
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.state.borrow().calls.len()
    }

    /// The time of the simulated cloud.
    fn time(&self) -> SystemTime {
        ecs::EPOCH + self.started.elapsed()
    }

    /// One call, with whatever fault is due.
    async fn call<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Ecs, Duration) -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        tokio::time::sleep(LATENCY).await;
        let fault = {
            let mut state = self.state.borrow_mut();
            state.calls.push(operation);
            state.faults.next(operation)
        };
        let lost = |cause: &str| CloudError::Lost { operation, cause: cause.to_owned() };
        let mut old = Duration::ZERO;
        match fault {
            Some(Fault::Throttled) => return Err(CloudError::Throttled { operation }),
            Some(Fault::Denied) => {
                let message = "the role may not".to_owned();
                return Err(CloudError::Denied { operation, message });
            }
            Some(Fault::Unheard) => return Err(lost("connection refused")),
            Some(Fault::Slow(seconds)) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            Some(Fault::Interrupt) => self.stop.request(),
            Some(Fault::Stale(seconds)) => old = Duration::from_secs(seconds),
            Some(Fault::Unanswered) | None => {}
        }
        let now = self.started.elapsed();
        let mut state = self.state.borrow_mut();
        state.ecs.advance(now);
        let done = work(&mut state.ecs, old);
        match fault {
            // It was done, or refused: nobody will know.
            Some(Fault::Unanswered) => Err(lost("connection reset")),
            _ => done,
        }
    }
}
