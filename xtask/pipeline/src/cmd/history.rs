//! `history`: the release records.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::Common;
use super::site::Site;
use crate::error::Error;
use crate::interrupt::Stop;
use crate::report::{answer, human};
use crate::store::release::{Release, newest};

/// So many characters of a note are shown.
const NOTE: usize = 100;

/// List the releases, the newest first
#[derive(Debug, Args)]
pub(crate) struct History {
    /// How many
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,
}

/// The releases.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Report(Vec<Release>);

impl History {
    /// Reads and tells.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let config = common.config()?;
        let releases = stop.or_interrupted(async {
            let site = Site::connect(&config).await?;
            Ok::<_, Error>(newest(&site.store, self.limit).await?)
        });
        Ok(answer(common.output, &Report(releases.await?))?)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self(releases) = self;
        if releases.is_empty() {
            return writeln!(f, "no release yet: `cargo xtask deploy` makes the first");
        }
        let width = releases.iter().map(|release| release.id.to_string().len()).max().unwrap_or(0);
        for release in releases {
            let Release { id, outcome, who, .. } = release;
            let started: DateTime<Utc> = release.started().into();
            let took = release
                .finished
                .map(|finished| {
                    human(Duration::from_secs(finished.saturating_sub(release.started)))
                })
                .unwrap_or_default();
            let commit: String = release.version.chars().take(12).collect();
            let dirty = if release.version.ends_with("-dirty") { "-dirty" } else { "" };
            writeln!(
                f,
                "{id:width$}  {}  {outcome:21}  {took:>7}  {commit}{dirty} \"{}\", {who}",
                started.format("%H:%M UTC"),
                release.subject
            )?;
            if let Some(to) = &release.rollback_to {
                writeln!(f, "{:width$}  back to {to}", "")?;
            }
            if release.own().count() < release.services.len() {
                let own: Vec<_> = release.own().map(|(who, _)| who.as_str()).collect();
                writeln!(f, "{:width$}  only {}", "", own.join(", "))?;
            }
            if let Some(note) = &release.note {
                writeln!(f, "{:width$}  {}", "", cut(note))?;
            }
        }
        Ok(())
    }
}

/// Enough to recognise it: the whole of it is in the JSON.
fn cut(note: &str) -> String {
    let line = note.lines().next().unwrap_or_default();
    let mut characters = line.chars();
    let start: String = characters.by_ref().take(NOTE).collect();
    if characters.next().is_some() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceName;
    use crate::store::release::tests::{draft, record};
    use crate::store::release::{Outcome, ServiceState};

    #[test]
    fn a_person_sees_what_became_of_each() {
        let release = |id: &str, outcome| Release {
            outcome,
            finished: (outcome != Outcome::Started).then_some(1_795_000_184),
            ..draft(id.parse().unwrap(), 1_795_000_000)
        };
        let mut back = release("2026-11-18.3", Outcome::Released);
        back.rollback_to = Some("2026-11-18.1".parse().unwrap());
        let mut broken = release("2026-11-18.2", Outcome::RolledBack);
        broken.note = Some("users: 3 tasks stopped at start".to_owned());
        let mut only_users = release("2026-11-18.1", Outcome::Released);
        for (who, state) in
            [(ServiceName::Users, ServiceState::Rolled), (ServiceName::Client, ServiceState::Kept)]
        {
            only_users.services.insert(who, record(state));
        }
        let report =
            Report(vec![release("2026-11-18.10", Outcome::Started), back, broken, only_users]);
        insta::assert_snapshot!(report, @r#"
        2026-11-18.10  11:06 UTC  unfinished                      c0ffee "Ask before removing a user", ada@laptop
        2026-11-18.3   11:06 UTC  released                 3m04s  c0ffee "Ask before removing a user", ada@laptop
                       back to 2026-11-18.1
        2026-11-18.2   11:06 UTC  rolled back              3m04s  c0ffee "Ask before removing a user", ada@laptop
                       users: 3 tasks stopped at start
        2026-11-18.1   11:06 UTC  released                 3m04s  c0ffee "Ask before removing a user", ada@laptop
                       only users
        "#);
        assert!(Report(Vec::new()).to_string().contains("no release yet"));
    }
}
