//! The stack, from nothing and back to nothing.

use std::{fs, path::Path, time::SystemTime};

use serde_json::json;

use tests::emulator::{
    World,
    aws::{ACCOUNT, REGION, element},
};

/// The emulator knows neither capacity providers nor ECS's own images of hosts.
const PARAMETERS: &str = "HostScaling = \"fixed\"\n\
    HostImage = \"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64\"\n";

/// Writes the configuration, with more parameters, and more of anything else behind them.
pub(crate) fn configure(world: &World, more: &str) {
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ecs/stack.yml");
    world.checkout.write("ecs/stack.yml", &fs::read_to_string(original).unwrap());
    let text = format!(
        "name = \"{}\"\n[services.users]\n[services.client]\n[parameters]\n{PARAMETERS}{more}",
        world.name
    );
    world.checkout.write("ecs/pipeline.toml", &text);
}

#[tokio::test]
async fn a_stack_is_made_after_a_yes_and_then_left_alone() {
    let world = World::empty().await;
    configure(&world, "");
    world.run(&["infra", "outputs"]).ends_with(10).says("there is no stack");
    let plan = world.run(&["infra", "plan", "--detailed-exitcode"]).ends_with(2);
    let plan = plan.says("a new stack").says("+ Database ").says("US dollars a month");
    assert!(!plan.output().contains("REPLACE"), "{}", plan.output());
    world.run(&["infra", "apply"]).ends_with(10).says("--yes");
    // Neither has left anything.
    world.run(&["infra", "outputs"]).ends_with(10);

    let applied = world.run(&["infra", "apply", "--yes"]).ends_with(0);
    applied.says("├ Database ").says("└ CREATE_COMPLETE").says("UsersTargetGroupArn");
    world.run(&["infra", "apply"]).ends_with(0).says("nothing to do");
    world.run(&["infra", "plan", "--detailed-exitcode"]).ends_with(0).says("unchanged");
    let outputs = world.run(&["infra", "outputs", "--output", "json"]).ends_with(0);
    assert_eq!(outputs.report()["outputs"]["Cluster"], world.cluster());

    configure(&world, "MinHosts = 2\n");
    let plan = world.run(&["infra", "plan", "--output", "json"]).ends_with(0).report();
    assert_eq!(plan["cost"]["cents"], 1364, "{plan}");
    world.run(&["infra", "apply", "--yes"]).ends_with(0).says("└ UPDATE_COMPLETE");
}

#[tokio::test]
async fn the_database_goes_only_if_it_is_named() {
    let world = World::empty().await;
    configure(&world, "");
    world.run(&["infra", "apply", "--yes"]).ends_with(0);
    configure(&world, "[database]\nname = \"people\"\n");
    world.run(&["infra", "plan"]).ends_with(0).says("! Database ").says("REPLACE");
    world.run(&["infra", "apply", "--yes"]).ends_with(10).says("--yes-destroy users");
    let wrong = ["infra", "apply", "--yes", "--yes-destroy", "people"];
    world.run(&wrong).ends_with(10).says("the database is \"users\"");
    configure(&world, "");
    world.run(&["infra", "plan", "--detailed-exitcode"]).ends_with(0);

    world.run(&["infra", "destroy"]).ends_with(10).says("--yes");
    world.run(&["infra", "destroy", "--yes-destroy", "people"]).ends_with(10);
    let cluster = world.cluster();
    let task = json!({ "family": "idle", "containerDefinitions": [
        { "name": "idle", "image": "idle", "memory": 64 },
    ]});
    world.aws.ecs("RegisterTaskDefinition", task).await;
    let service = json!({ "cluster": cluster, "taskDefinition": "idle", "desiredCount": 0,
        "serviceName": format!("{}-users-service", world.name) });
    world.aws.ecs("CreateService", service).await;
    let destroyed = world.run(&["infra", "destroy", "--yes", "--output", "json"]).ends_with(0);
    let report = destroyed.report();
    assert_eq!(report["services"], json!([format!("{}-users-service", world.name)]));
    let kept = report["kept"].to_string();
    assert!(kept.contains("Database (AWS::RDS::DBInstance)"), "{kept}");
    assert!(!kept.contains("AWS::ECS::Cluster"), "{kept}");
    world.run(&["infra", "outputs"]).ends_with(10).says("there is no stack");
}

/// Writes a lock that somebody holds.
async fn lock(world: &World, bucket: &str) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let holder = json!({ "token": "a", "who": "ada@laptop", "what": "deploy c0ffee", "since": now,
        "renewed": now, "expires": now + 600, "released": false });
    world.aws.object(bucket, "lock.json", &holder.to_string()).await;
}

#[tokio::test]
async fn only_what_is_the_stack_s_own_is_emptied() {
    let world = World::empty().await;
    configure(&world, "");
    world.run(&["infra", "apply", "--yes"]).ends_with(0);
    let own = format!("{}-pipeline-{ACCOUNT}", world.name);
    world.aws.object(&own, "releases/2026-11-23.1.json", "{}").await;
    // Somebody else's bucket and cluster, with a service of the same name.
    let company = format!("{}-company", world.name);
    world.aws.bucket(&company).await;
    world.aws.object(&company, "precious", "data").await;
    world.aws.ecs("CreateCluster", json!({ "clusterName": company })).await;
    let task = json!({ "family": "idle", "containerDefinitions": [
        { "name": "idle", "image": "idle", "memory": 64 },
    ]});
    world.aws.ecs("RegisterTaskDefinition", task).await;
    let service = format!("{}-users-service", world.name);
    let create = json!({ "cluster": company, "taskDefinition": "idle", "desiredCount": 0,
        "serviceName": service });
    world.aws.ecs("CreateService", create).await;

    configure(&world, &format!("[aws]\nbucket = \"{company}\"\ncluster = \"{company}\"\n"));
    let asked = world.run(&["infra", "destroy"]).ends_with(10);
    asked.says(&format!("all that is in the bucket {own}; "));
    // By either lock, a deploy is not disturbed.
    for bucket in [&company, &own] {
        lock(&world, bucket).await;
        let refused = world.run(&["infra", "destroy", "--yes"]).ends_with(60);
        refused.says("ada@laptop deploys (`deploy c0ffee`)");
        world.aws.object(bucket, "lock.json", RELEASED).await;
    }
    let mut destroyed = world.run(&["infra", "destroy", "--yes", "--output", "json"]).ends_with(0);
    let report = destroyed.report();
    assert_eq!(report["services"], json!([]), "{report}");
    assert!(report["objects"].as_u64() >= Some(1), "{report}");
    for spared in ["the bucket", "the cluster"] {
        destroyed = destroyed.says(&format!("left alone: {spared} {company} with "));
        assert!(report["kept"].to_string().contains(&format!("{spared} {company}")), "{report}");
    }
    assert!(world.aws.has_object(&company, "precious").await);
    assert!(!world.aws.has_object(&own, "releases/2026-11-23.1.json").await);
    let question = json!({ "cluster": company, "services": [service] });
    let found = world.aws.ecs("DescribeServices", question).await;
    assert_eq!(found["services"][0]["status"], "ACTIVE", "{found}");
}

/// A lock that was given back.
const RELEASED: &str = "{ \"token\": \"a\", \"who\": \"ada\", \"what\": \"deploy\", \"since\": 0, \
    \"renewed\": 0, \"expires\": 0, \"released\": true }";

#[tokio::test]
async fn nothing_is_changed_beside_a_deploy() {
    let world = World::empty().await;
    configure(&world, "");
    world.run(&["infra", "apply", "--yes"]).ends_with(0);
    let own = format!("{}-pipeline-{ACCOUNT}", world.name);
    lock(&world, &own).await;
    configure(&world, "LogDays = 7\n");
    let refused = world.run(&["infra", "apply", "--yes"]).ends_with(60);
    refused.says("ada@laptop deploys (`deploy c0ffee`): wait until that is done");
    // Looking disturbs nobody.
    world.run(&["infra", "plan", "--detailed-exitcode"]).ends_with(2);
    world.aws.object(&own, "lock.json", RELEASED).await;
    world.run(&["infra", "apply", "--yes"]).ends_with(0).says("└ UPDATE_COMPLETE");
}

#[tokio::test]
async fn with_its_name_the_database_goes_with_all_the_rest() {
    // Without protection, nothing but what is to be kept changes before the end.
    for protection in ["", "DatabaseProtection = \"false\"\n"] {
        let world = World::empty().await;
        configure(&world, protection);
        world.run(&["infra", "apply", "--yes"]).ends_with(0);
        let destroy = ["infra", "destroy", "--yes-destroy", "users", "--output", "json"];
        let destroyed = world.run(&destroy).ends_with(0);
        assert_eq!(destroyed.report()["kept"], json!([]), "{}", destroyed.output());
        destroyed.says("release ").says("└ UPDATE_COMPLETE");
    }
}

#[tokio::test]
async fn what_cannot_be_changed_is_told_by_its_cause() {
    let world = World::empty().await;
    configure(&world, "MinHost = 2\n");
    world.run(&["infra", "plan"]).ends_with(10).says("did you mean MinHosts?");
    configure(&world, "MinHosts = 99\n");
    world.run(&["infra", "plan"]).ends_with(1).says("Nothing was changed");
    for (parameters, reason) in [
        ("MinHosts = 3\n", "MaxHosts has to be more than MinHosts"),
        ("VpcId = \"vpc-0123\"\n", "VpcId needs SubnetIds"),
        ("DomainName = \"app.example.com\"\n", "DomainName needs HostedZoneId"),
        ("RepositoryUrl = \"https://github.com/a/b\"\n", "needs RepositoryConnection"),
    ] {
        configure(&world, parameters);
        world.run(&["infra", "plan"]).ends_with(1).says(reason);
    }
    // On the emulator, what a stack leaves is in the way of the next one of its name.
    configure(&world, "");
    world.run(&["infra", "apply", "--yes"]).ends_with(0);
    world.run(&["infra", "destroy", "--yes"]).ends_with(0);
    let failed = world.run(&["infra", "apply", "--yes"]).ends_with(1);
    let (_, error) = failed.stderr.split_once("error: ").unwrap();
    assert!(error.starts_with("DatabaseParameters (AWS::RDS::DBParameterGroup): "), "{error}");
    failed.says("What was made stays");
}

#[tokio::test]
async fn what_somebody_changed_past_the_stack_is_found() {
    let world = World::empty().await;
    configure(&world, "");
    world.run(&["infra", "drift"]).ends_with(10).says("there is no stack");
    world.run(&["infra", "apply", "--yes"]).ends_with(0);
    world.run(&["infra", "drift", "--detailed-exitcode"]).ends_with(0).says("nothing differs");
    let log = json!({ "logGroupName": format!("{}-users-log", world.name), "retentionInDays": 3 });
    world.aws.json("logs", "Logs_20140328.PutRetentionPolicy", log).await;
    let drift = world.run(&["infra", "drift", "--detailed-exitcode"]).ends_with(2);
    drift.says("UsersLog").says("30 → 3");
}

#[tokio::test]
async fn a_change_that_fails_is_put_back_and_said_by_its_cause() {
    let world = World::empty().await;
    configure(&world, "");
    world.run(&["infra", "apply", "--yes"]).ends_with(0);
    // There is no such zone.
    let domain = "DomainName = \"app.example.com\"\nHostedZoneId = \"Z0123\"\nLogDays = 7\n";
    configure(&world, domain);
    let failed = world.run(&["infra", "apply", "--yes"]).ends_with(40);
    let (_, error) = failed.stderr.split_once("error: ").unwrap();
    assert!(error.starts_with("Alias (AWS::Route53::RecordSet): "), "{error}");
    failed.says("UPDATE_ROLLBACK_COMPLETE").says("Everything is as it was before");
    configure(&world, "");
    world.run(&["infra", "plan", "--detailed-exitcode"]).ends_with(0).says("unchanged");
    world.run(&["infra", "drift", "--detailed-exitcode"]).ends_with(0);
    configure(&world, "LogDays = 7\n");
    world.run(&["infra", "apply", "--yes"]).ends_with(0).says("└ UPDATE_COMPLETE");
}

/// Makes a zone for a domain; gives its id.
async fn zone(world: &World, domain: &str) -> String {
    let body = format!(
        "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
         <Name>{domain}</Name><CallerReference>test</CallerReference></CreateHostedZoneRequest>"
    );
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/route53/aws4_request, \
         SignedHeaders=host, Signature=0"
    );
    let request = reqwest::Client::new()
        .post(format!("{}/2013-04-01/hostedzone", world.endpoint()))
        .header("authorization", authorization)
        .body(body);
    let answer = request.send().await.unwrap().text().await.unwrap();
    element(&answer, "Id").trim_start_matches("/hostedzone/").to_owned()
}

#[tokio::test]
async fn with_a_domain_everything_leads_to_https() {
    let world = World::empty().await;
    configure(&world, "");
    world.run(&["infra", "apply", "--yes"]).ends_with(0);
    let zone = zone(&world, "example.com").await;
    let domain = format!("DomainName = \"app.example.com\"\nHostedZoneId = \"{zone}\"\n");
    configure(&world, &domain);
    world.run(&["infra", "apply", "--yes"]).ends_with(0);
    world.run(&["infra", "outputs"]).ends_with(0).says("https://app.example.com");

    let ask = async |parameters: &[(&str, &str)]| {
        let version = [("Version", "2015-12-01")];
        world.aws.query("elasticloadbalancing", &[parameters, &version].concat()).await
    };
    let name = format!("{}-alb", world.name);
    let found = ask(&[("Action", "DescribeLoadBalancers"), ("Names.member.1", &name)]).await;
    let balancer = element(&found, "LoadBalancerArn");
    let found = ask(&[("Action", "DescribeListeners"), ("LoadBalancerArn", balancer)]).await;
    let listener = |port: &str| -> &str {
        let port = format!("<Port>{port}</Port><Protocol>");
        found.split("<member><ListenerArn>").find(|one| one.contains(&port)).unwrap_or_else(|| {
            panic!("no {port} in {found}");
        })
    };
    let (http, https) = (listener("80"), listener("443"));
    assert!(http.contains("<Type>redirect</Type>") && http.contains("HTTP_301"), "{http}");
    assert!(https.contains("<Type>forward</Type>"), "{https}");
    for (listener, rules) in [(http, false), (https, true)] {
        let (arn, _) = listener.split_once('<').unwrap();
        let found = ask(&[("Action", "DescribeRules"), ("ListenerArn", arn)]).await;
        assert_eq!(found.contains("/swagger*"), rules, "{found}");
    }
    // Nobody knows the name here, and `doctor` says of all three what is wrong.
    world
        .run(&["doctor"])
        .says("app.example.com has no address")
        .says("no trusted connection to app.example.com")
        .says("http://app.example.com gave no answer");

    configure(&world, "");
    world.run(&["infra", "apply", "--yes"]).ends_with(0);
    world.run(&["infra", "outputs"]).ends_with(0).says("Url  ").says(" http://");
}

#[tokio::test]
async fn with_a_repository_there_is_a_project_that_builds_it() {
    let world = World::empty().await;
    let connection = format!("arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/0123");
    let repository = format!(
        "RepositoryUrl = \"https://github.com/owner/name.git\"\n\
         RepositoryConnection = \"{connection}\"\n"
    );
    configure(&world, &repository);
    let project = format!("{}-build", world.name);
    world.run(&["infra", "apply", "--yes"]).ends_with(0).says("BuildProject").says(&project);
    let question = json!({ "names": [project] });
    let found = world.aws.json("codebuild", "CodeBuild_20161006.BatchGetProjects", question).await;
    let project = &found["projects"][0];
    assert_eq!(project["source"]["location"], "https://github.com/owner/name.git", "{project}");
    assert_eq!(project["source"]["buildspec"], "buildspec.yml", "{project}");
    assert_eq!(project["timeoutInMinutes"], 120, "{project}");
    let environment = &project["environment"];
    assert_eq!(environment["privilegedMode"], true, "{project}");
    let variables = &environment["environmentVariables"];
    assert_eq!(variables[0]["name"], "AWS_ACCOUNT_ID", "{project}");
    assert_eq!(variables[0]["value"], ACCOUNT, "{project}");
}
