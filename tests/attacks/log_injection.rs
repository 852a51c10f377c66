//! Log injection: whatever a request says, a line of the log is a line of ours, and a terminal that
//! shows it obeys nobody.

use serde_json::{Value, json};
use tests::{Database, program::Serving};

use crate::raw::exchange;

/// When no line of ours is from.
const WHEN: &str = "2026-01-01T00:00:00Z";
/// A line that somebody might believe, behind what might end ours.
const FORGED: &str = "2026-01-01T00:00:00Z INFO event=\"login\" user=1 forged";

/// What might end a line, or tell a terminal what to do: C0, C1, and Unicode's own line breaks.
const BREAKS: [&str; 9] =
    ["\n", "\r", "\r\n", "\u{1b}[2K\u{1b}[1A", "\u{9b}31m", "\u{85}", "\u{2028}", "\0", "\u{8}"];

/// Says it everywhere: in paths, headers and bodies, as it is and percent-encoded.
async fn say_everywhere(serving: &Serving) -> usize {
    let mut requests = 0;
    for line_break in BREAKS {
        let text = format!("{line_break}{FORGED}");
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let plain = text.replace(' ', "_");
        for request in [
            format!("GET /{encoded} HTTP/1.1\r\n\r\n"),
            format!("GET /{plain} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GET /users/{encoded} HTTP/1.1\r\n\r\n"),
            format!("GET /users?q={plain} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("{plain} /users HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GET /ping HTTP/1.1\r\nHost: x\r\nX-Request-Id: {text}\r\n\r\n"),
            format!("GET /ping HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {text}\r\n\r\n"),
            format!("GET /ping HTTP/1.1\r\nHost: x\r\nUser-Agent: {text}\r\n\r\n"),
            format!("GET /auth/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {text}\r\n\r\n"),
            format!("GET /ping HTTP/1.1\r\nHost: {plain}\r\n\r\n"),
        ] {
            let request = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            let address = serving.address().to_owned();
            let exchange = move || exchange(&address, request.as_bytes());
            tokio::task::spawn_blocking(exchange).await.unwrap();
            requests += 1;
        }
        let client = serving.client();
        let body = json!({"username": text, "email": format!("{text}@x.y"), "password": text});
        client.post("/auth/register").json(body).await;
        let body = json!({"email": text, "password": text, "x\n": text});
        client.post("/auth/login").json(body).await;
        let body = json!({"email": text, "password": text});
        client.post("/auth/login").json(body).await;
        client.post("/auth/refresh").json(json!({"refresh_token": text})).await;
        requests += 4;
    }
    requests
}

async fn log(format: &str) -> (usize, Vec<String>) {
    let database = Database::migrated().await;
    let serving = Serving::start(&[
        ("DATABASE_URL", &database.url()),
        ("LOG_FORMAT", format),
        ("RUST_LOG", "info,users=debug"),
    ]);
    let requests = say_everywhere(&serving).await;
    serving.terminate();
    let (code, lines) = serving.finish();
    assert_eq!(code, Some(0));
    assert!(lines.len() >= requests / 2, "{} lines of {requests} requests", lines.len());
    (requests, lines)
}

fn obeys_nobody(line: &str) {
    let found = line.chars().find(|c| c.is_control() || ['\u{2028}', '\u{2029}'].contains(c));
    assert_eq!(found, None, "{line:?}");
}

#[tokio::test]
async fn lines_of_text_are_lines_of_ours() {
    let (requests, lines) = log("text").await;
    for line in &lines {
        // A time, as every line of ours begins.
        assert!(line.starts_with("20") && line.contains('Z'), "{line:?}");
        assert!(!line.starts_with(WHEN), "{line:?}");
        obeys_nobody(line);
    }
    println!("{requests} requests, {} lines, none forged", lines.len());
}

#[tokio::test]
async fn lines_of_json_are_objects_of_ours() {
    let (requests, lines) = log("json").await;
    for line in &lines {
        let entry: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["timestamp"].is_string() && entry["level"].is_string(), "{line}");
        assert_ne!(entry["event"], "login", "{line}");
        obeys_nobody(line);
    }
    println!("{requests} requests, {} lines, none forged", lines.len());
}
