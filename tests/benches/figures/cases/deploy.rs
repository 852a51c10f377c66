//! `cargo xtask deploy` of a commit that serves already, beside the AWS CLI with the same questions.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use tests::{
    emulator::{
        World,
        aws::{ACCOUNT, REGION},
    },
    pipeline,
};

use crate::{
    Effort,
    report::{Goal, Report},
    rounds::{alternate, median},
};

const CASE: &str = "deploy";

pub(super) async fn measure(effort: Effort, report: &mut Report) {
    let aws = PathBuf::from(std::env::var_os("AWSCLI_BIN").expect("run `cargo xtask bench`"));
    let pipeline = pipeline::path();
    let world = World::new().await;
    world.run(&["deploy"]).ends_with(0).says("released");
    world.run(&["deploy"]).ends_with(0).says("unchanged");
    let questions = questions(&world, &aws);
    let rounds = alternate(
        effort.rounds,
        async || seconds(|| drop(run(&world, &pipeline, "deploy"))),
        async || {
            seconds(|| {
                for question in &questions {
                    run(&world, &aws, question);
                }
            })
        },
    )
    .await;
    let ours = median(rounds.iter().map(|(deploy, _)| *deploy));
    report.hold(CASE, "unchanged", (ours, "s"), Goal::AtMost(2.0));
    let theirs = median(rounds.iter().map(|(_, asked)| *asked));
    let what = format!("its {} questions, by the AWS CLI", questions.len());
    report.tell(CASE, what, theirs, "s");
    report.tell(CASE, "of the AWS CLI", median(rounds.iter().map(|(a, b)| a / b)), "");
}

/// What `deploy` asks: who it is, what there is, what was released, and who else deploys.
fn questions(world: &World, aws: &Path) -> Vec<String> {
    let (name, cluster) = (&world.name, world.cluster());
    let bucket = format!("{name}-pipeline-{ACCOUNT}");
    let balancer = format!("elbv2 describe-load-balancers --names {name}-alb");
    let releases = format!("s3api list-objects-v2 --bucket {bucket} --prefix releases/");
    let first = |question: &str, field: &str| {
        run(world, aws, &format!("{question} --output text --query {field}")).trim().to_owned()
    };
    let listeners = format!(
        "elbv2 describe-listeners --load-balancer-arn {}",
        first(&balancer, "LoadBalancers[0].LoadBalancerArn")
    );
    let rules = first(&listeners, "Listeners[0].ListenerArn");
    let release = first(&releases, "Contents[0].Key");
    vec![
        "sts get-caller-identity".to_owned(),
        format!("ecs describe-clusters --clusters {cluster}"),
        format!(
            "ecs describe-services --cluster {cluster} \
             --services {name}-users-service {name}-client-service"
        ),
        format!("ecs describe-task-definition --task-definition {name}-users-td"),
        format!("ecs describe-task-definition --task-definition {name}-client-td"),
        format!("elbv2 describe-target-groups --names {name}-users-tg"),
        format!("elbv2 describe-target-groups --names {name}-client-tg"),
        balancer,
        listeners,
        format!("elbv2 describe-rules --listener-arn {rules}"),
        releases,
        format!("s3api get-object --bucket {bucket} --key {release} /dev/null"),
        // Nobody else deploys if there is none, and there is no stack here.
        format!("s3api list-objects-v2 --bucket {bucket} --prefix lock.json"),
        "cloudformation list-stacks".to_owned(),
    ]
}

/// Runs a program; gives what it says.
fn run(world: &World, program: &Path, arguments: &str) -> String {
    let mut command = world.command(program);
    // The AWS CLI's name of it.
    command.env("AWS_DEFAULT_REGION", REGION).args(arguments.split_whitespace());
    let output = command.output().unwrap();
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{arguments}: {}", said.concat());
    said[0].clone().into_owned()
}

/// How long it takes.
fn seconds(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}
