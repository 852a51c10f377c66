//! What the exit codes of the pipeline mean. Scripts may rely on them.

/// Everything that was asked for was done.
pub(crate) const OK: u8 = 0;
/// Something failed that has no code of its own.
pub(crate) const ERROR: u8 = 1;
/// `plan --detailed-exitcode`: a deployment would change something.
pub(crate) const CHANGES_PENDING: u8 = 2;
/// The command line, `ecs/pipeline.toml` or the environment is not right: nothing was begun.
pub(crate) const CONFIGURATION: u8 = 10;
/// An image could not be built, or the registry did not take it.
pub(crate) const BUILD: u8 = 20;
/// A migration, or another task on the database, failed: no service was touched.
pub(crate) const DATABASE_TASK: u8 = 30;
/// The new release does not run; the last good one does.
pub(crate) const ROLLED_BACK: u8 = 40;
/// The new release does not run, and the last good one was not restored.
pub(crate) const ROLLBACK_FAILED: u8 = 41;
/// The release runs, but does not answer through the load balancer as it must.
pub(crate) const SMOKE: u8 = 50;
/// Somebody else deploys.
pub(crate) const LOCKED: u8 = 60;
/// The time limit passed. What was begun may go on in AWS.
pub(crate) const TIMEOUT: u8 = 124;
/// Stopped by Ctrl-C, SIGTERM or SIGHUP, after cleaning up.
pub(crate) const INTERRUPTED: u8 = 130;

/// Each with its meaning in a few words.
const ALL: [(u8, &str); 12] = [
    (OK, "done"),
    (ERROR, "failed"),
    (CHANGES_PENDING, "changes pending (plan --detailed-exitcode)"),
    (CONFIGURATION, "wrong command line or configuration"),
    (BUILD, "build or push failed"),
    (DATABASE_TASK, "database task failed"),
    (ROLLED_BACK, "failed and rolled back"),
    (ROLLBACK_FAILED, "failed, and so did the rollback"),
    (SMOKE, "smoke check failed"),
    (LOCKED, "somebody else deploys"),
    (TIMEOUT, "took too long"),
    (INTERRUPTED, "interrupted"),
];

/// The list at the end of `--help`.
#[must_use]
pub(crate) fn list() -> String {
    let codes: Vec<_> = ALL.iter().map(|(code, meaning)| format!("{code} {meaning}")).collect();
    format!("Exit codes: {}.", codes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_that_scripts_know() {
        let codes: Vec<u8> = ALL.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [0, 1, 2, 10, 20, 30, 40, 41, 50, 60, 124, 130]);
        assert!(list().contains("40 failed and rolled back"));
    }
}
