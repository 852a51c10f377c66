//! The programs that make load: wrk for HTTP, pgbench for SQL.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::{
    process::{Server, cpu},
    rounds::blocking,
    service::Service,
};

/// How many connections the load comes over: those of wrk to the API, and those of pgbench to
/// PostgreSQL.
pub(crate) const CONNECTIONS: usize = 32;

/// What came of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Requests a second.
    pub(crate) rate: f64,
    /// The time that half of them took at most, in ms.
    pub(crate) p50: f64,
    /// The time that all but a hundredth took at most, in ms.
    pub(crate) p99: f64,
    /// Processor time a request, in µs: of the API.
    pub(crate) api: f64,
    /// And of PostgreSQL, where it was asked for and could be seen.
    pub(crate) postgres: Option<f64>,
}

/// HTTP load on a service.
#[derive(Clone, Debug)]
pub(crate) struct Wrk {
    /// What is sent, as `load.lua` reads it.
    pub(crate) arguments: Vec<String>,
    pub(crate) threads: usize,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
}

impl Wrk {
    /// Over as many connections as everything else.
    pub(crate) fn new(seconds: u64, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self { arguments, threads: 2, connections: CONNECTIONS, seconds }
    }

    /// Sends it. Every answer must be a good one.
    pub(crate) async fn run(&self, service: &Service, server: Option<Server>) -> Outcome {
        let mut command = Command::new("wrk");
        command.args(["--threads", &self.threads.to_string()]);
        command.args(["--connections", &self.connections.to_string()]);
        command.args(["--duration", &format!("{}s", self.seconds), "--timeout", "30s"]);
        command.arg("--script").arg(script()).arg(&service.base).arg("--").args(&self.arguments);
        let used = || (cpu(service.id()), server.map(Server::cpu));
        let before = used();
        let output = blocking(move || run(&mut command)).await;
        let after = used();
        let report = output.lines().find_map(|line| line.strip_prefix("REPORT "));
        let report: Value = serde_json::from_str(report.expect(&output)).unwrap();
        assert_eq!((&report["failed"], &report["broken"]), (&0.into(), &0.into()), "{output}");
        let figure = |name: &str| report[name].as_f64().unwrap();
        let requests = figure("requests");
        Outcome {
            rate: requests / figure("seconds"),
            p50: figure("p50_ms"),
            p99: figure("p99_ms"),
            api: (after.0 - before.0) / requests * 1e6,
            postgres: before.1.zip(after.1).map(|(from, to)| (to - from) / requests * 1e6),
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/figures/load.lua")
}

/// SQL load on a database, prepared.
#[derive(Clone, Debug)]
pub(crate) struct Pgbench {
    /// Scripts, and how often each is taken beside the others.
    scripts: Vec<(String, u32)>,
    connections: usize,
    seconds: u64,
}

impl Pgbench {
    /// One statement, over as many connections as everything else.
    pub(crate) fn new(seconds: u64, statement: &str) -> Self {
        Self::mixed(seconds, &[(statement, 1)])
    }

    /// Several, each with its weight.
    pub(crate) fn mixed(seconds: u64, scripts: &[(&str, u32)]) -> Self {
        let scripts = scripts.iter().map(|(script, weight)| ((*script).to_owned(), *weight));
        Self { scripts: scripts.collect(), connections: CONNECTIONS, seconds }
    }

    /// Over so many connections.
    pub(crate) fn over(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// Runs it: scripts a second. Every statement must succeed.
    pub(crate) async fn run(&self, url: &str) -> f64 {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("pgbench");
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--define=step=0"]);
        command.arg(format!("--client={}", self.connections));
        command.arg(format!("--time={}", self.seconds));
        for (number, (script, weight)) in self.scripts.iter().enumerate() {
            let file = directory.path().join(format!("{number}.sql"));
            std::fs::write(&file, script).unwrap();
            command.arg(format!("--file={}@{weight}", file.display()));
        }
        command.arg(url);
        let output = blocking(move || run(&mut command)).await;
        // Its processes of the server take a moment to end, which is not to count for whoever is
        // next.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let rate = output.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rest| rest.split_whitespace().next()).expect(&output);
        rate.parse().unwrap()
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{} is not installed: {error}", command.get_program().to_string_lossy())
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}
