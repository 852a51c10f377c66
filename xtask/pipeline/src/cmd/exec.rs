//! `exec`: a command in production's image, with production's settings.
//!
//! Our images have no shell and a root that nobody can write to, which ECS Exec needs. So the
//! command runs in a container of its own, which ends with it. `--inside` goes into one that serves,
//! where the service allows it: AWS's own plugin speaks the protocol of the session. The token that
//! lets one in goes to it through its environment, which other users of the machine cannot read,
//! unlike its arguments.

use std::time::Duration;

use clap::Args;

use super::Common;
use super::site::Site;
use crate::aws::session::{Session, open};
use crate::cloud::{self, Cloud, Task, Tasks};
use crate::config::{Service, ServiceName};
use crate::decide::Limits;
use crate::error::Error;
use crate::exit_code;
use crate::interrupt::Stop;
use crate::process;
use crate::rollout::Context;
use crate::task::{OneOff, TaskError, run};
use crate::tell::Screen;

/// The program that AWS gives out for sessions.
pub(super) const PLUGIN: &str = "session-manager-plugin";
/// Where the plugin looks for what ECS answered, if its first argument says so.
const ANSWER_VARIABLE: &str = "AWS_SSM_START_SESSION_RESPONSE";

/// Run a command in production's image and settings
///
/// In a container of its own, from the task definition that serves: what is given here follows the
/// image's entry point, as in `cargo xtask exec -- openapi`. With --inside, in a container that
/// serves, by ECS Exec: that needs the Session Manager plugin of AWS on this machine, and
/// `enableExecuteCommand` in the service.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// The service
    #[arg(long, value_enum, default_value = "users")]
    service: ServiceName,
    /// In a container that serves, instead of one of its own
    #[arg(long)]
    inside: bool,
    /// Only this task: its id, or how it begins
    #[arg(long, requires = "inside")]
    task: Option<String>,
    /// Give up and stop the task after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, conflicts_with = "inside")]
    timeout: u64,
    /// The command with its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error(
        "ECS Exec is off for {service}: leave out --inside, and the command runs in a container of \
         its own. Or add \"enableExecuteCommand\": true to {file}, allow the \
         task role the ssmmessages actions, make the root file system writable, and deploy."
    )]
    Off { service: String, file: String },
    #[error("there is no service {0}: deploy first")]
    NoService(String),
    #[error("no task of {service} runs{which}: `cargo xtask status` shows them")]
    NoTask { service: String, which: String },
    #[error(
        "the program {PLUGIN} is not here; see \
         https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"
    )]
    NoPlugin,
}

impl Exec {
    /// Runs it, and gives the exit code.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<u8, Error> {
        let config = common.config()?;
        let service = config.service(self.service);
        let site = stop.or_interrupted(Site::connect(&config)).await?;
        if !self.inside {
            return self.apart(&site, service, stop).await;
        }
        // Before a session is opened that nobody would use.
        let is_here = process::is_here(PLUGIN);
        let opened = stop.or_interrupted(async {
            let task = self.find(&site.aws, service).await?;
            if !is_here {
                return Err(ExecError::NoPlugin.into());
            }
            let command = words(&self.command);
            let opened = open(&site.sdk, &config.cluster, &task.arn, &service.container, &command);
            Ok::<_, Error>(opened.await?)
        });
        attach(&opened.await?, &site.identity.region).await
    }

    /// In a container of its own. Its log is shown while it runs.
    async fn apart(&self, site: &Site, service: &Service, stop: &Stop) -> Result<u8, Error> {
        let there = there(&site.aws, &service.ecs_service);
        let there = stop.or_interrupted(there).await?;
        let task_definition = site.aws.task_definition(&there.task_definition).await?;
        let one_off = OneOff {
            // Several people may look at different things at once.
            name: format!("exec-{}", std::process::id()),
            who: self.service,
            task_definition,
            container: service.container.clone(),
            command: self.command.clone(),
        };
        let screen = Screen::new();
        let limits = Limits { task: Duration::from_secs(self.timeout), ..Limits::default() };
        let context = Context { cloud: &site.aws, limits: &limits, tell: &screen, stop };
        match run(&context, &one_off, false).await {
            Ok(_) => Ok(exit_code::OK),
            Err(error) => {
                let exit_code = match &error {
                    TaskError::Interrupted { .. } | TaskError::NotStarted { .. } => {
                        exit_code::INTERRUPTED
                    }
                    TaskError::TimedOut { .. } => exit_code::TIMEOUT,
                    _ => exit_code::ERROR,
                };
                Err(Error::Failed { message: error.to_string(), exit_code })
            }
        }
    }

    async fn find(&self, cloud: &impl Cloud, service: &Service) -> Result<Task, Error> {
        let name = &service.ecs_service;
        let there = there(cloud, name).await?;
        let on = there.document.get("enableExecuteCommand").and_then(serde_json::Value::as_bool);
        if on != Some(true) {
            let file = service.service_definition.clone();
            return Err(ExecError::Off { service: name.clone(), file }.into());
        }
        let arns = cloud.list_tasks(&Tasks::Service(name.clone()), false).await?;
        let tasks = if arns.is_empty() { Vec::new() } else { cloud.tasks(&arns).await? };
        let wanted = |task: &Task| {
            let is_meant = self.task.as_ref().is_none_or(|id| task.id().starts_with(&**id));
            task.status == "RUNNING" && is_meant
        };
        tasks.into_iter().find(wanted).ok_or_else(|| {
            let which = self.task.as_ref().map(|id| format!(" whose id begins with {id}"));
            ExecError::NoTask { service: name.clone(), which: which.unwrap_or_default() }.into()
        })
    }
}

/// A service that must be there.
async fn there(cloud: &impl Cloud, name: &String) -> Result<cloud::Service, Error> {
    let found = cloud.services(std::slice::from_ref(name)).await?;
    let there = found.into_iter().find(|one| one.status != "INACTIVE");
    there.ok_or_else(|| ExecError::NoService(name.clone()).into())
}

/// The plugin, at our terminal. Ctrl-C is for whatever runs in there.
async fn attach(session: &Session, region: &str) -> Result<u8, Error> {
    let mut plugin = process::command(PLUGIN);
    plugin
        .args([ANSWER_VARIABLE, region, "StartSession", "", &session.target.to_string()])
        .arg(format!("https://ssm.{region}.amazonaws.com"))
        .env(ANSWER_VARIABLE, session.answer.expose());
    let status = plugin.status().await?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit_code::ERROR))
}

/// One line that a shell would take apart into the same words: ECS takes no list.
pub(super) fn words(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:@%+,".contains(c);
    let quoted = command.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words() {
        let command = ["/users", "create_admin", "--username", "ada l'ovelace", ""];
        let command = command.map(str::to_owned);
        assert_eq!(words(&command), r"/users create_admin --username 'ada l'\''ovelace' ''");
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let service = "shop-users-service".to_owned();
        let off = ExecError::Off { service, file: "ecs/a.json".to_owned() }.to_string();
        assert!(off.contains("\"enableExecuteCommand\": true to ecs/a.json"), "{off}");
    }
}
