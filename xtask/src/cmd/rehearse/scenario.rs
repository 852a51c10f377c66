//! What happens in a rehearsal, and how it must end.

use std::fmt::{Display, Formatter};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use super::load::Count;
use super::world::World;
use crate::report::{complain, human, say};

/// The pipeline's exit codes that are wanted here; its own list has them all.
const RELEASED: i32 = 0;
const DATABASE_TASK: i32 = 30;
const ROLLED_BACK: i32 = 40;
const SMOKE: i32 = 50;

/// How often a release is tried that must not start. The emulator counts it as started where the
/// machine is so busy that it ends too late, and then only the smoke check finds it.
const TRIES: usize = 3;

/// What happens after the first release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Scenario {
    /// A second release, while visitors go on asking
    Rollout,
    /// A release whose program ends at once
    BrokenImage,
    /// A release whose migration fails
    BrokenMigration,
    /// All of them, one after the other
    #[default]
    All,
}

/// A part of the rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Rollout,
    BrokenImage,
    BrokenMigration,
}

impl Scenario {
    fn parts(self) -> &'static [Part] {
        match self {
            Self::Rollout => &[Part::Rollout],
            Self::BrokenImage => &[Part::BrokenImage],
            Self::BrokenMigration => &[Part::BrokenMigration],
            Self::All => &[Part::Rollout, Part::BrokenImage, Part::BrokenMigration],
        }
    }
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Rollout => "rollout",
            Self::BrokenImage => "broken image",
            Self::BrokenMigration => "broken migration",
        }
    }

    /// What is about to happen.
    fn announcement(self) -> &'static str {
        match self {
            Self::Rollout => "A second release, while visitors go on asking",
            Self::BrokenImage => {
                "A release that production refuses to start: it has to be taken back by itself, \
                 and the visitors must not notice"
            }
            Self::BrokenMigration => {
                "A release whose migration fails: it has to end before any service is touched"
            }
        }
    }

    /// How the pipeline must end.
    fn exit_code(self) -> i32 {
        match self {
            Self::Rollout => RELEASED,
            Self::BrokenImage => ROLLED_BACK,
            Self::BrokenMigration => DATABASE_TASK,
        }
    }
}

/// The rehearsal as it goes.
pub(super) struct Play<'w> {
    world: &'w World<'w>,
    acts: Vec<Act>,
}

/// What came of a part.
#[derive(Debug)]
struct Act {
    name: &'static str,
    wanted: i32,
    exit_code: i32,
    count: Option<Count>,
    /// What serves although it must not, by path.
    wrong: Vec<String>,
    took: Duration,
}

impl Act {
    fn is_right(&self) -> bool {
        let lost = self.count.as_ref().is_some_and(|count| count.failed > count.early);
        self.exit_code == self.wanted && self.wrong.is_empty() && !lost
    }
}

impl<'w> Play<'w> {
    pub(super) fn new(world: &'w World<'w>) -> Self {
        Self { world, acts: Vec::new() }
    }

    /// Whether all ended as it must.
    pub(super) fn is_success(&self) -> bool {
        self.acts.iter().all(Act::is_right)
    }

    /// The first release, and then what the scenario says.
    ///
    /// # Errors
    /// There is no first release, or it was interrupted.
    pub(super) fn perform(&mut self, scenario: Scenario) -> Result<()> {
        let world = self.world;
        say("An empty account: the stack with everything that the application runs on");
        let began = Instant::now();
        world.must(&["infra", "apply", "--yes"])?;
        say("The emulator makes no database; the stack's secret now leads to a real one, by TLS");
        world.connect_the_database()?;
        say(
            "The first release. The first time its images take about 10 minutes, and Docker downloads \
             what they are built from: Rust's image (about 300 MB), its target for WebAssembly \
             (20 MB), crates (80 MB)",
        );
        world.must(&["plan"])?;
        world.must(&["deploy"])?;
        world.must(&["seed_db", "--on", "ecs"])?;
        world.must(&["status"])?;
        let mut serving = world.checkout.head()?;
        self.acts.push(Act {
            name: "first release",
            wanted: RELEASED,
            exit_code: RELEASED,
            count: None,
            wrong: self.wrong(&serving),
            took: began.elapsed(),
        });
        for part in scenario.parts() {
            say(part.announcement());
            match part {
                Part::Rollout => world.checkout.change_a_title()?,
                Part::BrokenImage => world.checkout.break_the_image()?,
                Part::BrokenMigration => world.checkout.break_the_migration()?,
            }
            let began = Instant::now();
            let load = world.load()?;
            let mut exit_code = world.run(&["deploy"])?;
            for _ in 1..TRIES {
                if part != &Part::BrokenImage || exit_code != SMOKE {
                    break;
                }
                say("The emulator has noticed too late that it ends: once more");
                exit_code = world.run(&["deploy"])?;
            }
            let count = load.finish();
            if exit_code == RELEASED {
                serving = world.checkout.head()?;
            } else {
                world.checkout.go_back_to(&serving)?;
            }
            let (name, wanted) = (part.name(), part.exit_code());
            let wrong = self.wrong(&serving);
            let act =
                Act { name, wanted, exit_code, count: Some(count), wrong, took: began.elapsed() };
            tell(&act, &serving);
            self.acts.push(act);
        }
        world.must(&["history"])
    }

    /// What answers as another release than it must.
    fn wrong(&self, serving: &str) -> Vec<String> {
        let answers = ["/ping", "/"].map(|path| (path, self.world.serves(path)));
        answers
            .into_iter()
            .filter_map(|(path, version)| match version {
                Ok(version) if version == serving => None,
                Ok(version) => Some(format!("{path} is served by {version}, not by {serving}")),
                Err(error) => Some(format!("{path}: {error:#}")),
            })
            .collect()
    }
}

/// What a person wants to know of it.
fn tell(act: &Act, serving: &str) {
    let Act { wanted, exit_code, count, wrong, .. } = act;
    let short: String = serving.chars().take(7).collect();
    if exit_code == wanted {
        say(format_args!("Exit code {exit_code}, as it must be"));
    } else {
        complain(format_args!("exit code {exit_code}; it must be {wanted}"));
    }
    if wrong.is_empty() {
        say(format_args!("{short} serves: /ping and / say so"));
    }
    wrong.iter().for_each(complain);
    if let Some(count) = count {
        say(format_args!("Meanwhile visitors made {count}"));
        for (failure, times) in &count.failures {
            say(format_args!("  {times} times {failure}"));
        }
        if count.early > 0 {
            say("  The emulator sends requests to a container from its first moment; AWS's load \
                 balancer waits for health checks that succeed");
        }
    }
}

impl Display for Play<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        for act in &self.acts {
            let word = if act.is_right() { "as it must" } else { "WRONG" };
            let count = act.count.as_ref().map(ToString::to_string).unwrap_or_default();
            let line = format!(
                "{:17} {word:11} exit {:3} {:>12}  {count}",
                act.name,
                act.exit_code,
                human(act.took)
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
