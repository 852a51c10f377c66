//! `cargo xtask bench`: figures, from what production runs.

use anyhow::{Result, bail};
use clap::Args;

use crate::claim::Claim;
use crate::client::Profile;
use crate::layout::Layout;
use crate::packages::{self, Consent};
use crate::process;
use crate::report::say;
use crate::stage::Stage;

/// Measure what production runs: a release build, a PostgreSQL and a browser of its own
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Which of these to measure; all where none is named
    #[arg(value_name = "CASE", value_parser = CASES)]
    cases: Vec<String>,
    /// Fewer and shorter rounds, and a tenth of the users: to see that all runs
    #[arg(long)]
    quick: bool,
}

/// Those that `tests/benches/figures` measures, in its order, and [`PAINT`].
const CASES: [&str; 15] = [
    "ping", "user", "page", "depth", "access", "status", "refresh", "register", "logins", "mixed",
    "startup", "client", "images", DEPLOY, PAINT,
];
/// The one that needs an emulator of AWS, and the pipeline as `cargo xtask deploy` runs it.
const DEPLOY: &str = "deploy";
/// The one that needs a browser; a program of its own.
const PAINT: &str = "paint";
/// Those that need the built client.
const OF_THE_CLIENT: [&str; 2] = ["client", PAINT];
/// Those that need neither the client nor a load.
const WITHOUT_LOAD: [&str; 5] = ["startup", "client", "images", DEPLOY, PAINT];

impl Bench {
    /// Runs the cases one after the other: together they would measure each other.
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        let cases: Vec<&str> = if self.cases.is_empty() {
            CASES.to_vec()
        } else {
            self.cases.iter().map(String::as_str).collect()
        };
        if cases.iter().any(|case| !WITHOUT_LOAD.contains(case)) {
            ensure_load()?;
        }
        let claim = Claim::take(&layout.test(), "bench")?;
        let build = ["build", "--release", "--bins", "--package=users", "--package=baseline"];
        process::run(process::cargo().args(build))?;
        let mut stage = Stage::release(layout, &claim)?;
        if cases.iter().any(|case| OF_THE_CLIENT.contains(case)) {
            stage.build_client(Profile::Release)?;
        }
        if cases.contains(&DEPLOY) {
            process::run(process::cargo().args(["build", "--package=pipeline"]))?;
            stage.install_emulator()?;
            stage.install_aws_cli()?;
        }
        let figures: Vec<&str> = cases.iter().copied().filter(|case| *case != PAINT).collect();
        let mut failed = Vec::new();
        if !figures.is_empty() {
            let report = layout.root.join("target/bench/figures.json");
            std::fs::create_dir_all(layout.root.join("target/bench"))?;
            let mut bench = bench("figures");
            bench.env("BENCH_REPORT", &report).arg("--").args(&figures);
            if self.quick {
                bench.arg("--quick");
            }
            stage.hand_over(&mut bench);
            if !process::status(&mut bench)?.success() {
                failed.push("figures");
            }
            say(format_args!("The same as JSON: {}", layout.relative(&report)));
        }
        if cases.contains(&PAINT) {
            stage.find_browser()?;
            let mut bench = bench(PAINT);
            stage.hand_over(&mut bench);
            if !process::status(&mut bench)?.success() {
                failed.push(PAINT);
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        bail!("failed, or fell short: {}", failed.join(", "));
    }
}

/// What measures need not be optimised; what is measured is a program of its own.
fn bench(name: &str) -> std::process::Command {
    let mut bench = process::cargo();
    bench.args(["bench", "--quiet", "--profile", "dev", "--package", "tests", "--bench", name]);
    bench
}

/// Sees to it that the programs that make load are there.
fn ensure_load() -> Result<()> {
    let missing: Vec<_> = [("wrk", packages::WRK), ("pgbench", packages::PGBENCH)]
        .into_iter()
        .filter(|(program, _)| process::which(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() { Ok(()) } else { packages::install(&missing, Consent::Silent) }
}
