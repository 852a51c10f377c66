//! Figures about what production runs, each beside what it must be held against, measured in the
//! same run: machines differ, ratios much less.
//!
//! ```text
//! cargo xtask bench [--quick] [CASE…]
//! ```
//!
//! makes ready what they need and hands it over in the environment. What is compared runs in
//! alternating rounds, and medians are told. The table goes to standard output, the same as JSON
//! into `BENCH_REPORT`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run must end"
)]

mod cases;
mod data;
mod load;
mod process;
mod report;
mod rounds;
mod service;

use std::{panic::AssertUnwindSafe, process::Command};

use futures_util::FutureExt as _;
use report::{Report, Setting};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// How often each side of a comparison runs.
    pub(crate) rounds: usize,
    /// How many seconds a round takes on each side.
    pub(crate) seconds: u64,
    /// How many users the large table has.
    pub(crate) many: i64,
}

impl Effort {
    /// The same for what hashes passwords: of that so much takes a while.
    pub(crate) fn with_passwords(self) -> Self {
        Self { seconds: self.seconds.max(4), ..self }
    }
}

const THOROUGH: Effort = Effort { rounds: 5, seconds: 3, many: 1_000_000 };
const QUICK: Effort = Effort { rounds: 3, seconds: 1, many: 100_000 };

#[tokio::main]
async fn main() {
    let mut wanted = Vec::new();
    let mut effort = THOROUGH;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => effort = QUICK,
            // cargo's own.
            "--bench" => {}
            case if cases::ALL.contains(&case) => wanted.push(case.to_owned()),
            other => panic!("there is no case {other}; there are {}", cases::ALL.join(", ")),
        }
    }
    let (mut report, mut failed) = (Report::new(effort, setting().await), Vec::new());
    for name in cases::ALL {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name}");
            // What the others came to is worth knowing all the same.
            let measured = AssertUnwindSafe(cases::measure(name, effort, &mut report));
            if measured.catch_unwind().await.is_err() {
                failed.push(name);
            }
            report.save();
        }
    }
    println!("{report}");
    if !failed.is_empty() {
        println!("could not be measured: {}", failed.join(", "));
    }
    std::process::exit(i32::from(report.falls_short() || !failed.is_empty()));
}

/// What is measured, and on what.
async fn setting() -> Setting {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().expect("git");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let dirty = if git(&["status", "--porcelain"]).is_empty() { "" } else { "-dirty" };
    let url = std::env::var("TEST_DATABASE_URL").expect("run `cargo xtask bench`");
    let client = tests::database::connect(&url).await;
    let version = client.query_one("SHOW server_version", &[]).await.unwrap();
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
    Setting {
        commit: format!("{}{dirty}", git(&["rev-parse", "HEAD"])),
        postgres: version.get(0),
        cores: std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get),
        processor: model.unwrap_or("unknown").trim_start_matches([' ', '\t', ':']).to_owned(),
    }
}
