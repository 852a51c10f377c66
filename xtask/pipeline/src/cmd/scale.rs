//! `scale`: how many tasks a service has.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::Common;
use super::site::Site;
use crate::cloud::{Cloud, CloudError, Service, Update};
use crate::config::ServiceName;
use crate::deploy::{Owner, held};
use crate::error::Error;
use crate::exit_code;
use crate::interrupt::Stop;
use crate::process::Interrupted;
use crate::report::{answer, human};
use crate::tell::{Screen, Tell};

/// The time between two looks.
const POLL: Duration = Duration::from_secs(3);

/// Change how many tasks a service has, and wait until they run
///
/// A deployment leaves that number alone. Where auto scaling is on, it may change it again.
#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// The service
    #[arg(value_enum)]
    service: ServiceName,
    /// How many tasks
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1000))]
    count: u32,
    /// Give up waiting after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    service: ServiceName,
    /// How many there should have been before.
    before: u32,
    /// How many run now.
    running: u32,
    seconds: u64,
}

impl Scale {
    /// Changes it and waits.
    pub(crate) async fn run(&self, common: &Common, stop: &Stop) -> Result<(), Error> {
        let config = common.config()?;
        let site = stop.or_interrupted(Site::connect(&config)).await?;
        let name = &config.service(self.service).ecs_service;
        let screen = Screen::new();
        let owner = Owner::new(&format!("scale {} to {}", self.service, self.count));
        let work = async || self.scale(&site.aws, name, &screen, stop).await;
        let report = held(&site.store, &owner, Duration::ZERO, &screen, stop, work).await??;
        Ok(answer(common.output, &report)?)
    }

    async fn scale(
        &self,
        cloud: &impl Cloud,
        name: &str,
        tell: &dyn Tell,
        stop: &Stop,
    ) -> Result<Report, Error> {
        let before = find(cloud, name).await?.desired;
        let update =
            Update { service: name.to_owned(), desired: Some(self.count), ..Update::default() };
        cloud.update_service(&update).await?;
        let (start, limit) = (Instant::now(), Duration::from_secs(self.timeout));
        loop {
            let service = find(cloud, name).await?;
            let text = format!("{} of {} running", service.running, self.count);
            let there = service.desired == self.count
                && service.running == self.count
                && service.pending == 0;
            if there {
                tell.done("scale", self.service.as_str(), &text);
                let seconds = start.elapsed().as_secs();
                let running = service.running;
                return Ok(Report { service: self.service, before, running, seconds });
            }
            tell.row("scale", self.service.as_str(), &text);
            let event = service.events.first().map(|event| event.message.clone());
            if start.elapsed() >= limit {
                let event = event.map(|event| format!(" ECS says: {event}")).unwrap_or_default();
                return Err(Error::Failed {
                    message: format!("{text} after {}. ECS goes on trying.{event}", human(limit)),
                    exit_code: exit_code::TIMEOUT,
                });
            }
            tokio::select! {
                () = sleep(POLL) => {}
                () = stop.wait() => {
                    tell.line(&format!("ECS goes on: {text}. `cargo xtask status` shows it."));
                    return Err(Interrupted.into());
                }
            }
        }
    }
}

async fn find(cloud: &impl Cloud, name: &str) -> Result<Service, CloudError> {
    let found = cloud.services(&[name.to_owned()]).await?;
    found.into_iter().find(|service| service.status != "INACTIVE").ok_or_else(|| {
        CloudError::NotFound {
            operation: "ecs:DescribeServices",
            message: format!("there is no service {name}: deploy first"),
        }
    })
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { service, before, running, seconds } = self;
        let took = human(Duration::from_secs(*seconds));
        writeln!(f, "{service} has {running} running after {took}; it was to have {before} before")
    }
}
