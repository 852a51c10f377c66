//! Plans from made-up observations: what is done, and what a person reads.

use super::*;
use crate::cloud::{Cluster, Deployment, Host, Identity, Service, TaskDefinition};
use crate::store::release::tests::{draft, record};
use serde_json::json;

const OLD: &str = "host/shop-users@sha256:1f0c112233445566778899";
const NEW: &str = "host/shop-users@sha256:9ab4aabbccddeeff001122";

fn config() -> Config {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ecs");
    let files = |service: &str| {
        format!(
            "[services.{service}]\ntask_definition = \"{root}/ecs_{service}_taskdefinition.json\"\n\
             service_definition = \"{root}/ecs_{service}_service.json\"\n"
        )
    };
    Config::example(&format!(
        "name = \"shop\"\nvalues = {{ DATABASE_URL_SECRET_ARN = \"arn:d\", \
         SECRET_KEY_SECRET_ARN = \"arn:s\" }}\n{}{}",
        files("users"),
        files("client")
    ))
}

fn source() -> Revision {
    Revision {
        commit: "8c1f2ab0123456789".to_owned(),
        subject: "Ask before removing a user".to_owned(),
        branch: Some("main".to_owned()),
        dirty: false,
        time: "0".to_owned(),
    }
}

fn observed() -> Observed {
    let arn = "arn:aws:elasticloadbalancing:us-west-1:123456789012:targetgroup".to_owned();
    Observed {
        identity: Identity {
            account: "123456789012".to_owned(),
            arn: "arn:aws:iam::123456789012:user/ada".to_owned(),
            region: "us-west-1".to_owned(),
        },
        cluster: Some(Cluster {
            name: "shop-cluster".to_owned(),
            status: "ACTIVE".to_owned(),
            hosts: 1,
            scales: false,
        }),
        hosts: Vec::new(),
        outputs: None,
        balancer: None,
        target_groups: ["shop-users-tg", "shop-client-tg"]
            .map(|name| (name.to_owned(), format!("{arn}/{name}/1")))
            .into(),
        services: BTreeMap::new(),
        releases: Vec::new(),
        holder: None,
    }
}

fn desired(observed: &Observed) -> Desired {
    Desired::new(&config(), observed, &BTreeMap::new()).unwrap()
}

/// The service as ECS would have it after it was deployed with an image.
fn run(observed: &mut Observed, name: ServiceName, image: &str, revision: u32) {
    let (desired, config) = (desired(observed), config());
    let family = config.service(name).family.clone();
    let arn = format!("arn:aws:ecs:us-west-1:123456789012:task-definition/{family}:{revision}");
    let task_definition = TaskDefinition {
        arn: arn.clone(),
        family,
        revision,
        document: desired.task_definition(name, image).unwrap().document,
    };
    let deployment = Deployment {
        id: "ecs-svc/1".to_owned(),
        status: "PRIMARY".to_owned(),
        rollout: Rollout::Completed,
        reason: String::new(),
        task_definition: arn.clone(),
        desired: 1,
        pending: 0,
        running: 1,
        failed: 0,
        created: None,
    };
    let service = Service {
        name: config.service(name).ecs_service.clone(),
        arn: "arn".to_owned(),
        status: "ACTIVE".to_owned(),
        task_definition: arn,
        desired: 1,
        running: 1,
        pending: 0,
        deployments: vec![deployment],
        target_groups: Vec::new(),
        events: Vec::new(),
        document: desired.create(name),
    };
    let task_definition = Some(task_definition);
    let running = Running { service: Some(service), task_definition, ..Running::default() };
    observed.services.insert(name, running);
}

fn both(users: Option<&str>, client: Option<&str>) -> BTreeMap<ServiceName, Option<String>> {
    let owned = |image: Option<&str>| image.map(str::to_owned);
    [(ServiceName::Users, owned(users)), (ServiceName::Client, owned(client))].into()
}

fn make(
    observed: &Observed,
    images: &BTreeMap<ServiceName, Option<String>>,
    migrations: Migrations,
) -> Plan {
    plan(&config(), &source(), observed, &desired(observed), images, migrations).unwrap()
}

#[test]
fn in_an_empty_account_everything_is_new() {
    let plan = make(&observed(), &both(None, Some(NEW)), Migrations::Unknown);
    assert!(plan.is_pending());
    insta::assert_snapshot!(plan, @r#"
    plan      production · us-west-1 · 8c1f2ab01234 "Ask before removing a user" (main, clean)
              + users    new service, image (to be built); task definition 1
              + client   new service, image sha256:9ab4aabbccdd; task definition 1
              ~ migrate  brings the database up to date, if it is not
    "#);
}

#[test]
fn what_runs_already_is_left_alone() {
    let mut observed = observed();
    run(&mut observed, ServiceName::Users, OLD, 41);
    run(&mut observed, ServiceName::Client, NEW, 17);
    let plan = make(&observed, &both(Some(OLD), Some(NEW)), Migrations::Unknown);
    assert!(!plan.is_pending());
    insta::assert_snapshot!(plan, @r#"
    plan      production · us-west-1 · 8c1f2ab01234 "Ask before removing a user" (main, clean)
              = users    unchanged (task definition 41)
              = client   unchanged (task definition 17)
              = migrate  nothing pending
    "#);
}

#[test]
fn a_service_as_aws_describes_it_is_unchanged() {
    let mut observed = observed();
    for (name, image) in [(ServiceName::Users, OLD), (ServiceName::Client, NEW)] {
        run(&mut observed, name, image, 41);
        let running = observed.services.get_mut(&name).unwrap();
        let document = &mut running.service.as_mut().unwrap().document;
        // What DescribeServices adds, and how it writes what it was told.
        document["placementStrategy"][1]["field"] = json!("MEMORY");
        document["placementConstraints"] = json!([]);
        document["serviceRegistries"] = json!([]);
        document["launchType"] = json!("EC2");
        document["enableExecuteCommand"] = json!(false);
        document["availabilityZoneRebalancing"] = json!("ENABLED");
        document["deploymentController"] = json!({ "type": "ECS" });
        document["createdBy"] = json!("arn:aws:iam::123456789012:user/ada");
        let configuration = &mut document["deploymentConfiguration"];
        configuration["alarms"] = json!({ "alarmNames": [], "rollback": false, "enable": false });
        configuration["strategy"] = json!("ROLLING");
        configuration["bakeTimeInMinutes"] = json!(0);
        configuration["deploymentCircuitBreaker"]["resetOnHealthyTask"] = json!(true);
    }
    let plan = make(&observed, &both(Some(OLD), Some(NEW)), Migrations::Unknown);
    assert!(!plan.is_pending(), "{plan}");
}

#[test]
fn what_does_not_run_is_not_left_alone() {
    let mut observed = observed();
    run(&mut observed, ServiceName::Users, OLD, 41);
    let service = observed.services.get_mut(&ServiceName::Users).unwrap().service.as_mut().unwrap();
    service.deployments[0].running = 0;
    let images = BTreeMap::from([(ServiceName::Users, Some(OLD.to_owned()))]);
    let plan = make(&observed, &images, Migrations::None);
    assert_eq!(plan.services[0].action, Action::Update);
    assert!(plan.to_string().contains("~ users    only 0 of 1 tasks run"), "{plan}");
}

#[test]
fn a_change_is_told_without_the_secret() {
    let mut observed = observed();
    run(&mut observed, ServiceName::Users, OLD, 41);
    run(&mut observed, ServiceName::Client, NEW, 17);
    let users = observed.services.get_mut(&ServiceName::Users).unwrap();
    let container = "/containerDefinitions/0/environment";
    let document = &mut users.task_definition.as_mut().unwrap().document;
    *document.pointer_mut(container).unwrap() = json!([{ "name": "APP_ENV", "value": "production" }, { "name": "SECRET_KEY", "value": "hunter2" }]);
    let settings = &mut users.service.as_mut().unwrap().document;
    settings["healthCheckGracePeriodSeconds"] = json!(5);
    let names = ["0007_session_idle", "0008_user_name_index"].map(str::to_owned);
    let plan = make(&observed, &both(Some(NEW), Some(NEW)), Migrations::Pending(names.into()));
    assert!(!serde_json::to_string(&plan).unwrap().contains("hunter2"));
    insta::assert_snapshot!(plan, @r#"
    plan      production · us-west-1 · 8c1f2ab01234 "Ask before removing a user" (main, clean)
              ~ users    task definition 41 → 42; service's healthCheckGracePeriodSeconds
                         image sha256:1f0c11223344… → sha256:9ab4aabbccdd…
                         DATABASE_CA (none) → /certs/rds-global-bundle.pem
                         SECRET_KEY <redacted, removed>
              = client   unchanged (task definition 17)
              + migrate  2 pending: 0007_session_idle, 0008_user_name_index
    "#);
}

#[test]
fn a_revision_that_is_registered_already_is_used() {
    let mut observed = observed();
    run(&mut observed, ServiceName::Users, OLD, 41);
    let users = &observed.services[&ServiceName::Users];
    let mut newest = users.task_definition.clone().unwrap();
    newest.revision = 42;
    newest.document = desired(&observed).task_definition(ServiceName::Users, NEW).unwrap().document;
    observed.services.get_mut(&ServiceName::Users).unwrap().newest = Some(newest);
    let images = BTreeMap::from([(ServiceName::Users, Some(NEW.to_owned()))]);
    let plan = make(&observed, &images, Migrations::None);
    assert!(!plan.migrates, "nothing is pending");
    assert_eq!(plan.services[0].next.as_deref(), Some("shop-users-td:42"));
    assert!(plan.to_string().contains("41 → 42, registered already"), "{plan}");
}

#[test]
fn what_was_cut_off_or_is_under_way_is_said() {
    let mut observed = observed();
    run(&mut observed, ServiceName::Users, OLD, 41);
    let service = observed.services.get_mut(&ServiceName::Users).unwrap().service.as_mut().unwrap();
    service.deployments[0].rollout = Rollout::InProgress;
    observed.releases = vec![draft("2026-11-23.2".parse().unwrap(), 0)];
    observed.cluster = None;
    let images = BTreeMap::from([(ServiceName::Users, Some(OLD.to_owned()))]);
    insta::assert_snapshot!(make(&observed, &images, Migrations::None), @r#"
    plan      production · us-west-1 · 8c1f2ab01234 "Ask before removing a user" (main, clean)
              ! release 2026-11-23.2 by ada@laptop was cut off; this deployment finishes or replaces it
              ! there is no cluster yet: nothing can run
              ~ users    its rollout is still under way
              = migrate  nothing pending
    "#);
}

#[test]
fn without_its_values_no_plan_is_made() {
    let mut config = config();
    config.values.clear();
    let error = match Desired::new(&config, &observed(), &BTreeMap::new()) {
        Err(error) => error.to_string(),
        Ok(_) => String::new(),
    };
    assert!(error.contains("${DATABASE_URL_SECRET_ARN}"), "{error}");
    assert!(error.contains("${SECRET_KEY_SECRET_ARN}"), "{error}");
}

#[test]
fn only_the_image_that_runs_is_known_without_the_registry() {
    use crate::desired::known_image;
    use crate::images::plan::Image;
    use crate::store::release::{ServiceRecord, ServiceState};

    let mut observed = observed();
    run(&mut observed, ServiceName::Users, OLD, 41);
    let config = config();
    let image = Image::new(&config, config.service(ServiceName::Users), &source());
    let running = observed.services[&ServiceName::Users].service.clone().unwrap();
    let mut release = draft("2026-11-23.2".parse().unwrap(), 0);
    release.outcome = Outcome::Released;
    release.version = image.version.clone();
    let record = ServiceRecord {
        image: OLD.to_owned(),
        inputs: image.inputs.clone(),
        task_definition: Some(running.task_definition),
        ..record(ServiceState::Rolled)
    };
    release.services.insert(ServiceName::Users, record);
    observed.releases = vec![release];
    assert_eq!(known_image(&observed, &image).as_deref(), Some(OLD));
    let other = Image { inputs: "other".to_owned(), ..image.clone() };
    assert_eq!(known_image(&observed, &other), None, "made from other arguments");
    run(&mut observed, ServiceName::Users, NEW, 42);
    assert_eq!(known_image(&observed, &image), None, "it may be gone from the registry");
}

#[test]
fn a_rollout_without_room_is_warned_of() {
    let mut observed = observed();
    run(&mut observed, ServiceName::Users, OLD, 41);
    run(&mut observed, ServiceName::Client, NEW, 17);
    let host = |status: &str, memory| Host {
        arn: String::new(),
        instance: String::new(),
        status: status.to_owned(),
        connected: true,
        cpu: 1024,
        memory,
        ports: Vec::new(),
    };
    observed.hosts = vec![host("ACTIVE", 212), host("DRAINING", 4000)];
    let images = both(Some(NEW), Some(NEW));
    let plan = make(&observed, &images, Migrations::None);
    assert!(plan.is_pending(), "a warning stops nothing");
    insta::assert_snapshot!(plan, @r#"
    plan      production · us-west-1 · 8c1f2ab01234 "Ask before removing a user" (main, clean)
              ! users: a new task beside the old ones needs 300 MiB, and no host has more than 212 MiB left: add a host (MinHosts), or let ECS stop an old one first (minimumHealthyPercent)
              ~ users    image sha256:1f0c11223344… → sha256:9ab4aabbccdd…; task definition 41 → 42
              = client   unchanged (task definition 17)
              = migrate  nothing pending
    "#);
    // With a migration there is a task more, which nothing makes room for.
    assert_eq!(make(&observed, &images, Migrations::Unknown).notes.len(), 2);
    observed.hosts.push(host("ACTIVE", 300));
    assert_eq!(make(&observed, &images, Migrations::Unknown).notes, [""; 0]);
    // What stays needs none.
    observed.hosts = vec![host("ACTIVE", 0)];
    let plan = make(&observed, &both(Some(OLD), Some(NEW)), Migrations::None);
    assert_eq!(plan.notes, [""; 0]);
}
