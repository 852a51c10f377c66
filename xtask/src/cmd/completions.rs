//! `cargo xtask completions`: scripts by which shells complete `cargo xtask`.
//!
//! A script asks this program each time, so it is right for whatever is checked out. What ships is
//! the pipeline's to know: it is asked where it has been compiled.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::layout::Layout;

/// Print a script that completes `cargo xtask` in your shell
///
/// For bash: source <(cargo xtask completions bash). For zsh, after compinit, the same with zsh.
/// For fish: cargo xtask completions fish | source.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Shells that are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    /// Prints it.
    pub(crate) fn run(&self) {
        print!(
            "{}",
            match self.shell {
                Shell::Bash => include_str!("../completions/bash.sh"),
                Shell::Zsh => include_str!("../completions/zsh.sh"),
                Shell::Fish => include_str!("../completions/fish.fish"),
            }
        );
    }
}

/// What the scripts ask: how the last of these words may go on. A line each, with a tab before
/// what it means.
#[derive(Debug, Args)]
pub(crate) struct Complete {
    #[arg(last = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Complete {
    /// Answers, or has the pipeline answer.
    pub(crate) fn run(self, layout: &Layout, mut cli: clap::Command) -> Result<()> {
        if self.is_the_pipelines(&cli) {
            let program = layout.program("pipeline");
            if !program.exists() {
                // Minutes are too long for a Tab.
                return Ok(());
            }
            return Err(Command::new(program)
                .arg("complete")
                .arg("--")
                .args(self.words)
                .exec()
                .into());
        }
        let last = self.words.len();
        let words = std::iter::once(OsString::from("xtask")).chain(self.words).collect();
        let found = clap_complete::engine::complete(&mut cli, words, last, None)?;
        for one in found.iter().filter(|one| !one.is_hide_set()) {
            let help = one.get_help().map(ToString::to_string).unwrap_or_default();
            println!("{}\t{help}", one.get_value().to_string_lossy());
        }
        Ok(())
    }

    /// Whether the words go on after a command whose options only the pipeline knows: help too.
    fn is_the_pipelines(&self, cli: &clap::Command) -> bool {
        let [command, _, ..] = self.words.as_slice() else { return false };
        let command = command.to_str().and_then(|name| cli.find_subcommand(name));
        command.is_some_and(clap::Command::is_disable_help_flag_set)
    }
}
