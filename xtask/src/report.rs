//! What the commands say, in one voice.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// A line that says what happens now, on stderr: stdout belongs to the programs that run.
pub(crate) fn say(line: impl Display) {
    let mut err = std::io::stderr().lock();
    // Nobody is left to tell that stderr is closed.
    let _ = if colour() {
        writeln!(err, "\x1b[1;36m▸\x1b[0m {line}")
    } else {
        writeln!(err, "> {line}")
    };
}

/// A line that says what went wrong and what to do.
pub(crate) fn complain(line: impl Display) {
    let mut err = std::io::stderr().lock();
    let _ = if colour() {
        writeln!(err, "\x1b[1;31merror\x1b[0m: {line}")
    } else {
        writeln!(err, "error: {line}")
    };
}

/// Whether colour helps: a terminal, and no NO_COLOR (<https://no-color.org>).
#[must_use]
pub(crate) fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::io::stderr().is_terminal()
}

/// A duration as a person would say it: `0.4 s`, `12 s`, `2 min 5 s`.
#[must_use]
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 10 {
        format!("{:.1} s", duration.as_secs_f64())
    } else if seconds < 120 {
        format!("{seconds} s")
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// Whether this is continuous integration, where what could not run counts as a failure.
#[must_use]
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(&*value, "" | "0" | "false"))
}

/// How a part of a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran and is right.
    Passed,
    /// It ran and is wrong.
    Failed,
    /// It could not run, and why.
    NotRun(String),
    /// It is a bonus that this machine has no tool for, and which tool.
    Skipped(String),
    /// Nothing of it was asked for.
    Nothing,
}

/// The table at the end of `test` and `ci`.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    rows: Vec<(String, Outcome, Duration)>,
}

impl Summary {
    /// Runs a part and notes its outcome and time.
    ///
    /// # Errors
    /// Passes on an interruption; any other failure of the part is its outcome.
    pub(crate) fn part(
        &mut self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<Outcome>,
    ) -> anyhow::Result<Outcome> {
        say(format_args!("{name} …"));
        let started = Instant::now();
        let outcome = match work() {
            Ok(outcome) => outcome,
            Err(error) if error.is::<crate::interrupt::Interrupted>() => return Err(error),
            Err(error) => {
                complain(format_args!("{name}: {error:#}"));
                Outcome::Failed
            }
        };
        self.add(name, outcome.clone(), started.elapsed());
        Ok(outcome)
    }

    /// Notes a part.
    pub(crate) fn add(&mut self, name: &str, outcome: Outcome, time: Duration) {
        self.rows.push((name.to_owned(), outcome, time));
    }

    /// Whether the whole run is a success. `strict` (continuous integration) counts what could
    /// not run as a failure; and a run in which nothing ran at all proves nothing.
    #[must_use]
    pub(crate) fn is_success(&self, strict: bool) -> bool {
        let ran = self.rows.iter().any(|(_, outcome, _)| *outcome == Outcome::Passed);
        ran && self.rows.iter().all(|(_, outcome, _)| match outcome {
            Outcome::Passed | Outcome::Nothing | Outcome::Skipped(_) => true,
            Outcome::Failed => false,
            Outcome::NotRun(_) => !strict,
        })
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = self.rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
        for (name, outcome, time) in &self.rows {
            let (word, why) = match outcome {
                Outcome::Passed => ("passed", ""),
                Outcome::Failed => ("FAILED", ""),
                Outcome::NotRun(why) => ("NOT RUN", why.as_str()),
                Outcome::Skipped(why) => ("skipped", why.as_str()),
                Outcome::Nothing => ("no match", ""),
            };
            let line = format!("{name:width$}  {word:8}  {:>12}  {why}", human(*time));
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(outcomes: &[Outcome]) -> Summary {
        let mut summary = Summary::default();
        for outcome in outcomes {
            summary.add("part", outcome.clone(), Duration::from_secs(1));
        }
        summary
    }

    #[test]
    fn durations_read_like_speech() {
        assert_eq!(human(Duration::from_millis(440)), "0.4 s");
        assert_eq!(human(Duration::from_secs(75)), "75 s");
        assert_eq!(human(Duration::from_secs(125)), "2 min 5 s");
    }

    #[test]
    fn what_could_not_run_fails_only_strict_runs() {
        let run = summary(&[Outcome::Passed, Outcome::NotRun("no Docker".to_owned())]);
        assert!(run.is_success(false));
        assert!(!run.is_success(true));
        assert!(run.to_string().contains("NOT RUN"));
        assert!(run.to_string().contains("no Docker"));
    }

    #[test]
    fn a_failure_fails() {
        assert!(!summary(&[Outcome::Passed, Outcome::Failed]).is_success(false));
    }

    #[test]
    fn a_run_of_nothing_proves_nothing() {
        assert!(!summary(&[]).is_success(false));
        assert!(!summary(&[Outcome::Nothing, Outcome::Nothing]).is_success(false));
        assert!(summary(&[Outcome::Nothing, Outcome::Passed]).is_success(true));
    }
}
