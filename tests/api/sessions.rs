//! `/auth/sessions`: what a person sees of the own sessions, and ends.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tests::{PASSWORD, TestApp};

fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().unwrap();
    assert!(text.ends_with('Z'), "{text}");
    text.parse().unwrap()
}

#[tokio::test]
async fn a_person_sees_the_own_sessions() {
    let app = TestApp::spawn().await;
    let laptop = app.person("michael").await;
    app.person("somebody").await;
    let begin = app.clock.now();
    app.advance(TimeDelta::minutes(5));
    let body = json!({"email": laptop.email, "password": PASSWORD});
    let phone = app.post("/auth/login").header("user-agent", "A phone").json(body).await.ok(200);
    app.advance(TimeDelta::minutes(5));
    let laptop = laptop.with(&app.refresh(&laptop.refresh_token).await.ok(200));

    let sessions = app.get("/auth/sessions").by(&laptop).await.ok(200);
    let sessions = sessions.as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let current: Vec<_> = sessions.iter().filter(|s| s["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(time(&current[0]["created_date"]), begin);
    assert_eq!(time(&current[0]["last_used_date"]), app.clock.now());
    let other = sessions.iter().find(|s| s["current"] == false).unwrap();
    assert_eq!(other["user_agent"], "A phone");
    assert_eq!(time(&other["last_used_date"]), begin + TimeDelta::minutes(5));
    for session in sessions {
        let mut members: Vec<_> = session.as_object().unwrap().keys().cloned().collect();
        members.sort();
        assert_eq!(members, ["created_date", "current", "id", "last_used_date", "user_agent"]);
    }
    assert!(app.opens(phone["access_token"].as_str().unwrap()).await);
}

#[tokio::test]
async fn a_session_can_be_ended_from_another() {
    let app = TestApp::spawn().await;
    let laptop = app.person("michael").await;
    let phone = laptop.signed_in_anew(&app).await;
    let sessions = app.get("/auth/sessions").by(&laptop).await.ok(200);
    let other = sessions.as_array().unwrap().iter().find(|s| s["current"] == false).unwrap();
    let path = contract::paths::session(other["id"].as_i64().unwrap());
    app.delete(&path).by(&laptop).await.ok(204);
    app.get("/auth/status").by(&phone).await.problem(401, "token_invalid");
    app.refresh(&phone.refresh_token).await.problem(401, "token_invalid");
    app.delete(&path).by(&laptop).await.problem(404, "session_not_found");
    app.get("/auth/status").by(&laptop).await.ok(200);
}

#[tokio::test]
async fn beyond_a_hundred_the_one_that_was_used_the_longest_ago_ends() {
    let app = TestApp::spawn().await;
    let oldest = app.person("michael").await;
    app.advance(TimeDelta::minutes(1));
    let second = oldest.signed_in_anew(&app).await;
    let now = app.clock.now() + TimeDelta::minutes(1);
    let more = format!(
        "INSERT INTO sessions (user_id, created_date, last_used_date) \
         SELECT id, '{now}', '{now}' FROM users, generate_series(1, 98)"
    );
    app.database.execute(&more).await;
    app.advance(TimeDelta::minutes(2));
    assert!(app.opens(&oldest.access_token).await);
    let newest = oldest.signed_in_anew(&app).await;
    app.get("/auth/status").by(&oldest).await.problem(401, "token_invalid");
    for person in [&second, &newest] {
        app.get("/auth/status").by(person).await.ok(200);
    }
    let sessions = app.get("/auth/sessions").by(&newest).await.ok(200);
    assert_eq!(sessions.as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn nobody_ends_somebody_elses_session() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let other = app.person("somebody").await;
    let admin = app.admin().await;
    let sessions = app.get("/auth/sessions").by(&michael).await.ok(200);
    let path = contract::paths::session(sessions[0]["id"].as_i64().unwrap());
    for caller in [&other, &admin] {
        app.delete(&path).by(caller).await.problem(404, "session_not_found");
    }
    app.delete(&path).await.problem(401, "token_required");
    app.get("/auth/sessions").await.problem(401, "token_required");
    for id in ["0", "-1", "x", "9007199254740993", "99999999999999999999999"] {
        let answer = app.delete(format!("/auth/sessions/{id}")).by(&michael).await;
        answer.problem(404, "session_not_found");
    }
    app.get("/auth/status").by(&michael).await.ok(200);
}

#[tokio::test]
async fn a_strange_user_agent_does_no_harm() {
    let app = TestApp::spawn().await;
    let michael = app.person("michael").await;
    let long = "ä".repeat(2000);
    for agent in [&b"\xff\xfe"[..], long.as_bytes(), b"<script>alert(1)</script>"] {
        let body = json!({"email": michael.email, "password": PASSWORD});
        app.post("/auth/login").header("user-agent", agent).json(body).await.ok(200);
    }
    let sessions = app.get("/auth/sessions").by(&michael).await.ok(200);
    assert_eq!(sessions.as_array().unwrap().len(), 4);
}
