//! The programs that are measured, as processes whose log nobody reads.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tests::{Client, Database, SECRET_KEY, guard::free_port, program};

/// A program that serves; ended with this value.
pub(crate) struct Service {
    child: Child,
    /// Where it listens, as `http://127.0.0.1:5000`.
    pub(crate) base: String,
}

impl Service {
    /// `users serve` as production runs it, log lines and counted tries included, and with more
    /// settings.
    pub(crate) async fn start(database: &Database, settings: &[(&str, &str)]) -> Self {
        let port = free_port().to_string();
        let mut command = Command::new(program::path());
        command.env_clear().env("LOG_FORMAT", "json").env("SECRET_KEY", SECRET_KEY);
        command.env("DATABASE_URL", database.url()).env("PORT", &port);
        // Counted as ever, and none too many.
        for limit in ["THROTTLE_ADDRESS", "THROTTLE_REGISTER", "THROTTLE_ACCOUNT"] {
            command.env(limit, "1000000/1");
        }
        command.envs(settings.iter().copied()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let service = Self { child, base: format!("http://127.0.0.1:{port}") };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap())).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "users serve does not listen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        service.client().get("/ping").await.ok(200);
        service
    }

    /// The framework alone.
    pub(crate) fn bare() -> Self {
        Self::of_baseline(&mut baseline("serve"))
    }

    /// The framework and look-ups that go one way or another to the database.
    pub(crate) fn reading(database: &Database, way: &str, connections: usize) -> Self {
        let mut read = baseline("read");
        Self::of_baseline(read.args([way, &connections.to_string()]).arg(database.url()))
    }

    fn of_baseline(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").expect(&line).to_owned();
        Self { child, base }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.base)
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn baseline(what: &str) -> Command {
    let path = std::env::var_os("BASELINE_BIN").expect("run `cargo xtask bench`");
    let mut command = Command::new(path);
    command.arg(what);
    command
}

/// How many passwords a second all cores hash, with nothing else to do.
pub(crate) fn hashes_per_second(seconds: u64) -> f64 {
    let output = baseline("hash").arg(seconds.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
