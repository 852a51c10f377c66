//! Process 1 of the images.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
};

use tests::program::beside_this_test;

fn init(arguments: &[&str]) -> Command {
    let mut command = Command::new(beside_this_test("init"));
    command.args(arguments);
    command
}

fn said(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn it_ends_with_the_code_of_the_program_and_adds_no_word() {
    for code in [0, 1, 40] {
        let output = init(&["sh", "-c", &format!("exit {code}")]).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(said(&output), "");
    }
}

#[test]
fn arguments_and_streams_are_those_of_the_program() {
    let output = init(&["echo", "-n", "a b", "", "c"]).output().unwrap();
    assert_eq!(output.stdout, b"a b  c");
    let mut child = init(&["cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"typed").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"typed");
}

/// A shell that says when it is ready, and on each signal which one.
fn listening() -> (Child, impl Iterator<Item = String>) {
    let script = "for s in TERM INT HUP USR1; do trap \"echo $s; exit 7\" $s; done; \
                  echo ready; while :; do sleep 0.05; done";
    let mut child = init(&["sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    (child, lines)
}

#[test]
fn signals_are_handed_through() {
    for name in ["TERM", "INT", "HUP", "USR1"] {
        let (child, mut lines) = listening();
        assert_eq!(lines.next().as_deref(), Some("ready"));
        let kill = ["-s", name, &child.id().to_string()];
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        assert_eq!(lines.next().as_deref(), Some(name));
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(7));
        assert_eq!(said(&output), "");
    }
}

#[test]
fn a_program_that_is_killed_leaves_a_last_line() {
    let output = init(&["sh", "-c", "kill -KILL $$"]).output().unwrap();
    assert_eq!(output.status.code(), Some(137));
    assert!(said(&output).starts_with("init: sh was killed"), "{}", said(&output));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let output = init(&["/nowhere/program"]).output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(said(&output).contains("/nowhere/program could not be started"), "{}", said(&output));
    let output = init(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("usage: init PROGRAM"), "{}", said(&output));
}

#[test]
fn it_says_whether_the_service_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let answers: [(&[u8], i32, &str); 4] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 0, ""),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 1, "HTTP/1.1 503 Service Unavailable"),
        (b"HTTP/1.1 2000\r\n\r\n", 1, "HTTP/1.1 2000"),
        (b"", 1, "nothing came back"),
    ];
    let server = std::thread::spawn(move || {
        answers.map(|(answer, ..)| {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(&stream).lines().map(Result::unwrap);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            stream.write_all(answer).unwrap();
            head
        })
    });
    let ask = || init(&["--healthcheck", "/health"]).env("SERVER_PORT", &port).output().unwrap();
    for (_, code, reason) in answers {
        let output = ask();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(reason), "{}", said(&output));
        assert_eq!(said(&output).is_empty(), code == 0, "{}", said(&output));
    }
    for head in server.join().unwrap() {
        assert_eq!(head[0], "GET /health HTTP/1.1");
    }
    // Nobody listens there any more.
    assert_eq!(ask().status.code(), Some(1));
    for bad in [&["--healthcheck"][..], &["--healthcheck", "health"]] {
        let output = init(bad).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains("usage: init --healthcheck PATH"), "{}", said(&output));
    }
    let output = init(&["--healthcheck", "/"]).env("SERVER_PORT", "http").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
