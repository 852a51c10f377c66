//! The OpenAPI document: what it says, and that it is true.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use contract::{Email, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, Password, Username, paths};
use serde_json::{Value, json};
use tests::{Client, PASSWORD, Person, TestApp, http::Call};
use tokio::task::JoinSet;

#[tokio::test]
async fn the_document_is_as_reviewed() {
    let app = TestApp::spawn().await;
    insta::assert_json_snapshot!("openapi", app.document().json());
}

#[tokio::test]
async fn its_limits_are_those_of_the_rules() {
    let app = TestApp::spawn().await;
    let schemas = &app.document().json()["components"]["schemas"];
    let rows = [
        ("Username", Username::MIN, Username::MAX, Some(Username::PATTERN)),
        ("Email", Email::MIN, Email::MAX, Some(Email::PATTERN)),
        ("Password", Password::MIN, Password::MAX, None),
    ];
    for (name, min, max, pattern) in rows {
        let schema = &schemas[name];
        assert_eq!(schema["minLength"], min, "{name}");
        assert_eq!(schema["maxLength"], max, "{name}");
        if let Some(pattern) = pattern {
            assert_eq!(schema["pattern"], pattern, "{name}");
        }
    }
    for body in ["NewUser", "UpdateUser", "Login", "Refresh", "ChangePassword"] {
        assert_eq!(schemas[body]["additionalProperties"], false, "{body}");
    }
    let parameters = app.document().json()["paths"]["/users"]["get"]["parameters"].clone();
    let limit = parameters.as_array().unwrap().iter().find(|p| p["name"] == "limit").unwrap();
    assert_eq!(limit["schema"]["minimum"], 1);
    assert_eq!(limit["schema"]["maximum"], PAGE_LIMIT_MAX);
    let description = limit["description"].as_str().unwrap();
    assert!(description.contains(&format!("{PAGE_LIMIT_DEFAULT} by default")), "{description}");
}

#[tokio::test]
async fn every_operation_is_described() {
    let app = TestApp::spawn().await;
    let document = app.document().json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let about = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{about}: no summary");
            let name = operation["operationId"].as_str().expect(&about);
            assert!(names.insert(name.to_owned()), "{name} twice");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].as_str().is_some_and(|d| !d.is_empty()), "{about}");
                if status.starts_with(['4', '5']) {
                    let problem = &response["content"]["application/problem+json"]["schema"];
                    assert_eq!(problem["$ref"], "#/components/schemas/Problem", "{about} {status}");
                }
            }
        }
    }
    assert_eq!(names.len(), 14, "the operations of the contract: {names:?}");
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let app = TestApp::spawn().await;
    let document = app.document().json();
    let mut found = Vec::new();
    references(document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect(reference);
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for (_, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            for requirement in operation["security"].as_array().into_iter().flatten() {
                for scheme in requirement.as_object().unwrap().keys() {
                    assert!(
                        document["components"]["securitySchemes"][scheme].is_object(),
                        "{scheme}"
                    );
                }
            }
        }
    }
}

/// Walks through every outcome that the document lists, so that none is there for show.
#[tokio::test]
async fn every_documented_outcome_can_be_seen() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    successes(&app, &admin).await;
    refusals(&app, &admin).await;
    malformed_bodies(&app, &admin).await;
    bodies_that_do_not_end(&app, &admin).await;
    too_many_tries(&app, &admin).await;

    let away = [("DATABASE_TEST_URL", "postgres://postgres@127.0.0.1:1/nothing")];
    let (away, _away) = app.second_task(&away).await;
    for call in every_operation(&away, &admin) {
        let answer = call.await;
        assert!(answer.status == 503 || answer.request == "GET /ping", "{}", answer.request);
    }
    app.spoil().await;
    for call in every_operation(&app, &admin) {
        let answer = call.await;
        assert!(answer.status == 500 || answer.request == "GET /ping", "{}", answer.request);
    }

    let seen = app.document().seen();
    let unseen: Vec<_> = app.document().outcomes().difference(&seen).cloned().collect();
    assert_eq!(unseen, Vec::<String>::new(), "documented, but never answered");
}

/// A body that the operation accepts, if it takes one.
fn body(method: &str, pattern: &str) -> Option<Value> {
    let user = json!({"username": "sample", "email": "sample@example.com"});
    let new_user = json!({"username": "fresh", "email": "fresh@example.com", "password": PASSWORD});
    match (method, pattern) {
        ("POST", paths::USERS | paths::REGISTER) => Some(new_user),
        ("PUT", paths::USER) => Some(user),
        ("POST", paths::LOGIN) => Some(json!({"email": "a@example.com", "password": PASSWORD})),
        ("POST", paths::REFRESH) => Some(json!({
            "refresh_token": format!("{}{}", contract::REFRESH_TOKEN_PREFIX, "A".repeat(43)),
        })),
        ("PUT", paths::PASSWORD) => {
            Some(json!({"current_password": PASSWORD, "new_password": "paper river candle"}))
        }
        _ => None,
    }
}

fn operations(client: &Client) -> Vec<(String, String)> {
    let mut operations = Vec::new();
    for (pattern, item) in client.document().json()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            operations.push((method.to_uppercase(), pattern.clone()));
        }
    }
    operations
}

/// One well-formed call of each operation.
fn every_operation(client: &Client, caller: &Person) -> Vec<Call> {
    let call = |(method, pattern): (String, String)| {
        let path = pattern.replace("{id}", &caller.id.to_string());
        let call = client.call(method.parse().unwrap(), path).by(caller);
        match body(&method, &pattern) {
            Some(body) => call.json(body),
            None => call,
        }
    };
    operations(client).into_iter().map(call).collect()
}

async fn successes(app: &TestApp, admin: &Person) {
    app.get(paths::PING).await.ok(200);
    app.get(paths::USERS).await.ok(200);
    app.post(paths::USERS).by(admin).json(body("POST", paths::USERS).unwrap()).await.ok(201);
    let sample = app.person("sample").await;
    app.get(sample.path()).await.ok(200);
    app.put(sample.path()).by(&sample).json(body("PUT", paths::USER).unwrap()).await.ok(200);
    app.get(paths::STATUS).by(&sample).await.ok(200);
    let sample = sample.with(&app.refresh(&sample.refresh_token).await.ok(200));
    let change = body("PUT", paths::PASSWORD).unwrap();
    app.put(paths::PASSWORD).by(&sample).json(change).await.ok(204);
    let sessions = app.get(paths::SESSIONS).by(&sample).await.ok(200);
    let session = paths::session(sessions[0]["id"].as_i64().unwrap());
    app.delete(session).by(&sample).await.ok(204);
    let other = app.person("other").await;
    app.post(paths::LOGOUT).by(&other).await.ok(204);
    app.delete(other.path()).by(admin).await.ok(200);
}

async fn refusals(app: &TestApp, admin: &Person) {
    for call in every_operation(app, admin) {
        let answer = call.bearer("a second header makes neither count").await;
        assert!(answer.status < 500, "{}", answer.request);
    }
    let person = app.person("person").await;
    for call in every_operation(app, &person) {
        // In passing, this ends the person's session.
        assert!(call.await.status < 500);
    }
    let person = app.person("second-person").await;
    let nobody = paths::user(i64::MAX);
    let forbidden = body("POST", paths::USERS).unwrap();
    app.post(paths::USERS).by(&person).json(forbidden).await.problem(403, "forbidden");
    let update = body("PUT", paths::USER).unwrap();
    app.put(admin.path()).by(&person).json(update.clone()).await.problem(403, "forbidden");
    app.delete(admin.path()).by(&person).await.problem(403, "forbidden");
    app.put(person.path()).by(&person).json(update.clone()).await.problem(409, "email_taken");
    app.put(&nobody).by(admin).json(update).await.problem(404, "user_not_found");
    app.get(&nobody).await.problem(404, "user_not_found");
    app.delete(&nobody).by(admin).await.problem(404, "user_not_found");
    app.delete(admin.path()).by(admin).await.problem(409, "last_admin");
    let taken = body("POST", paths::USERS).unwrap();
    app.post(paths::USERS).by(admin).json(taken.clone()).await.problem(409, "email_taken");
    app.post(paths::REGISTER).json(taken).await.problem(409, "email_taken");
    let gone = paths::session(i64::MAX);
    app.delete(gone).by(&person).await.problem(404, "session_not_found");
    let wrong = json!({"current_password": "wrong", "new_password": "paper river candle"});
    app.put(paths::PASSWORD).by(&person).json(wrong).await.problem(403, "incorrect_password");
    app.get("/users?limit=0").await.problem(422, "validation_failed");
    app.post("/auth/logout?all=perhaps").by(&person).await.problem(422, "validation_failed");
    for path in [paths::LOGIN, paths::REFRESH, paths::LOGOUT] {
        let call = app.post(path).by(&person).header("x-auth-transport", "cookie");
        let call = call.header("cookie", "refresh=x").header("sec-fetch-site", "cross-site");
        let answer = match body("POST", path) {
            Some(body) if path == paths::LOGIN => call.json(body).await,
            _ => call.await,
        };
        assert!(answer.status < 500, "{}", answer.request);
    }
}

async fn malformed_bodies(app: &TestApp, admin: &Person) {
    for (method, pattern) in operations(app) {
        if body(&method, &pattern).is_none() {
            continue;
        }
        let call = || {
            let path = pattern.replace("{id}", &admin.id.to_string());
            app.call(method.parse().unwrap(), path).by(admin)
        };
        let typed = || call().header("content-type", "application/json");
        typed().body("{").await.problem(400, "invalid_json");
        typed().body(" ".repeat(40_000)).await.problem(413, "payload_too_large");
        call().body("{}").await.problem(415, "unsupported_media_type");
        typed().body("{}").await.problem(422, "validation_failed");
    }
}

/// All at once: each takes as long as the service waits for a body.
async fn bodies_that_do_not_end(app: &TestApp, admin: &Person) {
    let mut waiting = JoinSet::new();
    for (method, pattern) in operations(app) {
        if body(&method, &pattern).is_none() {
            continue;
        }
        let path = pattern.replace("{id}", &admin.id.to_string());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{",
            admin.access_token
        );
        let address = app.base().trim_start_matches("http://").to_owned();
        waiting.spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            // That it ends says that the connection was closed.
            stream.read_to_string(&mut answer).unwrap();
            (format!("{method} {pattern} 408"), answer)
        });
    }
    for (outcome, answer) in waiting.join_all().await {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{outcome}: {answer}");
        assert!(answer.contains(r#""code":"request_timeout""#), "{outcome}: {answer}");
        app.document().saw(outcome);
    }
}

async fn too_many_tries(app: &TestApp, admin: &Person) {
    let strict = [("THROTTLE", "on"), ("THROTTLE_ADDRESS", "1/60"), ("THROTTLE_REGISTER", "1/60")];
    let (strict, _server) = app.second_task(&strict).await;
    for (method, path) in [
        ("POST", paths::LOGIN),
        ("POST", paths::REFRESH),
        ("POST", paths::REGISTER),
        ("PUT", paths::PASSWORD),
    ] {
        let call = || {
            let call = strict.call(method.parse().unwrap(), path).by(admin);
            call.json(body(method, path).unwrap())
        };
        let _first = call().await;
        call().await.problem(429, "too_many_requests");
    }
}
