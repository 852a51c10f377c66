//! What the exit codes of `cargo xtask` mean. Scripts may rely on them.

/// Everything that was asked for was done.
pub(crate) const OK: u8 = 0;
/// Something failed; the last lines on stderr say what, and what to do next.
pub(crate) const ERROR: u8 = 1;
/// The command line was not understood (clap exits with this code by itself).
pub(crate) const USAGE: u8 = 2;
/// Stopped by Ctrl-C, SIGTERM or SIGHUP, after cleaning up.
pub(crate) const INTERRUPTED: u8 = 130;
