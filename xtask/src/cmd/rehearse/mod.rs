//! `cargo xtask rehearse`: the whole road to production, on this machine and without an account.
//!
//! An emulator of AWS runs the real images as real containers, beside a real PostgreSQL. What is
//! rehearsed is the pipeline itself: its own program with its own commands, which gets other
//! endpoints and knows of nothing else.

mod checkout;
mod emulator;
mod front;
mod http;
mod images;
pub(crate) mod kept;
mod load;
mod scenario;
mod tls;
mod world;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use self::scenario::{Play, Scenario};
use self::world::World;
use crate::claim::Claim;
use crate::interrupt;
use crate::layout::Layout;
use crate::postgres::container;
use crate::report::{human, say};

/// Rehearse the road to production on this machine: stack, releases, failures, rollbacks
///
/// Needs Docker on this very machine, and Python for an emulator of AWS, which else runs from its
/// image. Nothing is left of it but the layers of Docker's builds, and the images that those begin
/// with. Exit codes: 0 all went as production must (or, with --keep, until somebody ended it),
/// 1 something did not, 130 interrupted.
#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    /// What happens after the first release
    #[arg(long, value_enum, default_value_t)]
    scenario: Scenario,
    /// Leave the application running at the end, until Ctrl-C or --stop
    #[arg(long)]
    keep: bool,
    /// End a rehearsal that runs, and clear what a killed one has left
    #[arg(long, conflicts_with_all = ["keep", "scenario"])]
    stop: bool,
}

impl Rehearse {
    /// Rehearses, and cleans up however that ends.
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        if self.stop {
            return stop(layout);
        }
        if !container::engine_answers() {
            bail!(
                "no Docker engine answers, and the rehearsal runs everything in containers. \
                 Install or start it: https://docs.docker.com/engine/install/"
            );
        }
        let claim = Claim::take(&layout.rehearse(), "rehearse")?;
        if !container::image_is_here() {
            bail!("the image of PostgreSQL is not here and cannot be pulled");
        }
        let began = Instant::now();
        let mut world = World::new(layout, &claim)?;
        let mut play = Play::new(&world);
        let played = play.perform(self.scenario);
        println!("\n{play}");
        played?;
        let is_success = play.is_success();
        say(format_args!("Rehearsed in {}", human(began.elapsed())));
        if self.keep {
            claim.announce(&world.url())?;
            keep(&mut world)?;
        }
        if !is_success {
            bail!("the rehearsal did not go as production must; what it wrote above says why");
        }
        Ok(())
    }
}

/// Waits until somebody wants the end, which is no failure.
fn keep(world: &mut World<'_>) -> Result<()> {
    say(format_args!("The application runs at {}", world.url()));
    say(format_args!("Its database: docker exec -it {} psql -U postgres users", world.database()));
    say("Ctrl-C, or `cargo xtask rehearse --stop` from elsewhere, ends and removes all of it");
    while interrupt::sleep(Duration::from_millis(200)).is_ok() {
        world.check()?;
    }
    Ok(())
}

/// Ends the rehearsal that runs in this checkout, if one does, and clears what is left of any.
fn stop(layout: &Layout) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(90);
    let directory = layout.rehearse();
    if let Some(pid) = Claim::holder(&directory).and_then(|(pid, _)| Pid::from_raw(pid)) {
        say(format_args!("Ending the rehearsal (process {})", pid.as_raw_nonzero()));
        kill_process(pid, Signal::TERM)?;
        let asked = Instant::now();
        while Claim::holder(&directory).is_some() {
            if asked.elapsed() > LIMIT {
                bail!(
                    "it does not end within {}; `kill -9 {}` does it",
                    human(LIMIT),
                    pid.as_raw_nonzero()
                );
            }
            interrupt::sleep(Duration::from_millis(100))?;
        }
    }
    let _claim = Claim::take(&directory, "rehearse")?;
    world::clear(layout);
    say("Nothing of a rehearsal is left");
    Ok(())
}
