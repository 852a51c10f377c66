//! `cargo xtask fuzz`: throws made-up input at what reads input.
//!
//! libFuzzer, led by what of the code each input reaches. The counters for that are passes of the
//! stable compiler; what only a nightly one has are sanitizers, which look for faults of memory
//! that code without `unsafe` cannot have.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::layout::Layout;
use crate::process;
use crate::report::say;

/// Throw made-up input at all that reads tokens, headers, queries and bodies
#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// Which of access_token, authorization, body, newtypes, page, refresh_token; all where none is named
    #[arg(value_name = "TARGET", value_parser = TARGETS)]
    targets: Vec<String>,
    /// How long each of them runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// The targets in `fuzz/targets`.
const TARGETS: [&str; 6] =
    ["access_token", "authorization", "body", "newtypes", "page", "refresh_token"];

/// What cargo-fuzz compiles with, but for the sanitizer.
const FLAGS: [&str; 8] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// The longest input: more than the longest that anything here reads to its end.
const LENGTH: u32 = 5_000;
/// An input that takes longer than so many seconds is a fault too.
const PATIENCE: u32 = 5;

impl Fuzz {
    /// Every target, for as long as continuous integration has time.
    pub(super) fn short() -> Self {
        Self { targets: Vec::new(), seconds: 10 }
    }

    /// Runs the targets one after the other; a crash is a failure, and its input is kept.
    pub(crate) fn run(&self, layout: &Layout) -> Result<()> {
        let built = build(layout)?;
        let named = self.targets.iter().map(String::as_str).collect::<Vec<_>>();
        let targets = if named.is_empty() { TARGETS.to_vec() } else { named };
        let mut crashed = Vec::new();
        for target in targets {
            say(format_args!("Fuzzing {target} for {} s", self.seconds));
            let directory = layout.fuzz().join("corpus").join(target);
            std::fs::create_dir_all(&directory)?;
            let crashes = layout.fuzz().join("crashes");
            std::fs::create_dir_all(&crashes)?;
            let mut fuzz = Command::new(built.join(target));
            fuzz.arg(&directory).arg(layout.root.join("fuzz/seeds").join(target));
            fuzz.arg(format!("-max_total_time={}", self.seconds));
            fuzz.arg(format!("-max_len={LENGTH}")).arg(format!("-timeout={PATIENCE}"));
            fuzz.arg(format!("-artifact_prefix={}/{target}-", crashes.display()));
            fuzz.args(["-print_final_stats=1", "-print_funcs=0", "-verbosity=0"]);
            if !process::status(&mut fuzz)?.success() {
                crashed.push(target);
            }
        }
        if !crashed.is_empty() {
            let place = layout.fuzz().join("crashes");
            bail!("{} crashed; the inputs lie in {}", crashed.join(", "), place.display());
        }
        Ok(())
    }
}

/// Compiles the targets, and says where they lie.
fn build(layout: &Layout) -> Result<PathBuf> {
    let version = process::read(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("`rustc -vV` names no host")?;
    let mut build = process::cargo();
    build.args(["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
    // With a target, so that build scripts and macros are compiled without counters.
    build.args(["--target", host, "--target-dir"]).arg(layout.fuzz());
    build.env("RUSTFLAGS", FLAGS.join(" "));
    process::run(&mut build)?;
    Ok(layout.fuzz().join(host).join("release"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_run() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/targets");
        let mut files: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        assert_eq!(files, TARGETS);
    }
}
