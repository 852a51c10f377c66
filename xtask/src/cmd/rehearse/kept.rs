//! A rehearsal that is kept, for tests that want the application as production has it.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::claim::Claim;
use crate::interrupt;
use crate::layout::Layout;
use crate::postgres::{Purpose, container};

/// A process of its own, which cleans up by itself. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct Kept {
    process: Child,
    url: String,
    database: String,
}

impl Kept {
    /// Rehearses a rollout, and waits until the application is there for others.
    ///
    /// # Errors
    /// The rehearsal failed; it has said why.
    pub(crate) fn start(layout: &Layout, claim: &Claim) -> Result<Self> {
        let mut command = Command::new(layout.program("xtask"));
        command.args(["rehearse", "--scenario=rollout", "--keep"]);
        command.env("PIPELINE_BIN", layout.program("pipeline"));
        let process = command.process_group(0).stdin(Stdio::null()).spawn();
        let process = process.context("the rehearsal could not be started")?;
        claim.note(process.id(), Signal::TERM)?;
        let database = container::name(layout, Purpose::Rehearsal);
        let mut kept = Self { process, url: String::new(), database };
        loop {
            if let Some(status) = kept.process.try_wait()? {
                bail!("the rehearsal ended early ({status})");
            }
            match Claim::holder(&layout.rehearse()) {
                // Another one would be somebody else's.
                Some((pid, Some(url))) if u32::try_from(pid) == Ok(kept.process.id()) => {
                    kept.url = url;
                    return Ok(kept);
                }
                _ => interrupt::sleep(Duration::from_millis(200))?,
            }
        }
    }

    /// Tells tests where it is.
    pub(crate) fn hand_over(&self, command: &mut Command) {
        command.env("REHEARSAL_URL", &self.url).env("REHEARSAL_DATABASE", &self.database);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        }
        let _ = self.process.wait();
    }
}
