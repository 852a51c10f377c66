//! Settings that can't be served with: one clear line each, no panic, a non-zero exit.

use tests::{
    Database,
    guard::free_port,
    program::{Finished, Serving, run},
};

use super::STRONG_KEY;

const NOWHERE: &str = "postgres://users:a-database-password@127.0.0.1:1/users";

const PRODUCTION: [(&str, &str); 4] = [
    ("APP_ENV", "production"),
    ("SECRET_KEY", STRONG_KEY),
    ("DATABASE_URL", NOWHERE),
    ("PORT", "0"),
];

/// The production settings with others added, changed, or (if empty) left out.
fn production_with<'a>(others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = PRODUCTION.into_iter().filter(|(name, _)| others.iter().all(|(n, _)| n != name));
    kept.chain(others.iter().copied().filter(|(_, value)| !value.is_empty())).collect()
}

/// One line, that names `what` and says what to do; never the database's password.
#[track_caller]
fn says_one_line(refused: &Finished, what: &str) {
    let output = refused.failed();
    let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 1, "{output}");
    assert!(lines[0].contains(what), "{what}: {output}");
    assert!(!output.contains("a-database-password"), "{output}");
}

#[test]
fn what_production_refuses() {
    let rows = [
        (("SECRET_KEY", ""), "SECRET_KEY"),
        (("SECRET_KEY", "short"), "at least 32"),
        (("SECRET_KEY", "0123456789012345678901234567890"), "at least 32"),
        (("SECRET_KEY_PREVIOUS", "short"), "SECRET_KEY_PREVIOUS"),
        (("THROTTLE", "off"), "THROTTLE"),
        (("CLIENT_DIR", "site"), "CLIENT_DIR"),
        (("DATABASE_URL", ""), "DATABASE_URL"),
        (("DATABASE_URL", "mysql://users:a-database-password@db/users"), "DATABASE_URL"),
        (("DATABASE_URL", "postgres://users:a-database-password@db:port/x"), "database URL"),
        (
            ("DATABASE_URL", "postgres://users:a-database-password@db/x?sslmode=require"),
            "DATABASE_CA",
        ),
        (("DATABASE_CA", "/nowhere/bundle.pem"), "DATABASE_CA"),
        (("DATABASE_POOL_SIZE", "1"), "DATABASE_POOL_SIZE"),
        (("WORKERS", "6"), "DATABASE_POOL_SIZE at 10"),
        (("METRICS_PORT", "prometheus"), "METRICS_PORT"),
        (("PORT", "http"), "PORT"),
        (("HOST", "somewhere"), "HOST"),
        (("APP_ENV", "staging"), "APP_ENV"),
        (("LOG_FORMAT", "xml"), "LOG_FORMAT"),
        (("CORS_ALLOWED_ORIGINS", "*"), "CORS_ALLOWED_ORIGINS"),
        (("TRUSTED_PROXIES", "10.0.0.0/99"), "TRUSTED_PROXIES"),
        (("SHUTDOWN_TIMEOUT", "soon"), "SHUTDOWN_TIMEOUT"),
        (("THROTTLE_ACCOUNT", "many"), "THROTTLE_ACCOUNT"),
    ];
    for (setting, what) in rows {
        says_one_line(&run(&["serve"], &production_with(&[setting])), what);
    }
}

#[test]
fn the_key_for_development_is_no_key_for_production() {
    // Whoever reads the source knows it; it is not shown here, but taken from the program.
    let help = run(&["--help"], &[]);
    assert!(!help.succeeded().contains("anybody can read"), "the help need not print it");
    let refused = run(
        &["serve"],
        &production_with(&[("SECRET_KEY", "development only: anybody can read this key")]),
    );
    says_one_line(&refused, "SECRET_KEY");
}

#[test]
fn all_faults_are_told_at_once() {
    let settings = production_with(&[("SECRET_KEY", ""), ("PORT", "x"), ("THROTTLE", "off")]);
    let output = run(&["serve"], &settings).failed();
    for name in ["SECRET_KEY", "PORT", "THROTTLE"] {
        assert!(output.contains(name), "{output}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let port = free_port();
    let _holder = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let settings = [("DATABASE_URL", NOWHERE), ("PORT", &port.to_string())];
    says_one_line(&run(&["serve"], &settings), &port.to_string());
}

#[test]
fn commands_say_when_the_database_is_unreachable() {
    for command in ["migrate", "seed_db", "recreate_db"] {
        let output = run(&[command], &[("DATABASE_URL", NOWHERE)]).failed();
        assert!(output.contains("127.0.0.1"), "{command}: {output}");
        assert!(!output.contains("a-database-password"), "{command}: {output}");
    }
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let database = Database::empty().await;
    let missing = database.url().replace(database.name(), "users_no_such_database");
    let output = run(&["migrate"], &[("DATABASE_URL", &missing)]).failed();
    assert!(output.contains("users_no_such_database"), "{output}");
}

#[tokio::test]
async fn an_unreachable_database_does_not_keep_the_service_from_starting() {
    let serving = Serving::start(&[("DATABASE_URL", NOWHERE)]);
    let client = serving.client();
    client.get("/ping").await.ok(200);
    client.get("/users").await.problem(503, "database_unavailable");
    serving.terminate();
    let (_, lines) = serving.finish();
    let log = lines.join("\n");
    assert!(log.contains("127.0.0.1"), "the log says which database: {log}");
    assert!(!log.contains("a-database-password"), "{log}");
}

#[tokio::test]
async fn a_missing_schema_says_which_command_makes_it() {
    let database = Database::empty().await;
    let serving = Serving::start(&[("DATABASE_URL", &database.url())]);
    let client = serving.client();
    for path in ["/users", "/users/1"] {
        let problem = client.get(path).await.problem(503, "schema_missing");
        assert!(problem["detail"].as_str().unwrap().contains("users migrate"), "{problem}");
    }
    client.get("/ping").await.ok(200);
    run(&["migrate"], &[("DATABASE_URL", &database.url())]).succeeded();
    client.get("/users").await.ok(200);
}

#[tokio::test]
async fn development_needs_only_a_database() {
    let database = Database::migrated().await;
    // Not even a key: an empty variable counts as none.
    let serving = Serving::start(&[("DATABASE_URL", &database.url()), ("SECRET_KEY", "")]);
    assert!(serving.address().starts_with("127.0.0.1:"), "{}", serving.address());
    serving.client().get("/users").await.ok(200);
}
