//! What the two roles may do: each call of a whole run, and none of its neighbours. The policies are
//! the stack's own, as the emulator filled them in; the emulator's simulator of IAM judges.

use std::collections::BTreeSet;

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

    let of_builds = deploy_policy(&world).await;
    let policy = together(&of_builds, &prune_policy(&world).await);
    let mut calls: Vec<Call> = proxy.requests().iter().flat_map(|one| calls(&world, one)).collect();
    // Only of a rollout that fails, and of AWS's own records, which the emulator has not.
    calls.extend(unseen(&world));
    calls.sort();
    calls.dedup();
    assert!(calls.len() > 40, "{calls:#?}");
    // And it grants nothing that nobody calls.
    let called: BTreeSet<&str> = calls.iter().map(|call| call.action.as_str()).collect();
    let granted = actions(&policy);
    let idle: Vec<_> = granted.iter().filter(|action| !called.contains(action.as_str())).collect();
    assert!(idle.is_empty(), "granted, and never called: {idle:?}");
    let denied: Vec<Call> = judge(&world.aws, &policy, calls.clone(), false).await;
    assert!(denied.is_empty(), "not allowed: {denied:#?}");
    let neighbours = neighbours(&world);
    let allowed: Vec<Call> = judge(&world.aws, &policy, neighbours.clone(), true).await;
    assert!(allowed.is_empty(), "allowed, and should not be: {allowed:#?}");
    println!("{} calls are allowed, {} neighbours are not", calls.len(), neighbours.len());

    // A build deploys, and takes nothing away that releases could go back to.
    let template = include_str!("../../ecs/stack.yml");
    let (_, build) = template.split_once("\n  BuildRole:\n").unwrap();
    let (build, _) = build.split_once("\n  BuildLog:\n").unwrap();
    assert!(build.contains("ManagedPolicyArns: [!Ref DeployPolicy]\n"), "{build}");
    let repository = format!("arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{}-users", world.name);
    let prunes = vec![
        Call::new("ecs:DeregisterTaskDefinition", "*"),
        Call::new("ecr:BatchDeleteImage", repository),
    ];
    let allowed: Vec<Call> = judge(&world.aws, &of_builds, prunes.clone(), true).await;
    assert!(allowed.is_empty(), "allowed to builds: {allowed:#?}");
    assert!(prunes.iter().all(|call| calls.iter().any(|one| one.action == call.action)));
}

/// A role's policies as one.
fn together(one: &str, other: &str) -> String {
    let [mut one, other] = [one, other].map(|text| serde_json::from_str::<Value>(text).unwrap());
    let more = other["Statement"].as_array().unwrap().clone();
    one["Statement"].as_array_mut().unwrap().extend(more);
    one.to_string()
}

/// The document of what only the deploy role has beside it.
async fn prune_policy(world: &World) -> String {
    let role = format!("{}-deploy-role", world.name);
    let question = [
        ("Action", "GetRolePolicy"),
        ("Version", "2010-05-08"),
        ("RoleName", &*role),
        ("PolicyName", "prune"),
    ];
    let found = world.aws.query("iam", &question).await;
    decoded(element(&found, "PolicyDocument"))
}

/// The actions that a policy grants.
fn actions(policy: &str) -> BTreeSet<String> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let named = statements.iter().flat_map(|statement| match &statement["Action"] {
        Value::Array(actions) => actions.clone(),
        action => vec![action.clone()],
    });
    named.map(|action| action.as_str().unwrap().to_owned()).collect()
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
    decoded(element(&found, "Document"))
}

/// IAM gives documents URL-encoded.
fn decoded(document: &str) -> String {
    let url = reqwest::Url::parse(&format!("http://iam/?document={document}")).unwrap();
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
                let arn = match action {
                    // Neither is about one stack.
                    "GetTemplateSummary" | "DescribeStackDriftDetectionStatus" => "*".to_owned(),
                    _ => format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:{stack}"),
                };
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
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    let bucket = bucket.trim_start_matches('/');
    match (request["method"].as_str().unwrap(), key) {
        ("GET", "") if query.contains("versions") => {
            Call::new("s3:ListBucketVersions", format!("arn:aws:s3:::{bucket}"))
        }
        ("POST", "") if query.contains("delete") => {
            Call::new("s3:DeleteObjectVersion", format!("arn:aws:s3:::{bucket}/lock.json"))
        }
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
        "UpdateService" | "DeleteService" | "ListServiceDeployments" => {
            inside("service", named("service"))
        }
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
    // Of a cluster that has hosts, and of a `prune` that finds something.
    calls.push(Call::new("ecs:ListContainerInstances", ecs(&format!("cluster/{cluster}"))));
    calls.push(Call::new("ecs:DeregisterTaskDefinition", "*"));
    for action in ["ecr:BatchDeleteImage", "ecr:DescribeImages"] {
        calls.push(Call::new(action, &*repository));
    }
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
        // `tunnel` says who may: the other role.
        Call::new(
            "secretsmanager:GetSecretValue",
            format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:DatabasePassword-1"),
        ),
        Call::new("rds:DeleteDBInstance", format!("arn:aws:rds:{REGION}:{ACCOUNT}:db:users")),
        Call::new("iam:CreateRole", role("new")),
        Call::new("iam:AttachRolePolicy", role(&format!("{name}-deploy-role"))),
        Call::new("elasticloadbalancing:ModifyListener", "*"),
        Call::new("ec2:RunInstances", "*"),
    ]);
    calls
}

#[tokio::test]
async fn the_provisioning_role_may_change_the_stack_and_nothing_beside_it() {
    let mut world = World::empty().await;
    let proxy = Proxy::start(world.endpoint(), Vec::new()).await;
    infra::configure(&world, EVERYTHING);
    world.reach_by(&proxy.endpoint());
    for command in [&["plan"][..], &["apply", "--yes"], &["outputs"], &["drift"]] {
        world.run(&[&["infra"], command].concat()).ends_with(0);
    }
    let policy = provision_policy(&world).await;
    let task = json!({ "family": "idle", "containerDefinitions": [
        { "name": "idle", "image": "idle", "memory": 64 },
    ]});
    world.aws.ecs("RegisterTaskDefinition", task).await;
    let service = json!({ "cluster": world.cluster(), "taskDefinition": "idle", "desiredCount": 0,
        "serviceName": format!("{}-users-service", world.name) });
    world.aws.ecs("CreateService", service).await;
    world.run(&["infra", "destroy", "--yes-destroy", "users"]).ends_with(0);

    let recorded = proxy.requests();
    let mut calls: Vec<Call> = recorded.iter().flat_map(|one| calls(&world, one)).collect();
    for expected in ["CreateChangeSet", "ExecuteChangeSet", "DetectStackDrift", "DeleteStack"] {
        let expected = format!("cloudformation:{expected}");
        assert!(calls.iter().any(|call| call.action == expected), "{expected}: {calls:#?}");
    }
    calls.extend(in_its_name(&world));
    let here = |call: Call| call.when("aws:RequestedRegion", REGION);
    let mut calls: Vec<Call> = calls.into_iter().map(here).collect();
    calls.sort();
    calls.dedup();
    let denied: Vec<Call> = judge(&world.aws, &policy, calls.clone(), false).await;
    assert!(denied.is_empty(), "not allowed: {denied:#?}");
    let neighbours = beside_the_stack(&world);
    let allowed: Vec<Call> = judge(&world.aws, &policy, neighbours.clone(), true).await;
    assert!(allowed.is_empty(), "allowed, and should not be: {allowed:#?}");
    println!("{} calls are allowed, {} neighbours are not", calls.len(), neighbours.len());
}

/// Parameters with which the policy has all its statements.
const EVERYTHING: &str = "AlarmEmail = \"a@example.com\"\n\
    RepositoryUrl = \"https://github.com/owner/name.git\"\n\
    RepositoryConnection = \"arn:aws:codeconnections:us-west-1:123456789012:connection/0123\"\n";

async fn provision_policy(world: &World) -> String {
    let role = format!("provision-{}", world.name);
    let question = [
        ("Action", "GetRolePolicy"),
        ("Version", "2010-05-08"),
        ("RoleName", &*role),
        ("PolicyName", "provision"),
    ];
    let found = world.aws.query("iam", &question).await;
    decoded(element(&found, "PolicyDocument"))
}

/// What CloudFormation calls in the role's name to make, change and remove what the template has:
/// after the documentation of its resource types, for the emulator makes them without calls.
fn in_its_name(world: &World) -> Vec<Call> {
    let name = &world.name;
    let arn = |service: &str, rest: &str| {
        format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{}", rest.replace("NAME", name))
    };
    let mut calls = Vec::new();
    for (service, resource, actions) in [
        ("ec2", "vpc/vpc-1", "CreateVpc DeleteVpc ModifyVpcAttribute DescribeVpcs CreateTags"),
        ("ec2", "subnet/subnet-1", "CreateSubnet DeleteSubnet ModifySubnetAttribute"),
        (
            "ec2",
            "internet-gateway/igw-1",
            "CreateInternetGateway AttachInternetGateway DetachInternetGateway DeleteInternetGateway",
        ),
        (
            "ec2",
            "route-table/rtb-1",
            "CreateRouteTable DeleteRouteTable AssociateRouteTable DisassociateRouteTable \
             CreateRoute DeleteRoute",
        ),
        (
            "ec2",
            "security-group/sg-1",
            "CreateSecurityGroup DeleteSecurityGroup AuthorizeSecurityGroupIngress \
             AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress RevokeSecurityGroupEgress",
        ),
        (
            "ec2",
            "launch-template/lt-1",
            "CreateLaunchTemplate CreateLaunchTemplateVersion DeleteLaunchTemplate RunInstances",
        ),
        (
            "elasticloadbalancing",
            "loadbalancer/app/NAME-alb/1",
            "CreateLoadBalancer DeleteLoadBalancer ModifyLoadBalancerAttributes CreateListener",
        ),
        (
            "elasticloadbalancing",
            "listener/app/NAME-alb/1/2",
            "ModifyListener DeleteListener CreateRule",
        ),
        ("elasticloadbalancing", "listener-rule/app/NAME-alb/1/2/3", "ModifyRule DeleteRule"),
        (
            "elasticloadbalancing",
            "targetgroup/NAME-users-tg/1",
            "CreateTargetGroup DeleteTargetGroup ModifyTargetGroup ModifyTargetGroupAttributes",
        ),
        (
            "rds",
            "db:NAME-database-1",
            "CreateDBInstance ModifyDBInstance DeleteDBInstance CreateDBSnapshot AddTagsToResource",
        ),
        ("rds", "snapshot:NAME-snapshot-database-1", "CreateDBSnapshot"),
        ("rds", "subgrp:NAME-databasesubnets-1", "CreateDBSubnetGroup DeleteDBSubnetGroup"),
        (
            "rds",
            "pg:NAME-databaseparameters-1",
            "CreateDBParameterGroup ModifyDBParameterGroup DeleteDBParameterGroup",
        ),
        (
            "autoscaling",
            "autoScalingGroup:1:autoScalingGroupName/NAME-Hosts-1",
            "CreateAutoScalingGroup UpdateAutoScalingGroup DeleteAutoScalingGroup SuspendProcesses \
             ResumeProcesses CreateOrUpdateTags",
        ),
        (
            "ecs",
            "cluster/NAME-cluster",
            "CreateCluster DescribeClusters UpdateCluster DeleteCluster PutClusterCapacityProviders",
        ),
        (
            "ecs",
            "capacity-provider/NAME-CapacityProvider-1",
            "CreateCapacityProvider UpdateCapacityProvider DeleteCapacityProvider",
        ),
        (
            "logs",
            "log-group:NAME-users-log",
            "CreateLogGroup PutRetentionPolicy DeleteLogGroup DescribeLogGroups",
        ),
        (
            "ecr",
            "repository/NAME-users",
            "CreateRepository DescribeRepositories PutLifecyclePolicy PutImageScanningConfiguration \
             DeleteRepository",
        ),
        (
            "secretsmanager",
            "secret:DatabasePassword-1",
            "CreateSecret UpdateSecret GetSecretValue DeleteSecret",
        ),
        ("secretsmanager", "secret:SecretKey-1", "CreateSecret DeleteSecret GetRandomPassword"),
        ("codebuild", "project/NAME-build", "CreateProject UpdateProject CreateWebhook"),
        ("sns", "NAME-alarms", "CreateTopic Subscribe DeleteTopic"),
        ("cloudwatch", "alarm:NAME-users-down", "PutMetricAlarm DeleteAlarms DescribeAlarms"),
        ("codeconnections", "connection/0123", "GetConnection PassConnection UseConnection"),
    ] {
        let call = |action| Call::new(&format!("{service}:{action}"), arn(service, resource));
        calls.extend(actions.split_whitespace().map(call));
    }
    let bucket = format!("arn:aws:s3:::{name}-pipeline-{ACCOUNT}");
    for action in [
        "CreateBucket",
        "DeleteBucket",
        "PutBucketPolicy",
        "PutBucketVersioning",
        "PutBucketPublicAccessBlock",
        "PutBucketOwnershipControls",
        "PutEncryptionConfiguration",
        "PutLifecycleConfiguration",
    ] {
        calls.push(Call::new(&format!("s3:{action}"), &*bucket));
    }
    let image = "arn:aws:ssm:us-west-1::parameter/aws/service/ecs/optimized-ami/amazon-linux-2023\
                 /recommended/image_id";
    calls.push(Call::new("ssm:GetParameters", image));
    let iam = |rest: &str| format!("arn:aws:iam::{ACCOUNT}:{}", rest.replace("NAME", name));
    let role = iam("role/NAME-host-role");
    for action in ["CreateRole", "PutRolePolicy", "DeleteRolePolicy", "AttachRolePolicy"] {
        let boundary = iam("policy/boundary-NAME");
        let call = Call::new(&format!("iam:{action}"), &*role);
        calls.push(call.when("iam:PermissionsBoundary", boundary));
    }
    for action in ["GetRole", "DeleteRole", "TagRole", "UpdateAssumeRolePolicy"] {
        calls.push(Call::new(&format!("iam:{action}"), &*role));
    }
    for action in ["CreateInstanceProfile", "AddRoleToInstanceProfile", "DeleteInstanceProfile"] {
        let profile = iam("instance-profile/NAME-host-profile");
        calls.push(Call::new(&format!("iam:{action}"), profile));
    }
    calls.push(Call::new("iam:CreatePolicyVersion", iam("policy/NAME-deploy")));
    for service in ["ec2.amazonaws.com", "codebuild.amazonaws.com"] {
        calls.push(Call::new("iam:PassRole", &*role).when("iam:PassedToService", service));
    }
    calls
}

/// Calls like those, on what is not the stack's, or by which the role would grow.
fn beside_the_stack(world: &World) -> Vec<Call> {
    let name = &world.name;
    let arn = |service: &str, rest: &str| {
        format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{}", rest.replace("NAME", name))
    };
    let iam = |rest: &str| format!("arn:aws:iam::{ACCOUNT}:{}", rest.replace("NAME", name));
    let boundary = iam("policy/boundary-NAME");
    let elsewhere = "arn:aws:cloudformation:us-west-1:123456789012:stack/other/1";
    let mut calls: Vec<Call> = [
        ("cloudformation:CreateChangeSet", elsewhere.to_owned()),
        ("cloudformation:DeleteStack", elsewhere.to_owned()),
        ("rds:DeleteDBInstance", arn("rds", "db:other-database-1")),
        ("rds:DeleteDBSnapshot", arn("rds", "snapshot:other-snapshot-1")),
        ("ecs:DeleteCluster", arn("ecs", "cluster/other-cluster")),
        ("ecs:DeleteService", arn("ecs", "service/other-cluster/NAME-users-service")),
        ("ecr:DeleteRepository", arn("ecr", "repository/other")),
        ("s3:DeleteBucket", format!("arn:aws:s3:::other-pipeline-{ACCOUNT}")),
        ("s3:GetObject", "arn:aws:s3:::other/secret".to_owned()),
        ("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:other-1")),
        ("logs:DeleteLogGroup", arn("logs", "log-group:other")),
        ("codebuild:StartBuild", arn("codebuild", "project/other")),
        (
            "elasticloadbalancing:DeleteLoadBalancer",
            arn("elasticloadbalancing", "loadbalancer/app/other/1"),
        ),
        (
            "autoscaling:DeleteAutoScalingGroup",
            arn("autoscaling", "autoScalingGroup:1:autoScalingGroupName/other"),
        ),
        ("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/OTHER".to_owned()),
        ("ssm:GetParameter", arn("ssm", "parameter/password")),
        ("ec2:TerminateInstances", arn("ec2", "instance/i-1")),
        ("kms:Decrypt", arn("kms", "key/1")),
        ("iam:CreateUser", iam("user/ada")),
        ("iam:CreateAccessKey", iam("user/ada")),
        // Without the boundary, or of one that is not a role of the stack.
        ("iam:CreateRole", iam("role/NAME-host-role")),
        ("iam:PutRolePolicy", iam("role/NAME-host-role")),
        ("iam:AttachRolePolicy", iam("role/NAME-deploy-role")),
        ("iam:DeleteRolePermissionsBoundary", iam("role/NAME-host-role")),
        ("iam:PutRolePolicy", iam("role/provision-NAME")),
        ("iam:UpdateAssumeRolePolicy", iam("role/provision-NAME")),
        ("iam:UpdateAssumeRolePolicy", iam("role/admin")),
        ("iam:CreatePolicyVersion", boundary.clone()),
        ("iam:CreatePolicyVersion", iam("policy/other")),
        ("iam:PassRole", iam("role/NAME-host-role")),
    ]
    .into_iter()
    .map(|(action, resource)| Call::new(action, resource).when("aws:RequestedRegion", REGION))
    .collect();
    let write = |role: &str, boundary: &str| {
        Call::new("iam:PutRolePolicy", iam(role)).when("iam:PermissionsBoundary", boundary)
    };
    calls.push(write("role/provision-NAME", &boundary));
    calls.push(write("role/NAME-host-role", &iam("policy/other")));
    let pass = |role: &str, service: &str| {
        Call::new("iam:PassRole", iam(role)).when("iam:PassedToService", service)
    };
    calls.push(pass("role/NAME-execution-role", "ecs-tasks.amazonaws.com"));
    calls.push(pass("role/admin", "ec2.amazonaws.com"));
    calls.push(pass("role/provision-NAME", "codebuild.amazonaws.com"));
    for action in ["ec2:CreateVpc", "ec2:RunInstances", "rds:CreateDBInstance"] {
        let (service, _) = action.split_once(':').unwrap();
        let there = format!("arn:aws:{service}:eu-west-1:{ACCOUNT}:db:{name}-database-1");
        calls.push(Call::new(action, there).when("aws:RequestedRegion", "eu-west-1"));
    }
    calls
}
