//! `migrate`, `recreate_db`, `seed_db`, `create_admin` with `--on ecs`: the application's own
//! commands, as one-off tasks with the image that serves.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Common;
use super::site::Site;
use crate::cloud::{Cloud as _, TaskDefinition};
use crate::config::{Config, ServiceName};
use crate::decide::Limits;
use crate::deploy::{Owner, held, tell_task};
use crate::error::Error;
use crate::interrupt::Stop;
use crate::report::{answer, human};
use crate::rollout::{Context, read};
use crate::task::{Finished, OneOff, TaskError, run};
use crate::tell::{Screen, Tell as _};

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    /// As a task on the cluster
    Ecs,
}

/// What all of them take.
#[derive(Debug, Args)]
struct Shared {
    /// Where: on the cluster, with the image that serves
    #[arg(long, value_enum, default_value = "ecs")]
    on: On,
    /// Give up and stop the task after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u64,
    /// Wait so many seconds for somebody else who deploys
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// Bring the database up to date
///
/// Runs the service's own command as a task on the cluster, with its log, and ends as it does. A
/// deploy does this by itself.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    shared: Shared,
}

/// Destroy all data and build the schema anew
#[derive(Debug, Args)]
pub(crate) struct RecreateDb {
    #[command(flatten)]
    shared: Shared,
    /// The database's name, to show that you mean it
    #[arg(long, value_name = "DATABASE")]
    yes_destroy: Option<String>,
}

/// Add the example users
#[derive(Debug, Args)]
pub(crate) struct SeedDb {
    #[command(flatten)]
    shared: Shared,
}

/// Add an administrator, or make a user one
///
/// The password is ADMIN_PASSWORD among the secrets of the container: what is handed to a task in
/// any other way can be read by everybody who may look at tasks.
#[derive(Debug, Args)]
pub(crate) struct CreateAdmin {
    #[command(flatten)]
    shared: Shared,
    /// The administrator's user name
    #[arg(long)]
    username: String,
    /// The administrator's e-mail address
    #[arg(long)]
    email: String,
    /// Make the user of this name and address, who is there already, an administrator; the password
    /// stays
    #[arg(long)]
    promote: bool,
}

/// Why a command cannot be run on the cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(
        "this destroys all tables and all data of the database {0:?}. If you mean it: \
         cargo xtask recreate_db --on ecs --yes-destroy {0}"
    )]
    NotConfirmed(String),
    #[error("--yes-destroy names {given:?}, but the database is {database:?}; nothing was changed")]
    OtherDatabase { given: String, database: String },
    #[error(
        "the database {database:?} is protected: only with `database.protected = false` in {} can \
         it be destroyed",
        crate::config::PATH
    )]
    Protected { database: String },
    #[error(
        "{task_definition} gives its container {container} no ADMIN_PASSWORD. Put a password into \
         Secrets Manager, name it as ADMIN_PASSWORD under `secrets` in {file}, and deploy."
    )]
    NoPassword { task_definition: String, container: String, file: String },
    #[error("there is no service {0} yet, so there is no image to run: deploy first")]
    NoService(String),
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl RunError {
    /// One of [`crate::exit_code`]'s.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Task(TaskError::Interrupted { .. } | TaskError::NotStarted { .. }) => {
                crate::exit_code::INTERRUPTED
            }
            Self::Task(TaskError::TimedOut { .. }) => crate::exit_code::TIMEOUT,
            Self::Task(TaskError::Busy { .. }) => crate::exit_code::LOCKED,
            Self::Task(_) => crate::exit_code::DATABASE_TASK,
            _ => crate::exit_code::CONFIGURATION,
        }
    }
}

/// What a task did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// What was run.
    command: String,
    /// In which image: `family:revision`.
    task_definition: String,
    #[serde(flatten)]
    finished: Finished,
    /// The container's.
    exit_code: i32,
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let took = human(Duration::from_secs(self.finished.seconds));
        let Self { command, task_definition, .. } = self;
        writeln!(f, "{command}: exit 0 after {took} ({task_definition})")
    }
}

impl Migrate {
    /// Runs it.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        on_ecs(common, &self.shared, &["migrate"], |_, _| Ok(()), stop).await
    }
}

impl SeedDb {
    /// Runs it.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        on_ecs(common, &self.shared, &["seed_db"], |_, _| Ok(()), stop).await
    }
}

impl RecreateDb {
    /// Asks for more than a yes, and runs it.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let config = common.config()?;
        let database = config.database.name.clone();
        if config.database.protected {
            return Err(RunError::Protected { database }.into());
        }
        match &self.yes_destroy {
            None => return Err(RunError::NotConfirmed(database).into()),
            Some(given) if *given != database => {
                return Err(RunError::OtherDatabase { given: given.clone(), database }.into());
            }
            Some(_) => {}
        }
        let command = ["recreate_db", "--yes-destroy", &database];
        on_ecs(common, &self.shared, &command, |_, _| Ok(()), stop).await
    }
}

impl CreateAdmin {
    /// Runs it.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let mut command =
            vec!["create_admin", "--username", &self.username, "--email", &self.email];
        if self.promote {
            command.push("--promote");
        }
        let has_password = |config: &Config, definition: &TaskDefinition| {
            let users = config.service(ServiceName::Users);
            if self.promote || has_secret(&definition.document, &users.container, "ADMIN_PASSWORD")
            {
                return Ok(());
            }
            Err(RunError::NoPassword {
                task_definition: definition.short(),
                container: users.container.clone(),
                file: users.task_definition.clone(),
            })
        };
        on_ecs(common, &self.shared, &command, has_password, stop).await
    }
}

fn has_secret(document: &Value, container: &str, name: &str) -> bool {
    let containers = document.get("containerDefinitions").and_then(Value::as_array);
    let mut containers = containers.into_iter().flatten();
    let is =
        |value: &Value, wanted: &str| value.get("name").and_then(Value::as_str) == Some(wanted);
    containers
        .find(|one| is(one, container))
        .and_then(|one| one.get("secrets")?.as_array())
        .is_some_and(|secrets| secrets.iter().any(|secret| is(secret, name)))
}

async fn on_ecs(
    common: &Common,
    shared: &Shared,
    command: &[&str],
    check: impl FnOnce(&Config, &TaskDefinition) -> Result<(), RunError>,
    stop: &Stop,
) -> Result<(), Error> {
    let On::Ecs = shared.on;
    let name = command.first().copied().unwrap_or_default().to_owned();
    let config = common.config()?;
    let users = config.service(ServiceName::Users);
    let Site { aws, store, .. } = stop.or_interrupted(Site::connect(&config)).await?;
    let service = read(&aws, &users.ecs_service, Duration::from_secs(10)).await?;
    let service = service.ok_or_else(|| RunError::NoService(users.ecs_service.clone()))?;
    let definition = aws.task_definition(&service.task_definition).await?;
    check(&config, &definition)?;
    let screen = Screen::new();
    let limits = Limits { task: Duration::from_secs(shared.timeout), ..Limits::default() };
    let context = Context { cloud: &aws, limits: &limits, tell: &screen, stop };
    let one_off = OneOff {
        name: name.clone(),
        who: ServiceName::Users,
        task_definition: definition.clone(),
        container: users.container.clone(),
        // The image's entry point is the program: this is what follows it.
        command: command.iter().map(|word| (*word).to_owned()).collect(),
    };
    let patience = Duration::from_secs(shared.wait);
    let owner = Owner::new(&name);
    let work = async || run(&context, &one_off, false).await;
    let finished = match held(&store, &owner, patience, &screen, stop, work).await? {
        Ok(finished) => finished,
        Err(error) => {
            screen.done(&name, users.name.as_str(), "✗");
            // What it wrote has been shown as it came; why it never ran has not.
            if let TaskError::Failed { task, .. } = &error {
                tell_task(&screen, &task.without_log(), "");
            }
            return Err(RunError::Task(error).into());
        }
    };
    let task_definition = definition.short();
    screen.done(&name, users.name.as_str(), "exit 0");
    let report = Report { command: name, task_definition, finished, exit_code: 0 };
    Ok(answer(common.output, &report)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_secret_of_the_right_container_counts() {
        let secrets = json!([{ "name": "ADMIN_PASSWORD", "valueFrom": "arn" }]);
        let document = json!({ "containerDefinitions": [
            { "name": "users", "environment": secrets },
            { "name": "other", "secrets": secrets },
        ]});
        assert!(!has_secret(&document, "users", "ADMIN_PASSWORD"));
        assert!(has_secret(&document, "other", "ADMIN_PASSWORD"));
    }
}
