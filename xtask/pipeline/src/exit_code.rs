//! What the exit codes of the pipeline mean. Scripts may rely on them.

/// Everything that was asked for was done.
pub(crate) const OK: u8 = 0;
/// Something failed that has no code of its own.
pub(crate) const ERROR: u8 = 1;
/// The command line, `ecs/pipeline.toml` or the environment is not right: nothing was begun.
pub(crate) const CONFIGURATION: u8 = 10;
/// An image could not be built, or the registry did not take it.
pub(crate) const BUILD: u8 = 20;
/// Stopped by Ctrl-C, SIGTERM or SIGHUP, after cleaning up.
pub(crate) const INTERRUPTED: u8 = 130;

/// The list at the end of `--help`.
#[must_use]
pub(crate) fn list() -> String {
    format!(
        "Exit codes: {OK} done, {ERROR} failed, {CONFIGURATION} wrong command line or \
         configuration, {BUILD} build or push failed, {INTERRUPTED} interrupted."
    )
}
