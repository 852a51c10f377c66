//! What can go wrong with a call, and when it does.

use std::collections::BTreeMap;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// ThrottlingException, after the SDK's own retries.
    Throttled,
    /// AccessDeniedException.
    Denied,
    /// The request does not arrive.
    Unheard,
    /// The request is carried out, and its answer is lost.
    Unanswered,
    /// The answer takes so many seconds.
    Slow(u64),
    /// The answer shows what was true so many seconds ago.
    Stale(u64),
    /// Somebody presses Ctrl-C.
    Interrupt,
}

/// Which calls go wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    by_number: BTreeMap<usize, Fault>,
    by_operation: Vec<(&'static str, usize, Fault)>,
    calls: usize,
}

impl Faults {
    /// By the number of the call.
    pub(crate) fn numbered(faults: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        Self { by_number: faults.into_iter().collect(), ..Self::default() }
    }

    /// The first so many calls of one operation.
    pub(crate) fn first(mut self, operation: &'static str, calls: usize, fault: Fault) -> Self {
        self.by_operation.push((operation, calls, fault));
        self
    }

    pub(super) fn next(&mut self, operation: &str) -> Option<Fault> {
        let number = self.calls;
        self.calls += 1;
        for (name, left, fault) in &mut self.by_operation {
            if *name == operation && *left > 0 {
                *left -= 1;
                return Some(*fault);
            }
        }
        self.by_number.remove(&number)
    }
}
