//! `cargo xtask bench`: figures, from what production runs.

use anyhow::{Result, bail};
use clap::Args;

use crate::claim::Claim;
use crate::client::Profile;
use crate::layout::Layout;
use crate::process;
use crate::stage::Stage;

/// Measure what production runs: a release build, a PostgreSQL and a browser of its own
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Which of startup, logins, paint; all where none is named
    #[arg(value_name = "CASE", value_parser = CASES)]
    cases: Vec<String>,
}

/// The benchmarks in `tests/benches/`.
const CASES: [&str; 3] = ["startup", "logins", "paint"];
/// The one that needs the client and a browser.
const PAINT: &str = "paint";

impl Bench {
    /// Runs the cases one after the other: together they would measure each other.
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        let cases: Vec<&str> = if self.cases.is_empty() {
            CASES.to_vec()
        } else {
            self.cases.iter().map(String::as_str).collect()
        };
        let claim = Claim::take(&layout.test(), "bench")?;
        process::run(process::cargo().args(["build", "--release", "--package", "users"]))?;
        let mut stage = Stage::release(layout, &claim)?;
        if cases.contains(&PAINT) {
            stage.find_browser()?;
            stage.build_client(Profile::Release)?;
        }
        let mut failed = Vec::new();
        for case in cases {
            // What measures need not be optimised; what is measured is a program of its own.
            let mut bench = process::cargo();
            bench.args(["bench", "--quiet", "--profile", "dev", "--package", "tests", "--bench"]);
            stage.hand_over(bench.arg(case));
            if !process::status(&mut bench)?.success() {
                failed.push(case);
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        bail!("failed: {}", failed.join(", "));
    }
}
