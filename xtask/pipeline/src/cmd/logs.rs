//! `logs`: what the containers write, as it is kept in CloudWatch Logs.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::Common;
use super::site::Site;
use crate::cloud::{Cloud, CloudError, LogLine};
use crate::config::{Config, ServiceName};
use crate::error::Error;
use crate::interrupt::Stop;
use crate::process::Interrupted;
use crate::report::{Output, answer};

/// How often `--follow` looks.
const POLL: Duration = Duration::from_secs(2);
/// CloudWatch may show a line that is older than one that it has shown already.
const OVERLAP: Duration = Duration::from_secs(30);

/// Show what the containers write
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Only this service
    #[arg(long, value_enum)]
    service: Option<ServiceName>,
    /// Only this task: its id, or how it begins
    #[arg(long)]
    task: Option<String>,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// From how long ago, as in 30s, 15m, 2h or 1d
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    since: Duration,
    /// At most so many lines, the newest
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    lines: usize,
}

/// Some lines.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Report(Vec<Line>);

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
struct Line {
    /// When it was written.
    at: String,
    service: ServiceName,
    /// The task's id.
    task: String,
    message: String,
}

impl Logs {
    /// Shows the lines, and with `--follow` goes on until somebody stops it.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let config = common.config()?;
        let site = stop.or_interrupted(Site::connect(&config)).await?;
        let aws = &site.aws;
        let mut since = aws.now() - self.since;
        let mut lines = stop.or_interrupted(self.read(aws, &config, since)).await?;
        lines.drain(..lines.len().saturating_sub(self.lines));
        if !self.follow {
            return Ok(answer(common.output, &Report(lines))?);
        }
        let mut seen = BTreeSet::new();
        loop {
            for line in lines {
                if seen.insert(line.clone()) {
                    match common.output {
                        Output::Text => answer(Output::Text, &line)?,
                        // A document a line: whoever reads them cannot wait for the last.
                        Output::Json => print_json(&line)?,
                    }
                }
            }
            let before = stamp(aws.now() - 2 * OVERLAP - self.since.min(OVERLAP));
            seen.retain(|line| line.at >= before);
            match stop.or_interrupted(pause()).await {
                Ok(()) => {}
                // That is how one leaves.
                Err(Interrupted) => return Ok(()),
            }
            since = since.max(aws.now() - OVERLAP);
            let read = self.read(aws, &config, since);
            lines = match stop.or_interrupted(async { Ok::<_, Error>(read.await) }).await {
                Ok(Ok(lines)) => lines,
                Ok(Err(Error::Cloud(error))) if error.is_passing() => Vec::new(),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(()),
            };
        }
    }

    /// The lines of all the services that are meant, in the order of time.
    async fn read(
        &self,
        cloud: &impl Cloud,
        config: &Config,
        since: SystemTime,
    ) -> Result<Vec<Line>, Error> {
        let mut lines = Vec::new();
        for service in config.services(self.service) {
            let mut next = None;
            loop {
                let asked = cloud.logs(&service.log_group, "", since, next.as_deref()).await;
                let page = match asked {
                    Err(CloudError::NotFound { .. }) => break,
                    page => page?,
                };
                let wanted = page.lines.iter().map(|line| Line::new(service.name, line));
                lines.extend(wanted.filter(|line| {
                    self.task.as_ref().is_none_or(|task| line.task.starts_with(&**task))
                }));
                if page.next.is_none() || page.next == next {
                    break;
                }
                next = page.next;
            }
        }
        Ok(ordered(lines))
    }
}

/// By time alone: what was written in the same millisecond stays in the order in which it came.
fn ordered(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by(|one, other| one.at.cmp(&other.at));
    lines
}

async fn pause() -> Result<(), Interrupted> {
    tokio::time::sleep(POLL).await;
    Ok(())
}

fn print_json(line: &Line) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    writeln!(out)?;
    out.flush()
}

impl Line {
    fn new(service: ServiceName, line: &LogLine) -> Self {
        // awslogs calls a stream `prefix/container/task`.
        let task = line.stream.rsplit('/').next().unwrap_or_default().to_owned();
        let message = line.message.trim_end().to_owned();
        Self { at: stamp(line.at), service, task, message }
    }
}

fn stamp(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `30s`, `15m`, `2h`, `1d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: 30s, 15m, 2h or 1d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return Err(wrong()),
    };
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let task: String = self.task.chars().take(8).collect();
        let time = self.at.get(11..23).unwrap_or(&self.at);
        // What a container writes may not move the cursor or recolour the terminal.
        let is_shown = |c: &char| *c == '\t' || !c.is_control();
        let message: String = self.message.chars().filter(is_shown).collect();
        writeln!(f, "{time} {:6} {task:8} | {message}", self.service)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "nothing was written; --since looks further back");
        }
        self.0.iter().try_for_each(|line| line.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_do() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "m", "5", "1w", "-1s", "99999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lines_of_one_millisecond_keep_their_order_and_colours_are_left_out() {
        let line = |seconds: u64, message: &str| {
            let line = LogLine {
                at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000 + seconds),
                stream: "users/users/4f3a".to_owned(),
                message: message.to_owned(),
            };
            Line::new(ServiceName::Users, &line)
        };
        let lines = ordered(vec![line(1, "b"), line(1, "\x1b[31ma\x1b[0m\tb"), line(0, "c")]);
        let text = Report(lines).to_string();
        assert_eq!(
            text,
            "11:06:40.000 users  4f3a     | c\n11:06:41.000 users  4f3a     | b\n\
             11:06:41.000 users  4f3a     | [31ma[0m\tb\n"
        );
    }

    #[test]
    fn a_line_says_when_whose_and_what() {
        let line = LogLine {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_123),
            stream: "users/users/4f3a11223344".to_owned(),
            message: "listening\n".to_owned(),
        };
        let line = Line::new(ServiceName::Users, &line);
        assert_eq!(line.to_string(), "11:06:40.123 users  4f3a1122 | listening\n");
    }
}
