//! HAProxy, from Debian, in front of two tasks: it asks both how they are, and sends requests to
//! those that are well.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tests::guard::{Guarded, free_port};

/// A running HAProxy.
#[derive(Debug)]
pub(crate) struct Haproxy {
    port: u16,
    directory: TempDir,
    _process: Guarded,
}

impl Haproxy {
    /// In front of tasks on these ports. A request is tried elsewhere only where the first task took
    /// no connection, which is safe for every method.
    pub(crate) async fn start(tasks: [u16; 2]) -> Self {
        let program = program().expect(
            "HAProxy is not installed: `cargo xtask test` leaves this test out where it is missing",
        );
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let socket = directory.path().join("admin.sock").display().to_string();
        let [first, second] = tasks;
        let config = format!(
            "global
                stats socket {socket} level admin
            defaults
                mode http
                timeout connect 10s
                timeout client 65s
                timeout server 60s
                timeout check 10s
                retries 3
                option redispatch 1
                option httpchk GET /ping
                option forwardfor
            frontend front
                bind 127.0.0.1:{port}
                default_backend tasks
            backend tasks
                balance roundrobin
                default-server check inter 100ms fall 2 rise 1
                server task0 127.0.0.1:{first}
                server task1 127.0.0.1:{second}\n"
        );
        let file = directory.path().join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let process = Guarded::start("TERM", &program, |command| {
            // Quiet: that tasks come and go is what this is for.
            command.args(["-db", "-q", "-f"]).arg(&file);
        });
        let proxy = Self { port, directory, _process: process };
        for task in 0..2 {
            proxy.wait_until_well(task).await;
        }
        proxy
    }

    /// The address in front.
    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Gives a task no new requests, as a load balancer does with a target that is deregistered.
    pub(crate) fn drain(&self, task: usize) {
        self.tell(&format!("set server tasks/task{task} state drain"));
    }

    /// Gives a task requests again, once it is well.
    pub(crate) async fn restore(&self, task: usize) {
        self.tell(&format!("set server tasks/task{task} state ready"));
        self.wait_until_well(task).await;
    }

    /// Waits until the health check of a task has succeeded.
    pub(crate) async fn wait_until_well(&self, task: usize) {
        let begin = Instant::now();
        while !self.is_well(task) {
            assert!(begin.elapsed() < Duration::from_secs(30), "task {task} does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn is_well(&self, task: usize) -> bool {
        let name = format!("tasks,task{task},");
        // The 18th column is the status, the 37th what the last check found.
        self.tell("show stat").lines().any(|line| {
            let fields: Vec<_> = line.split(',').collect();
            line.starts_with(&name) && fields[17] == "UP" && fields[36] == "L7OK"
        })
    }

    /// A command on the administrator's socket.
    fn tell(&self, command: &str) -> String {
        let Ok(mut socket) = UnixStream::connect(self.directory.path().join("admin.sock")) else {
            return String::new();
        };
        writeln!(socket, "{command}").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian has it among the administrator's programs.
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    directories.map(|directory| directory.join("haproxy")).find(|program| program.is_file())
}
