//! An account with everything that `infra apply` makes, a checkout, and the pipeline between them.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use contract::paths::API_PATTERNS;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Checkout,
    aws::{ACCOUNT, Aws, REGION, element},
};
use crate::{
    guard::{Guarded, free_port},
    pipeline,
};

/// What nothing may print or keep.
pub const SECRETS: [(&str, &str); 3] = [
    ("DATABASE_URL", "postgres://users:pa'ss\"%20word@database.example:5432/users"),
    ("SECRET_KEY", "a signing key with a quote ' and 40 bytes of length"),
    ("REGISTRY_PASSWORD", "the-password-of-the-registry"),
];

/// How long the pipeline may take. Machines that test are busy.
const PATIENCE: Duration = Duration::from_mins(15);

/// All of it; ends, with its containers, when it is dropped.
pub struct World {
    /// Where the pipeline runs.
    pub checkout: Checkout,
    /// The emulator, past the pipeline.
    pub aws: Aws,
    /// What everything in the account is called after.
    pub name: String,
    endpoint: String,
    environment: BTreeMap<&'static str, String>,
    scratch: TempDir,
    // Last: it ends after what needs it.
    _emulator: Guarded,
}

impl World {
    /// With one commit that has not been deployed.
    pub async fn new() -> Self {
        let world = Self::empty().await;
        let values = world.provision().await;
        world.configure(&values);
        world.checkout.commit("Begin");
        world
    }

    /// An account with nothing in it.
    pub async fn empty() -> Self {
        let port = free_port();
        let (endpoint, scratch) =
            (format!("http://127.0.0.1:{port}"), tempfile::tempdir().unwrap());
        let program = std::env::var_os("MINISTACK_BIN").map(PathBuf::from).unwrap_or_else(|| {
            panic!("MINISTACK_BIN names no emulator: run `cargo xtask test`, which installs it")
        });
        let state = scratch.path().join("emulator");
        let emulator = Guarded::start("TERM", &program, |command| {
            command.env("GATEWAY_PORT", port.to_string()).env("BIND_HOST", "127.0.0.1");
            command.env("IOT_MTLS_ENABLED", "0").env("SFTP_ENABLED", "0");
            command.env("MINISTACK_REGION", REGION).env("MINISTACK_ACCOUNT_ID", ACCOUNT);
            command.env("STATE_DIR", &state).env("S3_DATA_DIR", state.join("s3"));
            command.stdout(Stdio::null()).stderr(Stdio::null());
        });
        await_ready(&endpoint).await;

        let name = format!("emulated-{port}");
        let aws = Aws::new(&endpoint);
        let checkout = Checkout::new(&name);
        let environment = BTreeMap::from([
            ("AWS_ENDPOINT_URL", endpoint.clone()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCOUNT.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "example".to_owned()),
            ("REGISTRY_USERNAME", "AWS".to_owned()),
            ("REGISTRY_PASSWORD", SECRETS[2].1.to_owned()),
        ]);
        Self { checkout, aws, name, endpoint, environment, scratch, _emulator: emulator }
    }

    /// Makes what `infra apply` makes.
    async fn provision(&self) -> Vec<(String, String)> {
        let (aws, name) = (&self.aws, &self.name);
        aws.bucket(&format!("{name}-pipeline-{ACCOUNT}")).await;
        aws.ecs("CreateCluster", json!({ "clusterName": self.cluster() })).await;
        let balancer = aws
            .query(
                "elasticloadbalancing",
                &[
                    ("Action", "CreateLoadBalancer"),
                    ("Version", "2015-12-01"),
                    ("Name", &format!("{name}-alb")),
                    ("Subnets.member.1", "subnet-1"),
                    ("Subnets.member.2", "subnet-2"),
                ],
            )
            .await;
        let mut groups = BTreeMap::new();
        for service in ["users", "client"] {
            let group = aws
                .query(
                    "elasticloadbalancing",
                    &[
                        ("Action", "CreateTargetGroup"),
                        ("Version", "2015-12-01"),
                        ("Name", &format!("{name}-{service}-tg")),
                        ("Protocol", "HTTP"),
                        ("Port", "80"),
                        ("VpcId", "vpc-1"),
                    ],
                )
                .await;
            groups.insert(service, element(&group, "TargetGroupArn").to_owned());
            let log_group = json!({ "logGroupName": format!("{name}-{service}-log") });
            aws.json("logs", "Logs_20140328.CreateLogGroup", log_group).await;
            let repository = json!({ "repositoryName": format!("{name}-{service}") });
            let target = "AmazonEC2ContainerRegistry_V20150921.CreateRepository";
            aws.json("ecr", target, repository).await;
        }
        let listener = aws
            .query(
                "elasticloadbalancing",
                &[
                    ("Action", "CreateListener"),
                    ("Version", "2015-12-01"),
                    ("LoadBalancerArn", element(&balancer, "LoadBalancerArn")),
                    ("Protocol", "HTTP"),
                    ("Port", "80"),
                    ("DefaultActions.member.1.Type", "forward"),
                    ("DefaultActions.member.1.TargetGroupArn", &groups["client"]),
                ],
            )
            .await;
        for (number, pattern) in (1..).zip(API_PATTERNS) {
            aws.query(
                "elasticloadbalancing",
                &[
                    ("Action", "CreateRule"),
                    ("Version", "2015-12-01"),
                    ("ListenerArn", element(&listener, "ListenerArn")),
                    ("Priority", &number.to_string()),
                    ("Conditions.member.1.Field", "path-pattern"),
                    ("Conditions.member.1.Values.member.1", pattern),
                    ("Actions.member.1.Type", "forward"),
                    ("Actions.member.1.TargetGroupArn", &groups["users"]),
                ],
            )
            .await;
        }
        let mut values = Vec::new();
        for (secret, value) in &SECRETS[..2] {
            let body = json!({ "Name": format!("{name}-{secret}"), "SecretString": value });
            let made = aws.json("secretsmanager", "secretsmanager.CreateSecret", body).await;
            values.push((format!("{secret}_SECRET_ARN"), made["ARN"].as_str().unwrap().to_owned()));
        }
        values
    }

    /// Writes the pipeline's configuration.
    pub fn configure(&self, values: &[(String, String)]) {
        let host = self.endpoint.trim_start_matches("http://");
        let mut text = format!(
            "name = \"{}\"\n[registry]\nhost = \"{host}\"\n[services.users]\n[services.client]\n\
             build_args = {{ API_SERVICE_URL = \"\" }}\n[aws]\nurl = \"{}\"\n[values]\n",
            self.name,
            self.url("")
        );
        for (name, value) in values {
            text.push_str(&format!("{name} = \"{value}\"\n"));
        }
        self.checkout.write("ecs/pipeline.toml", &text);
    }

    /// What the cluster is called.
    pub fn cluster(&self) -> String {
        format!("{}-cluster", self.name)
    }

    /// The task definition that a service runs, by family and revision.
    pub async fn primary(&self, service: &str) -> String {
        self.aws.primary(&self.cluster(), &format!("{}-{service}-service", self.name)).await
    }

    /// The digests of what the tag `prod` names, and of what runs.
    pub async fn prod_and_running(&self, service: &str) -> (String, String) {
        let url = format!("{}/v2/{}-{service}/manifests/prod", self.endpoint, self.name);
        let accept = "application/vnd.docker.distribution.manifest.v2+json, \
                      application/vnd.oci.image.manifest.v1+json";
        let request = reqwest::Client::new().get(url).header("accept", accept);
        let answer = request
            .basic_auth("AWS", Some(SECRETS[2].1))
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        let prod = answer.headers()["docker-content-digest"].to_str().unwrap().to_owned();
        // With a connection of its own: the emulator may just be about to end an old one.
        let asked = json!({ "taskDefinition": self.primary(service).await });
        let found = Aws::new(&self.endpoint).ecs("DescribeTaskDefinition", asked).await;
        let image = &found["taskDefinition"]["containerDefinitions"][0]["image"];
        let (_, running) = image.as_str().unwrap().split_once('@').unwrap();
        (prod, running.to_owned())
    }

    /// How many task definitions were registered.
    pub async fn registered(&self) -> [usize; 2] {
        let family = |service: &str| format!("{}-{service}-td", self.name);
        [self.aws.revisions(&family("users")).await, self.aws.revisions(&family("client")).await]
    }

    /// An address behind the load balancer.
    pub fn url(&self, path: &str) -> String {
        format!("{}/_alb/{}-alb{path}", self.endpoint, self.name)
    }

    /// What the API answers through the load balancer, with its version.
    pub async fn ping(&self) -> (String, String) {
        let answer = reqwest::get(self.url("/ping")).await.unwrap();
        let version =
            answer.headers().get("x-app-version").map(|version| version.to_str().unwrap());
        let version = version.unwrap_or_default().to_owned();
        (answer.text().await.unwrap(), version)
    }

    /// Where the emulator listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Has the pipeline reach AWS by another address.
    pub fn reach_by(&mut self, endpoint: &str) {
        self.environment.insert("AWS_ENDPOINT_URL", endpoint.to_owned());
    }

    /// Runs the pipeline to its end. Whatever comes of it, it shows and leaves no secret.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).finish()
    }

    /// Deploys a release that ends at once, and so is taken back. Where the machine is so busy that the
    /// end comes more than a second after the start, the emulator counts the release as started, and
    /// only the smoke check finds it: then it is deployed once more.
    #[track_caller]
    pub fn deploy_in_vain(&self) -> Finished {
        const TRIES: usize = 3;
        let mut deploy = self.run(&["deploy"]);
        for _ in 1..TRIES {
            if deploy.status.code() != Some(50) {
                break;
            }
            deploy = self.run(&["deploy"]);
        }
        deploy.ends_with(40)
    }

    /// Starts the pipeline.
    pub fn start(&self, arguments: &[&str]) -> Running {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let scratch = self.scratch.path().join(format!("scratch-{number}"));
        std::fs::create_dir(&scratch).unwrap();
        let mut command = self.command(&pipeline::path());
        command.args(arguments).env("TMPDIR", &scratch).env("XDG_RUNTIME_DIR", &scratch);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::new(command.spawn().unwrap(), scratch)
    }

    /// A program in the checkout, for which the emulator is AWS.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = pipeline::command(program, &self.checkout.root());
        command.env("NO_PROXY", "127.0.0.1").envs(&self.environment);
        command
    }
}

async fn await_ready(endpoint: &str) {
    let start = Instant::now();
    let url = format!("{endpoint}/_ministack/ready");
    while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(start.elapsed() < Duration::from_secs(60), "the emulator does not start");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Drop for World {
    /// Has the emulator remove its containers.
    fn drop(&mut self) {
        let reset = Command::new("curl")
            .args(["--silent", "--max-time", "60", "--request", "POST"])
            .arg(format!("{}/_ministack/reset", self.endpoint))
            .stdout(Stdio::null())
            .status();
        assert!(reset.is_ok_and(|status| status.success()) || thread::panicking());
    }
}

/// The pipeline at work.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    stderr: String,
    stdout: thread::JoinHandle<String>,
    scratch: PathBuf,
}

impl Running {
    fn new(mut child: Child, scratch: PathBuf) -> Self {
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stdout = child.stdout.take().unwrap();
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, lines, stderr: String::new(), stdout, scratch }
    }

    /// Waits for a line that begins so.
    #[track_caller]
    pub fn until(&mut self, beginning: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no “{beginning}”:\n{}", self.stderr));
            self.stderr.push_str(&line);
            self.stderr.push('\n');
            if line.starts_with(beginning) {
                return;
            }
        }
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            // Everybody on a machine can read what programs are started with.
            if let Some((program, name)) = secret_in_arguments() {
                self.child.kill().unwrap();
                panic!("{name} is an argument of {program}");
            }
            if start.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                self.stderr.extend(self.lines.iter().map(|line| line + "\n"));
                panic!("the pipeline does not end:\n{}", self.stderr);
            }
            thread::sleep(Duration::from_millis(50));
        };
        self.stderr.extend(self.lines.iter().map(|line| line + "\n"));
        let finished =
            Finished { status, stdout: self.stdout.join().unwrap(), stderr: self.stderr };
        for (name, secret) in SECRETS {
            assert!(!finished.output().contains(secret), "{name} in {}", finished.output());
        }
        let left: Vec<_> = files(&self.scratch);
        assert_eq!(left, Vec::<PathBuf>::new());
        finished
    }
}

/// A program that runs with a secret among its arguments, and which.
fn secret_in_arguments() -> Option<(String, &'static str)> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok()).find_map(
        |line| {
            let line = String::from_utf8_lossy(&line).into_owned();
            let found = SECRETS.iter().find(|(_, secret)| line.contains(secret));
            found.map(|(name, _)| (line.split('\0').next().unwrap_or_default().to_owned(), *name))
        },
    )
}

/// All files below a directory.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

/// What came of it.
pub struct Finished {
    status: ExitStatus,
    /// What it wrote for programs.
    pub stdout: String,
    /// What it wrote for people.
    pub stderr: String,
}

impl Finished {
    /// Both outputs.
    pub fn output(&self) -> String {
        format!("{}{}", self.stderr, self.stdout)
    }

    /// Asserts the exit code, one of the documented ones.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.output());
        self
    }

    /// Asserts that a person is told this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.output().contains(text), "“{text}” is not in\n{}", self.output());
        self
    }

    /// The report for programs.
    #[track_caller]
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}
