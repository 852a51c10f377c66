//! From the start of the program to its first answer: how long until a new task serves?

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tests::{guard::free_port, program};

use crate::{
    report::{Goal, Report},
    rounds::{median, percentile},
};

const CASE: &str = "startup";
const ROUNDS: usize = 20;

pub(super) fn measure(report: &mut Report) {
    let times: Vec<f64> = (0..ROUNDS).map(|_| start().as_secs_f64() * 1e3).collect();
    report.hold(
        CASE,
        "start to the first 200 on /ping, median",
        (median(times.iter().copied()), "ms"),
        Goal::AtMost(100.0),
    );
    report.tell(CASE, "slowest", percentile(times, 1.0), "ms");
}

/// Starts the program as production does, and ends it after its first answer.
fn start() -> Duration {
    let port = free_port();
    let mut command = Command::new(program::path());
    command.env_clear().envs([
        ("APP_ENV", "production"),
        ("HOST", "127.0.0.1"),
        ("SECRET_KEY", "a key of this benchmark: at least 32 bytes"),
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
    ]);
    command.env("PORT", port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    while !answers(port) {
        assert!(start.elapsed() < Duration::from_secs(10), "no answer");
        thread::sleep(Duration::from_micros(200));
    }
    let took = start.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    took
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
