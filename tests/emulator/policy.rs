//! What the deploy role may do: each call of a whole run, and none of its neighbours. The policy is
//! the stack's own, as the emulator filled it in; the emulator's simulator of IAM judges.

use serde_json::{Value, json};

use tests::emulator::{
    Aws, World,
    aws::{ACCOUNT, REGION, element},
};

use crate::{infra, models::python, proxy::Proxy};

/// A call, as IAM sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    action: String,
    resource: String,
    /// Condition keys with their values.
    context: Vec<(&'static str, String)>,
}

impl Call {
    fn new(action: &str, resource: impl Into<String>) -> Self {
        Self { action: action.to_owned(), resource: resource.into(), context: Vec::new() }
    }

    fn when(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.context.push((key, value.into()));
        self
    }
}

#[tokio::test]
async fn the_deploy_role_may_do_what_deploys_do_and_nothing_beside_it() {
    let mut world = World::empty().await;
    let proxy = Proxy::start(world.endpoint(), Vec::new()).await;
    let host = world.endpoint().trim_start_matches("http://");
    let here = format!(
        "[registry]\nhost = \"{host}\"\n[aws]\nurl = \"{}\"\n[database]\nprotected = false\n",
        world.url("")
    );
    infra::configure(&world, &here);
    world.checkout.commit("Begin");
    world.run(&["infra", "apply", "--yes"]).ends_with(0);
    world.reach_by(&proxy.endpoint());
    for command in [
        &["deploy"][..],
        &["seed_db", "--on", "ecs"],
        &["exec", "--", "seed_db"],
        &["status"],
        &["history"],
        &["logs"],
        &["scale", "client", "1"],
    ] {
        world.run(command).ends_with(0);
    }
    world.checkout.change("second");
    for command in [&["deploy"][..], &["rollback"], &["prune", "--yes"]] {
        world.run(command).ends_with(0);
    }
    world.run(&["doctor"]);

    let policy = deploy_policy(&world).await;
    let mut calls: Vec<Call> = proxy.requests().iter().flat_map(|one| calls(&world, one)).collect();
    // Only of a rollout that fails, and of AWS's own records, which the emulator has not.
    calls.extend(unseen(&world));
    calls.sort();
    calls.dedup();
    assert!(calls.len() > 40, "{calls:#?}");
    let denied: Vec<Call> = judge(&world.aws, &policy, calls.clone(), false).await;
    assert!(denied.is_empty(), "not allowed: {denied:#?}");
    let neighbours = neighbours(&world);
    let allowed: Vec<Call> = judge(&world.aws, &policy, neighbours.clone(), true).await;
    assert!(allowed.is_empty(), "allowed, and should not be: {allowed:#?}");
    println!("{} calls are allowed, {} neighbours are not", calls.len(), neighbours.len());
}

/// The document of the stack's policy.
async fn deploy_policy(world: &World) -> String {
    let outputs = world.run(&["infra", "outputs", "--output", "json"]).ends_with(0).report();
    let arn = outputs["outputs"]["DeployPolicyArn"].as_str().unwrap().to_owned();
    let iam = |action: &'static str| [("Action", action), ("Version", "2010-05-08")];
    let question = [&iam("GetPolicy")[..], &[("PolicyArn", &arn)]].concat();
    let found = world.aws.query("iam", &question).await;
    let version = element(&found, "DefaultVersionId");
    let question =
        [&iam("GetPolicyVersion")[..], &[("PolicyArn", &arn), ("VersionId", version)]].concat();
    let found = world.aws.query("iam", &question).await;
    // IAM gives documents URL-encoded.
    let encoded = element(&found, "Document");
    let url = reqwest::Url::parse(&format!("http://iam/?document={encoded}")).unwrap();
    url.query_pairs().next().unwrap().1.into_owned()
}

/// Those of the calls that the policy allows, or those that it does not.
async fn judge(aws: &Aws, policy: &str, calls: Vec<Call>, allows: bool) -> Vec<Call> {
    let (plain, conditional): (Vec<Call>, Vec<Call>) =
        calls.into_iter().partition(|call| call.context.is_empty());
    let mut judged = Vec::new();
    for call in plain {
        let question = [
            ("Action", "SimulateCustomPolicy"),
            ("Version", "2010-05-08"),
            ("PolicyInputList.member.1", policy),
            ("ActionNames.member.1", &call.action),
            ("ResourceArns.member.1", &call.resource),
        ];
        let answer = aws.query("iam", &question).await;
        judged.push((element(&answer, "EvalDecision") == "allowed", call));
    }
    let asked: Vec<Value> = conditional
        .iter()
        .map(|call| {
            let context: serde_json::Map<String, Value> = call
                .context
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone().into()))
                .collect();
            json!({ "action": call.action, "resource": call.resource, "context": context })
        })
        .collect();
    let asked = json!({ "policy": policy, "calls": asked });
    let answer = python(&["tests/emulator/iam_conditions.py"], &asked.to_string());
    assert!(answer.status.success(), "{answer:?}");
    let allowed: Vec<bool> = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(allowed.len(), conditional.len());
    judged.extend(allowed.into_iter().zip(conditional));
    judged.into_iter().filter(|(allowed, _)| *allowed == allows).map(|(_, call)| call).collect()
}

fn ecs(resource: &str) -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:{resource}")
}

/// What a recorded request needs, after AWS's service authorization reference.
fn calls(world: &World, request: &Value) -> Vec<Call> {
    let header = |name: &str| request["headers"][name].as_str().unwrap_or_default();
    let service = header("authorization").split('/').nth(3).unwrap_or_default();
    let text = request["body"].as_str().unwrap();
    if service == "s3" {
        return vec![s3(request)];
    }
    let target = header("x-amz-target");
    if target.is_empty() {
        let action = text.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap();
        return match service {
            // Everybody may ask who they are.
            "sts" => Vec::new(),
            "cloudformation" => {
                let stack = format!("stack/{}/*", world.name);
                let arn = format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:{stack}");
                vec![Call::new(&format!("cloudformation:{action}"), arn)]
            }
            service => vec![Call::new(&format!("{service}:{action}"), "*")],
        };
    }
    let action = target.rsplit('.').next().unwrap();
    let body: Value = serde_json::from_str(text).unwrap();
    match service {
        "ecs" => of_ecs(world, action, &body),
        "ecr" if action == "GetAuthorizationToken" => {
            vec![Call::new("ecr:GetAuthorizationToken", "*")]
        }
        "ecr" => {
            let repository =
                body["repositoryName"].as_str().map(|name| format!("repository/{name}"));
            let repository = repository.unwrap_or_else(|| panic!("{action}: {body}"));
            let arn = format!("arn:aws:ecr:{REGION}:{ACCOUNT}:{repository}");
            vec![Call::new(&format!("ecr:{action}"), arn)]
        }
        "logs" => {
            let group = body["logGroupName"].as_str().unwrap();
            let stream = body["logStreamName"].as_str();
            let stream = stream.map(|name| format!("log-stream:{name}")).unwrap_or_default();
            let arn = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:{stream}");
            vec![Call::new(&format!("logs:{action}"), arn)]
        }
        other => panic!("{other}:{action} has no mapping here"),
    }
}

fn s3(request: &Value) -> Call {
    let path = request["path"].as_str().unwrap();
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    let bucket = bucket.trim_start_matches('/');
    match (request["method"].as_str().unwrap(), key) {
        ("GET", "") => Call::new("s3:ListBucket", format!("arn:aws:s3:::{bucket}")),
        ("GET", key) => Call::new("s3:GetObject", format!("arn:aws:s3:::{bucket}/{key}")),
        ("PUT", key) => Call::new("s3:PutObject", format!("arn:aws:s3:::{bucket}/{key}")),
        other => panic!("{other:?} has no mapping here"),
    }
}

fn of_ecs(world: &World, action: &str, body: &Value) -> Vec<Call> {
    let cluster = world.cluster();
    let named = |key: &str| -> Vec<String> {
        let list = body[key].as_array().cloned().unwrap_or_else(|| vec![body[key].clone()]);
        list.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let inside = |kind: &str, names: Vec<String>| -> Vec<Call> {
        let arn = |name: &String| match name.starts_with("arn:") {
            true => name.clone(),
            false => ecs(&format!("{kind}/{cluster}/{name}")),
        };
        names.iter().map(|name| Call::new(&format!("ecs:{action}"), arn(name))).collect()
    };
    let in_cluster = |call: Call| call.when("ecs:cluster", ecs(&format!("cluster/{cluster}")));
    match action {
        "DescribeClusters" | "ListContainerInstances" => {
            vec![Call::new(&format!("ecs:{action}"), ecs(&format!("cluster/{cluster}")))]
        }
        "CreateService" => inside("service", named("serviceName")),
        "UpdateService" | "ListServiceDeployments" => inside("service", named("service")),
        "DescribeServices" => inside("service", named("services")),
        "DescribeTasks" => inside("task", named("tasks")),
        "StopTask" => inside("task", named("task")),
        "ListTasks" => vec![in_cluster(Call::new("ecs:ListTasks", "*"))],
        "RunTask" => {
            let definition = body["taskDefinition"].as_str().unwrap();
            assert!(definition.starts_with("arn:"), "{body}");
            vec![in_cluster(Call::new("ecs:RunTask", definition))]
        }
        "RegisterTaskDefinition" => {
            // The client has no role of its own, for it calls nothing.
            let roles = ["executionRoleArn", "taskRoleArn"].map(|role| body[role].as_str());
            assert!(roles[0].is_some(), "{body}");
            let pass = |role| {
                Call::new("iam:PassRole", role)
                    .when("iam:PassedToService", "ecs-tasks.amazonaws.com")
            };
            let register = Call::new("ecs:RegisterTaskDefinition", "*");
            roles.into_iter().flatten().map(pass).chain([register]).collect()
        }
        "DescribeTaskDefinition" | "ListTaskDefinitions" | "DeregisterTaskDefinition" => {
            vec![Call::new(&format!("ecs:{action}"), "*")]
        }
        other => panic!("ecs:{other} has no mapping here"),
    }
}

/// What the run on the emulator does not come to.
fn unseen(world: &World) -> Vec<Call> {
    let (cluster, service) = (world.cluster(), format!("{}-users-service", world.name));
    let log = format!("{}-users-log", world.name);
    let logs = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{log}");
    let repository = format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{}-users", world.name);
    let mut calls: Vec<Call> = [
        ("ecs:DescribeServiceDeployments", format!("service-deployment/{cluster}/{service}/a1")),
        ("ecs:StopServiceDeployment", format!("service-deployment/{cluster}/{service}/a1")),
        ("ecs:DescribeServiceRevisions", format!("service-revision/{cluster}/{service}/1")),
        ("ecs:StopTask", format!("task/{cluster}/0123456789abcdef0123456789abcdef")),
        ("ecs:DescribeContainerInstances", format!("container-instance/{cluster}/0123")),
    ]
    .map(|(action, resource)| Call::new(action, ecs(&resource)))
    .into();
    calls.push(Call::new("logs:GetLogEvents", format!("{logs}:log-stream:users/users/0123")));
    // docker pushes and pulls in the role's name.
    calls.push(Call::new("ecr:GetAuthorizationToken", "*"));
    calls.extend(
        [
            "BatchCheckLayerAvailability",
            "BatchGetImage",
            "CompleteLayerUpload",
            "GetDownloadUrlForLayer",
            "InitiateLayerUpload",
            "PutImage",
            "UploadLayerPart",
        ]
        .map(|action| Call::new(&format!("ecr:{action}"), &*repository)),
    );
    calls
}

/// Calls that are like those of a deploy, on what is not the deploy role's.
fn neighbours(world: &World) -> Vec<Call> {
    let (cluster, name) = (world.cluster(), &world.name);
    let service = format!("{name}-users-service");
    let role = |role: &str| format!("arn:aws:iam::{ACCOUNT}:role/{role}");
    let repository = |name: &str| format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}");
    let bucket = format!("arn:aws:s3:::{name}-pipeline-{ACCOUNT}");
    let td = |family: &str| ecs(&format!("task-definition/{family}:1"));
    let this = ecs(&format!("cluster/{cluster}"));
    let mut calls = vec![
        // Another cluster's service, another service of this one, another region, another account.
        Call::new("ecs:UpdateService", ecs(&format!("service/other-cluster/{service}"))),
        Call::new("ecs:UpdateService", ecs(&format!("service/{cluster}/other"))),
        Call::new("ecs:CreateService", ecs(&format!("service/other-cluster/{service}"))),
        Call::new(
            "ecs:UpdateService",
            format!("arn:aws:ecs:eu-west-1:{ACCOUNT}:service/{cluster}/{service}"),
        ),
        Call::new(
            "ecs:UpdateService",
            format!("arn:aws:ecs:{REGION}:210987654321:service/{cluster}/{service}"),
        ),
        Call::new("ecs:StopTask", ecs("task/other-cluster/0123")),
        Call::new("ecs:DescribeTasks", ecs("task/other-cluster/0123")),
        Call::new(
            "ecs:StopServiceDeployment",
            ecs(&format!("service-deployment/other-cluster/{service}/a1")),
        ),
        Call::new("ecs:DeleteService", ecs(&format!("service/{cluster}/{service}"))),
        Call::new("ecs:ExecuteCommand", ecs(&format!("task/{cluster}/0123"))),
        Call::new("ecs:DeleteCluster", this.clone()),
        Call::new("ecs:DescribeClusters", ecs("cluster/other-cluster")),
        // One-off tasks: of another family, in another cluster, in none that is told.
        Call::new("ecs:RunTask", td(&format!("{name}-client-td"))).when("ecs:cluster", &*this),
        Call::new("ecs:RunTask", td("other")).when("ecs:cluster", &*this),
        Call::new("ecs:RunTask", td(&format!("{name}-users-td")))
            .when("ecs:cluster", ecs("cluster/other-cluster")),
        Call::new("ecs:RunTask", td(&format!("{name}-users-td"))),
        Call::new("ecs:ListTasks", "*").when("ecs:cluster", ecs("cluster/other-cluster")),
    ];
    for other in ["admin", &format!("{name}-deploy-role"), &format!("{name}-host-role")] {
        calls.push(
            Call::new("iam:PassRole", role(other))
                .when("iam:PassedToService", "ecs-tasks.amazonaws.com"),
        );
    }
    for task in ["execution", "task"] {
        let role = role(&format!("{name}-{task}-role"));
        calls.push(
            Call::new("iam:PassRole", &*role).when("iam:PassedToService", "ec2.amazonaws.com"),
        );
        calls.push(Call::new("iam:PassRole", role));
    }
    calls.extend([
        Call::new("ecr:PutImage", repository("other")),
        Call::new("ecr:BatchDeleteImage", repository("other")),
        Call::new("ecr:DeleteRepository", repository(&format!("{name}-users"))),
        Call::new("ecr:SetRepositoryPolicy", repository(&format!("{name}-users"))),
        Call::new("s3:PutObject", format!("{bucket}/cache/x")),
        Call::new("s3:PutObject", format!("arn:aws:s3:::other-pipeline-{ACCOUNT}/lock.json")),
        Call::new("s3:DeleteObject", format!("{bucket}/releases/x.json")),
        Call::new("s3:DeleteBucket", &*bucket),
        Call::new(
            "logs:GetLogEvents",
            format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:other:log-stream:a"),
        ),
        Call::new(
            "logs:DeleteLogGroup",
            format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}-users-log:"),
        ),
        Call::new(
            "cloudformation:UpdateStack",
            format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/*"),
        ),
        Call::new(
            "cloudformation:DescribeStacks",
            format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/other/*"),
        ),
        Call::new(
            "secretsmanager:GetSecretValue",
            format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:SecretKey-a"),
        ),
        Call::new("rds:DeleteDBInstance", format!("arn:aws:rds:{REGION}:{ACCOUNT}:db:users")),
        Call::new("iam:CreateRole", role("new")),
        Call::new("iam:AttachRolePolicy", role(&format!("{name}-deploy-role"))),
        Call::new("elasticloadbalancing:ModifyListener", "*"),
        Call::new("ec2:RunInstances", "*"),
    ]);
    calls
}
