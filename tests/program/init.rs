//! Process 1 of the images.

use std::{
    io::{BufRead as _, BufReader},
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
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"typed").unwrap();
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
