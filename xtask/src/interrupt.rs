//! Ctrl-C and its relatives, seen by whoever waits for something.
//!
//! The handlers only set a flag. All waiting goes through [`check`] or [`requested`] every few
//! milliseconds, so that clean-up happens in ordinary code, by returning.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The work was given up because the person at the terminal, or whoever sent a signal, said so.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

fn flag() -> &'static Arc<AtomicBool> {
    STOP.get_or_init(Arc::default)
}

/// Takes over SIGINT, SIGTERM and SIGHUP.
///
/// # Errors
/// Fails where the system refuses the handlers.
pub(crate) fn install() -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag()))?;
    }
    Ok(())
}

/// Tells background work to end, as a signal would.
pub(crate) fn request() {
    flag().store(true, Ordering::SeqCst);
}

/// Whether work should end now.
#[must_use]
pub(crate) fn requested() -> bool {
    flag().load(Ordering::SeqCst)
}

/// Lets `?` end the work.
///
/// # Errors
/// [`Interrupted`] once a signal came or [`request`] was called.
pub(crate) fn check() -> Result<(), Interrupted> {
    if requested() { Err(Interrupted) } else { Ok(()) }
}

/// Sleeps, unless interrupted.
///
/// # Errors
/// [`Interrupted`], see [`check`].
pub(crate) fn sleep(duration: Duration) -> Result<(), Interrupted> {
    check()?;
    std::thread::sleep(duration);
    check()
}
