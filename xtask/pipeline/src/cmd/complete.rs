//! `complete`: how a command line may go on, for the scripts of `cargo xtask completions`.

use std::ffi::OsString;
use std::io::Write as _;

use clap::Args;

/// What the scripts ask: how the last of these words may go on. A line each, with a tab before
/// what it means.
#[derive(Debug, Args)]
pub(crate) struct Complete {
    #[arg(last = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Complete {
    /// Answers.
    ///
    /// # Errors
    /// Standard output is closed, or there is nothing to complete.
    pub(crate) fn run(self, mut cli: clap::Command) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        for (value, help) in candidates(&mut cli, self.words)? {
            writeln!(out, "{value}\t{help}")?;
        }
        out.flush()
    }
}

fn candidates(
    cli: &mut clap::Command,
    words: Vec<OsString>,
) -> std::io::Result<Vec<(String, String)>> {
    let last = words.len();
    let words = std::iter::once(OsString::from("xtask")).chain(words).collect();
    let found = clap_complete::engine::complete(cli, words, last, None)?;
    let seen = found.iter().filter(|one| !one.is_hide_set()).map(|one| {
        let help = one.get_help().map(ToString::to_string).unwrap_or_default();
        (one.get_value().to_string_lossy().into_owned(), help)
    });
    Ok(seen.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(words: &[&str]) -> Vec<String> {
        let words = words.iter().map(OsString::from).collect();
        let found = candidates(&mut crate::command_line(), words).unwrap();
        found.into_iter().map(|(value, _)| value).collect()
    }

    #[test]
    fn options_and_their_values_are_told() {
        assert!(values(&["deploy", "--on-f"]).contains(&"--on-failure".to_owned()));
        assert_eq!(values(&["deploy", "--service", ""]), ["users", "client"]);
        assert_eq!(values(&["infra", "ap"]), ["apply"]);
    }
}
