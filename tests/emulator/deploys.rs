//! Releases that come up.

use std::{fs, path::Path, time::Duration};

use serde_json::json;
use tests::{
    emulator::{
        Aws, SECRETS, World,
        aws::{ACCOUNT, REGION, element},
        files,
    },
    pipeline::git,
};

use crate::models::python_says;

#[tokio::test]
async fn two_services_come_up_from_nothing_and_follow_each_release() {
    let world = World::new().await;
    world.run(&["plan", "--detailed-exitcode"]).ends_with(2);
    assert_eq!(world.registered().await, [0, 0], "a plan registers nothing");

    let first = world.checkout.change("first");
    let deploy = world.run(&["deploy"]).ends_with(0).says("released");
    assert_eq!(deploy.stderr.matches("plan      ").count(), 1, "{}", deploy.stderr);
    assert_eq!(world.ping().await, ("first".to_owned(), first));
    assert_eq!(world.registered().await, [1, 1]);
    let client = world.primary("client").await;

    let second = world.checkout.change("second");
    world.run(&["plan", "--detailed-exitcode"]).ends_with(2);
    world.run(&["deploy"]).ends_with(0).says("released");
    assert_eq!(world.ping().await, ("second".to_owned(), second));
    assert_eq!(world.primary("users").await, format!("{}-users-td:2", world.name));
    // Both carry the commit, which the smoke check looks for.
    assert_ne!(world.primary("client").await, client);
}

#[tokio::test]
async fn what_is_there_already_is_left_alone() {
    let world = World::new().await;
    world.run(&["deploy"]).ends_with(0);
    let registered = world.registered().await;
    world.run(&["deploy"]).ends_with(0).says("unchanged");
    world.run(&["plan", "--detailed-exitcode"]).ends_with(0);
    assert_eq!(world.registered().await, registered);
    let doctor = world.run(&["doctor"]).ends_with(0);
    for (sign, what) in [
        ("✓", "credentials"),
        ("✓", "records"),
        ("✓", "lock"),
        ("!", "stack"),
        ("✓", "documents"),
        ("-", "room"),
        ("✓", "log group"),
        ("✓", "target group"),
        ("✓", "service"),
        ("✓", "load balancer"),
        ("✓", "answers"),
    ] {
        let line = format!("  {sign} {what:13}  ");
        assert!(doctor.stdout.contains(&line), "“{line}” is not in\n{}", doctor.stdout);
    }
}

#[tokio::test]
async fn settings_of_a_service_are_changed_once() {
    let world = World::new().await;
    world.run(&["deploy"]).ends_with(0);
    let file = "ecs/ecs_users_service.json";
    let document = fs::read_to_string(world.checkout.root().join(file)).unwrap();
    let changed = document.replace("PeriodSeconds\": 60", "PeriodSeconds\": 61");
    assert_ne!(changed, document);
    world.checkout.write(file, &changed);
    world.checkout.commit("Wait for a second more");
    world.run(&["plan"]).ends_with(0).says("service's healthCheckGracePeriodSeconds");
    world.run(&["deploy"]).ends_with(0);
    world.run(&["plan", "--detailed-exitcode"]).ends_with(0);
    let name = format!("{}-users-service", world.name);
    let asked = json!({ "cluster": world.cluster(), "services": [name] });
    // With a connection of its own: the emulator may just be about to end an old one.
    let described = Aws::new(world.endpoint()).ecs("DescribeServices", asked).await;
    assert_eq!(described["services"][0]["healthCheckGracePeriodSeconds"], 61);
}

#[tokio::test]
async fn new_migrations_run_before_any_service_moves() {
    let world = World::new().await;
    world.run(&["deploy"]).ends_with(0).says("applied 0001_users");
    world.checkout.write("services/users/migrations/0002_more/up.sql", "SELECT 2;\n");
    world.checkout.change("with more");
    let plan = world.run(&["plan"]).ends_with(0).says("0002_more");
    assert!(!plan.output().contains("0001_users"), "{}", plan.output());
    let deploy = world.run(&["deploy"]).ends_with(0);
    let migrated = deploy.stderr.find("applied 0001_users").unwrap();
    assert!(migrated < deploy.stderr.find("\nroll ").unwrap(), "{}", deploy.stderr);
    let history = world.run(&["history", "--output", "json"]).ends_with(0).report();
    assert_eq!(history[0]["migrations"], json!(["0002_more"]), "{history}");
}

#[tokio::test]
async fn one_goes_back_to_the_release_before() {
    let world = World::new().await;
    let first = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    let second = world.checkout.change("second");
    world.run(&["deploy"]).ends_with(0);
    let (second_image, running) = world.prod_and_running("users").await;
    assert_eq!(second_image, running);
    world.run(&["rollback"]).ends_with(0);
    assert_eq!(world.ping().await, ("first".to_owned(), first));
    for service in ["users", "client"] {
        let (prod, running) = world.prod_and_running(service).await;
        assert_eq!(prod, running, "{service}");
        assert_ne!(prod, second_image);
    }
    let history = world.run(&["history"]).ends_with(0);
    assert!(history.stdout.lines().count() >= 3, "{}", history.stdout);
    // By its name any other comes back: the newest is the rollback, the one before it the second.
    let history = world.run(&["history", "--output", "json"]).ends_with(0).report();
    let named = history[1]["id"].as_str().unwrap().to_owned();
    world.run(&["rollback", &named]).ends_with(0);
    assert_eq!(world.ping().await, ("second".to_owned(), second));
    world.run(&["rollback", "2020-01-01.1"]).ends_with(10).says("there is no release 2020-01-01.1");
}

#[tokio::test]
async fn a_rollback_brings_back_what_ran_beside_a_release_of_one_service() {
    let world = World::new().await;
    world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    let second = world.checkout.change("second");
    world.run(&["deploy", "--service", "users"]).ends_with(0);
    let history = world.run(&["history", "--output", "json"]).ends_with(0).report();
    let partial = &history[0];
    let states = ["users", "client"].map(|service| partial["services"][service]["state"].clone());
    assert_eq!(states, ["rolled", "kept"], "{partial}");
    let client = world.primary("client").await;
    let named = partial["services"]["client"]["task_definition"].as_str().unwrap();
    assert!(named.ends_with(&format!("/{client}")), "{named}");

    world.checkout.change("third");
    world.run(&["deploy"]).ends_with(0);
    assert_ne!(world.primary("client").await, client);
    // Each is asked for its own commit.
    let back = world.run(&["rollback"]).ends_with(0);
    back.says(&format!("to {}:", partial["id"].as_str().unwrap())).says(&client);
    assert_eq!(world.ping().await, ("second".to_owned(), second));
    assert_eq!(world.primary("client").await, client);
    for service in ["users", "client"] {
        let (prod, running) = world.prod_and_running(service).await;
        assert_eq!(prod, running, "{service}");
    }
}

#[tokio::test]
async fn a_release_of_one_service_leaves_the_migrations_of_the_other_pending() {
    let world = World::new().await;
    let first = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    world.checkout.write("services/users/migrations/0002_more/up.sql", "SELECT 2;\n");
    let second = world.checkout.change("second");
    let client = world.run(&["deploy", "--service", "client"]).ends_with(0);
    assert!(!client.stderr.contains("applied"), "{}", client.stderr);
    assert_eq!(world.ping().await, ("first".to_owned(), first.clone()));
    world.run(&["plan"]).ends_with(0).says("1 pending: 0002_more");
    world.run(&["deploy"]).ends_with(0).says("applied 0001_users");
    assert_eq!(world.ping().await, ("second".to_owned(), second));
    // What lies here says nothing about the migrations of another image: it is asked to migrate.
    let registered = world.registered().await;
    let back = world.run(&["deploy", "--image-tag", &first]).ends_with(0);
    back.says("brings the database up to date, if it is not").says("applied 0001_users");
    assert_eq!(world.ping().await, ("first".to_owned(), first));
    assert_eq!(world.registered().await, registered, "what ran before is not registered again");
}

#[tokio::test]
async fn what_is_refused_before_it_begins_changes_nothing() {
    let world = World::new().await;
    let plan = world.run(&["deploy", "--dry-run", "--service", "users"]).ends_with(0);
    assert!(plan.stdout.contains("+ users    new service"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("client"), "{}", plan.stdout);
    world.run(&["deploy", "--no-build"]).ends_with(20).says("--no-build");
    // The build takes longer than all of it may.
    world.run(&["deploy", "--timeout", "1"]).ends_with(124).says("nothing was done");
    assert_eq!(world.registered().await, [0, 0]);
    let history = world.run(&["history", "--output", "json"]).ends_with(0).report();
    for (record, why) in
        [(&history[0], "the time limit"), (&history[1], "the registry has no image")]
    {
        assert_eq!(record["outcome"], "not-begun", "{record}");
        assert!(record["note"].as_str().unwrap().starts_with(why), "{record}");
    }
    for command in [&["push"][..], &["deploy"], &["migrate", "--on", "ecs"], &["prune", "--yes"]] {
        // A push goes to an account only where the registry is ECR's.
        let ecr = ["--set", "registry.login=ecr"];
        let mut pipeline = world.command(&tests::pipeline::path());
        pipeline.args(command).args(ecr).env("AWS_ACCOUNT_ID", "999999999999");
        let output = pipeline.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(10), "{command:?}: {said}");
        assert!(said.contains("nothing was done"), "{command:?}: {said}");
    }
    let stale = world.checkout.change("first");
    world.run(&["deploy"]).ends_with(0);
    world.checkout.change("second");
    world.run(&["deploy"]).ends_with(0);
    git(&world.checkout.root(), &["reset", "--quiet", "--hard", &stale]);
    world.run(&["deploy", "--no-build"]).ends_with(10).says("behind what serves");
    world.run(&["deploy", "--no-build", "--allow-stale"]).ends_with(0);
    assert_eq!(world.ping().await, ("first".to_owned(), stale));
}

#[tokio::test]
async fn programs_get_json() {
    let world = World::new().await;
    let mut answers = Vec::new();
    for (of, code, command) in [
        ("error", 10, &["rollback", "2020-01-01.1"][..]),
        ("plan", 0, &["plan"]),
        ("images", 0, &["build"]),
        ("images", 0, &["push"]),
        ("deploy", 0, &["deploy"]),
        ("deploy", 0, &["deploy"]),
        ("doctor", 0, &["doctor"]),
        ("status", 0, &["status"]),
        ("history", 0, &["history"]),
        ("logs", 0, &["logs"]),
        ("task", 0, &["seed_db"]),
        ("scale", 0, &["scale", "client", "1"]),
        ("prune", 0, &["prune"]),
        ("show", 0, &["config", "show"]),
        ("deploy", 0, &["deploy"]),
        ("deploy", 0, &["rollback"]),
    ] {
        if of == "show" {
            // From now on there is something to go back from.
            world.checkout.change("second");
        }
        let answer = world.run(&[command, &["--output", "json"]].concat()).ends_with(code).report();
        let schema = world.run(&["config", "schema", of]).ends_with(0).report();
        assert!(schema["$schema"].is_string(), "{schema}");
        if of == "error" || of == "deploy" {
            assert_eq!(answer["exit_code"], code, "{answer}");
        }
        answers.push(json!({ "of": of, "schema": schema, "answer": answer }));
    }
    let program = std::env::var_os("SCHEMATHESIS_BIN")
        .expect("SCHEMATHESIS_BIN names no program: run `cargo xtask test`, which installs it");
    let python = Path::new(&program).with_file_name("python");
    let checked = python_says(&python, VALIDATE, &json!(answers).to_string());
    assert_eq!(checked, "all are valid\n");
}

/// Holds answers against their schemas.
const VALIDATE: &str = "
import json, sys, jsonschema_rs
wrong = 0
for one in json.load(sys.stdin):
    for error in jsonschema_rs.validator_for(one['schema']).iter_errors(one['answer']):
        wrong += 1
        print(one['of'], error)
print('all are valid' if not wrong else wrong)
";

#[tokio::test]
async fn a_command_runs_once_on_the_cluster_with_its_lines_and_its_code() {
    let world = World::new().await;
    world.run(&["deploy"]).ends_with(0);
    world.run(&["seed_db", "--on", "ecs"]).ends_with(0).says("seeded");
    // What is written meanwhile is followed, until somebody stops it.
    let follow = world.start(&["logs", "--follow", "--service", "users"]);
    let asked = format!("/ping?{}", world.name);
    reqwest::get(world.url(&asked)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    follow.signal("INT");
    follow.finish().ends_with(0).says(&asked);
    // Production's database can be destroyed only where the configuration allows it.
    world.run(&["recreate_db", "--on", "ecs"]).ends_with(10).says("database.protected");
}

#[tokio::test]
async fn the_database_is_built_anew_and_an_administrator_added_by_their_names() {
    let world = World::new().await;
    let secret = "\"secrets\": [{ \"name\": \"ADMIN_PASSWORD\", \"valueFrom\": \"${SECRET_KEY_SECRET_ARN}\" },";
    let file = "ecs/ecs_users_taskdefinition.json";
    let without = fs::read_to_string(world.checkout.root().join(file)).unwrap();
    world
        .checkout
        .prepend("case \"$1\" in recreate_db | create_admin) echo \"$*: done\"; exit 0 ;; esac");
    world.run(&["deploy"]).ends_with(0);
    let open = |more: &[&'static str]| {
        let set = ["recreate_db", "--on", "ecs", "--set", "database.protected=false"];
        [&set[..], more].concat()
    };
    world.run(&open(&[])).ends_with(10).says("--yes-destroy users");
    world.run(&open(&["--yes-destroy", "other"])).ends_with(10).says("nothing was changed");
    let done = world.run(&open(&["--yes-destroy", "users"])).ends_with(0);
    done.says("recreate_db --yes-destroy users: done");
    let admin = ["create_admin", "--on", "ecs", "--username", "ada", "--email", "ada@example.com"];
    world.run(&admin).ends_with(10).says("no ADMIN_PASSWORD");
    let promoted = world.run(&[&admin[..], &["--promote"]].concat()).ends_with(0);
    promoted.says("create_admin --username ada --email ada@example.com --promote: done");
    world.checkout.write(file, &without.replacen("\"secrets\": [", secret, 1));
    world.checkout.commit("Name the administrator's password");
    world.run(&["deploy"]).ends_with(0);
    let done = world.run(&admin).ends_with(0);
    done.says("create_admin --username ada --email ada@example.com: done");
}

#[tokio::test]
async fn no_secret_is_printed_or_kept() {
    let world = World::new().await;
    // As somebody might who does not know better: a secret of the environment, as a plain variable.
    let file = "ecs/ecs_users_taskdefinition.json";
    let document = fs::read_to_string(world.checkout.root().join(file)).unwrap();
    let plain = |name: &str| {
        let value =
            "\"environment\": [{ \"name\": \"NAME\", \"value\": \"${REGISTRY_PASSWORD}\" },";
        document.replacen("\"environment\": [", &value.replace("NAME", name), 1)
    };
    world.checkout.write(file, &plain("MAIL_PASSWORD"));
    world.checkout.commit("Send mails");
    // `World::run` looks at what is printed, and at the temporary files.
    for command in [&["plan"][..], &["deploy", "--output", "json"], &["status"], &["doctor"]] {
        world.run(command);
    }
    // With a connection of its own: the emulator may just be about to end an old one.
    let aws = Aws::new(world.endpoint());
    let asked = json!({ "taskDefinition": format!("{}-users-td", world.name) });
    let described = aws.ecs("DescribeTaskDefinition", asked).await;
    assert!(described.to_string().contains(SECRETS[2].1), "the secret is not where it was put");
    world.checkout.write(file, &plain("MAIL_NOTE"));
    world.checkout.prepend("if [ \"$1\" = serve ]; then echo 'no mails'; exit 7; fi");
    world.run(&["plan"]).ends_with(0).says("MAIL_PASSWORD <redacted, removed>").says("MAIL_NOTE");
    world.deploy_in_vain().says("no mails");
    world.run(&["history", "--output", "json"]).ends_with(0).says("no mails");
    let stored = objects(&world).await;
    assert!(stored.len() >= 3, "the lock and the records: {stored:?}");
    for (key, content) in stored {
        for (name, secret) in SECRETS {
            assert!(!content.contains(secret), "{name} in {key}");
        }
    }
    for file in files(&world.checkout.root()) {
        let content = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        for (name, secret) in SECRETS {
            assert!(!content.contains(secret), "{name} in {}", file.display());
        }
    }
}

/// What lies in the pipeline's bucket: each object's name and content.
async fn objects(world: &World) -> Vec<(String, String)> {
    let bucket = format!("{}/{}-pipeline-{ACCOUNT}", world.endpoint(), world.name);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/s3/aws4_request, \
         SignedHeaders=host, Signature=0"
    );
    let get = async |url: String| {
        let request = reqwest::Client::new().get(url).header("authorization", &authorization);
        request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    };
    let list = get(format!("{bucket}?list-type=2")).await;
    let mut objects = Vec::new();
    for entry in list.split("<Contents>").skip(1) {
        let key = element(entry, "Key").to_owned();
        let content = get(format!("{bucket}/{key}")).await;
        objects.push((key, content));
    }
    objects
}
