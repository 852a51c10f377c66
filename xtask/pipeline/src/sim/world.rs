//! What scenarios begin with: a cluster, a job of two services, and somebody who listens.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde_json::{Value, json};

use super::Sim;
use super::ecs::{EPOCH, Ecs};
use crate::cloud::Rollout;
use crate::config::ServiceName;
use crate::decide::Limits;
use crate::deploy::{
    Around, Definition, Job, Migration, Note, OnFailure, OnInterrupt, Outcome, ServiceJob, run,
};
use crate::interrupt::Stop;
use crate::rollout::Context;
use crate::tell::{self, Tell};

/// Everything that was said.
#[derive(Debug, Default)]
pub(super) struct Heard(RefCell<Vec<String>>);

impl Heard {
    pub(super) fn text(&self) -> String {
        self.0.borrow().join("\n")
    }
}

impl Tell for Heard {
    fn row(&self, stage: &str, who: &str, text: &str) {
        // As on a screen: a row is said again only when it has changed.
        let start = tell::row(stage, who, "");
        let lines = self.0.borrow();
        let last = lines.iter().rev().find(|line| line.starts_with(&start));
        let same = last.is_some_and(|line| *line == tell::row(stage, who, text));
        drop(lines);
        if !same {
            self.done(stage, who, text);
        }
    }

    fn done(&self, stage: &str, who: &str, text: &str) {
        let line = tell::row(stage, who, text);
        let mut lines = self.0.borrow_mut();
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }

    fn line(&self, text: &str) {
        self.0.borrow_mut().push(text.to_owned());
    }
}

/// The rest of the world.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Why the application does not answer as it should.
    pub(super) smoke_fails: Cell<bool>,
    /// What was noted.
    pub(super) notes: RefCell<Vec<String>>,
}

impl Around for Rest {
    async fn smoke(&self) -> Result<String, String> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match self.smoke_fails.get() {
            false => Ok("/ping c0ffee · / c0ffee".to_owned()),
            true => Err("/ping answers 502".to_owned()),
        }
    }

    async fn note(&self, note: Note<'_>) -> Result<(), String> {
        self.notes.borrow_mut().push(format!("{note:?}"));
        Ok(())
    }
}

/// A cluster and a person before it.
pub(super) struct World {
    pub(super) sim: Sim,
    pub(super) stop: Stop,
    pub(super) limits: Limits,
    pub(super) heard: Heard,
    pub(super) rest: Rest,
}

impl World {
    pub(super) fn new(change: impl FnOnce(&mut Ecs)) -> Self {
        let stop = Stop::default();
        Self {
            sim: Sim::new(&stop).with(change),
            stop,
            limits: Limits::default(),
            heard: Heard::default(),
            rest: Rest::default(),
        }
    }

    /// One in which a release serves already, without the time that it takes to bring it there.
    pub(super) fn seeded(change: impl FnOnce(&mut Ecs)) -> Self {
        let world = Self::new(change);
        world.sim.look(|ecs| {
            for service in job("good", "good").services {
                let Definition::New(document) = &service.definition else { continue };
                let arn = ecs.register(document).arn;
                let mut create = service.create.clone();
                create["serviceName"] = json!(service.service);
                create["taskDefinition"] = json!(arn);
                ecs.create(&create);
                if let Some(there) = ecs.services.get_mut(&service.service) {
                    there.seen.deployments[0].created = Some(EPOCH - Duration::from_hours(1));
                }
                ecs.settle(&service.service);
            }
        });
        world
    }

    /// Has a service run what a release left that was cut off; with `done` it has come up. Gives the
    /// ARN of what is good, and of what was left.
    pub(super) fn leave(&self, who: ServiceName, image: &str, done: bool) -> (String, String) {
        self.sim.look(|ecs| {
            let name = format!("shop-{who}");
            let good = ecs.services[&name].seen.task_definition.clone();
            let left = ecs.register(&definition(who, image)).arn;
            ecs.deploy(&name, &left);
            if done {
                ecs.settle(&name);
            }
            (good, left)
        })
    }

    /// The same, and a job that knows of it.
    pub(super) fn leave_to(&self, job: &mut Job, who: ServiceName, image: &str, done: bool) {
        let (good, left) = self.leave(who, image, done);
        job.verify = true;
        for service in job.services.iter_mut().filter(|service| service.who == who) {
            // The command knows what is registered.
            for (image, arn) in [("good", &good), (image, &left)] {
                if service.definition == Definition::New(definition(who, image)) {
                    service.definition = Definition::Known(arn.clone());
                }
            }
            service.last_good = Some(good.clone());
            service.suspects.push(left.clone());
        }
    }

    /// One in which a release was deployed before.
    pub(super) async fn released(change: impl FnOnce(&mut Ecs)) -> Self {
        let world = Self::new(change);
        let outcome = world.deploy(&job("good", "good")).await;
        assert_eq!(outcome.end.exit_code(), 0, "{}", world.heard.text());
        world.heard.0.borrow_mut().clear();
        world
    }

    pub(super) async fn deploy(&self, job: &Job) -> Outcome {
        let context =
            Context { cloud: &self.sim, limits: &self.limits, tell: &self.heard, stop: &self.stop };
        run(&context, &self.rest, job).await
    }

    /// Whether what serves is this image, completed, with all its tasks: the truth, past all
    /// stale answers.
    pub(super) fn serves(&self, who: ServiceName, image: &str) -> bool {
        self.runs(who).is_some_and(|(runs, is_up)| runs == image && is_up)
    }

    /// The image that a service is to run, and whether it is completed with all its tasks.
    pub(super) fn runs(&self, who: ServiceName) -> Option<(String, bool)> {
        self.sim.look(|ecs| {
            let primary = ecs.services.get(&format!("shop-{who}"))?.seen.primary()?.clone();
            let mut all = ecs.definitions.iter();
            let definition = all.find(|one| one.arn == primary.task_definition)?;
            let image = definition.document["containerDefinitions"][0]["image"].as_str()?;
            let is_up = primary.rollout == Rollout::Completed && primary.running >= primary.desired;
            Some((image.to_owned(), is_up))
        })
    }
}

pub(super) fn definition(who: ServiceName, image: &str) -> Value {
    let options = json!({ "awslogs-group": "shop", "awslogs-stream-prefix": "users" });
    json!({ "family": format!("shop-{who}-td"), "containerDefinitions": [{
        "name": "api", "image": image,
        "logConfiguration": { "logDriver": "awslogs", "options": options },
    }]})
}

/// Both services, and a migration.
pub(super) fn job(users: &str, client: &str) -> Job {
    let service = |who, level, image| ServiceJob {
        who,
        level,
        service: format!("shop-{who}"),
        definition: Definition::New(definition(who, image)),
        create: json!({ "desiredCount": 2 }),
        settings: Value::Null,
        last_good: None,
        suspects: Vec::new(),
    };
    Job {
        services: vec![
            service(ServiceName::Users, 0, users),
            service(ServiceName::Client, 1, client),
        ],
        migrate: Some(Migration {
            who: ServiceName::Users,
            container: "api".to_owned(),
            command: vec!["/users".to_owned(), "migrate".to_owned()],
        }),
        verify: false,
        on_failure: OnFailure::RollbackAll,
        on_interrupt: OnInterrupt::Rollback,
    }
}
