//! What the program says about itself.

use tests::program::{Serving, run};
use users::config::SETTINGS;

/// The settings of the agreed interface; a setting that disappears breaks somebody's deployment.
const DOCUMENTED: [&str; 21] = [
    "APP_ENV",
    "HOST",
    "PORT",
    "DATABASE_URL",
    "DATABASE_TEST_URL",
    "DATABASE_CA",
    "DATABASE_POOL_SIZE",
    "WORKERS",
    "METRICS_PORT",
    "SECRET_KEY",
    "SECRET_KEY_PREVIOUS",
    "LOG_FORMAT",
    "RUST_LOG",
    "CORS_ALLOWED_ORIGINS",
    "TRUSTED_PROXIES",
    "THROTTLE",
    "CLIENT_DIR",
    "SEED_PASSWORD",
    "ADMIN_PASSWORD",
    "SHUTDOWN_TIMEOUT",
    "THROTTLE_ACCOUNT",
];

#[test]
fn every_setting_is_explained() {
    let help = run(&["--help"], &[]);
    let text = help.succeeded();
    let explained = |name: &str| text.lines().any(|line| line.trim() == name);
    for name in DOCUMENTED.into_iter().chain(SETTINGS.iter().map(|setting| setting.name)) {
        assert!(explained(name), "{name} is not explained:\n{text}");
    }
}

#[test]
fn every_command_is_named() {
    let help = run(&["--help"], &[]);
    for command in
        ["serve", "migrate", "recreate_db", "seed_db", "create_admin", "openapi", "healthcheck"]
    {
        let named = |line: &str| line.trim_start().starts_with(command);
        assert!(help.succeeded().lines().any(named), "{command}");
        run(&[command, "--help"], &[]).succeeded();
    }
}

#[test]
fn an_unknown_command_is_refused_with_help() {
    for arguments in [&["frobnicate"][..], &["serve", "--port", "1"], &["create_admin"]] {
        let refused = run(arguments, &[]);
        assert_eq!(refused.code, Some(2), "{}", refused.output());
        assert!(refused.stderr.contains("--help"), "{}", refused.stderr);
    }
}

#[test]
fn a_password_is_no_argument() {
    let arguments =
        ["create_admin", "--username", "root", "--email", "r@example.com", "--password", "x"];
    assert_eq!(run(&arguments, &[]).code, Some(2));
}

#[tokio::test]
async fn the_document_is_printed_without_a_database() {
    let printed = run(&["openapi"], &[]);
    let printed: serde_json::Value = serde_json::from_str(printed.succeeded()).unwrap();
    let serving = Serving::start(&[("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")]);
    assert_eq!(serving.client().get("/swagger.json").await.ok(200), printed);
}

#[tokio::test]
async fn the_health_check_tells_up_from_down() {
    let serving = Serving::start(&[("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")]);
    let port = serving.address().rsplit(':').next().unwrap().to_owned();
    let settings = [("PORT", port.as_str()), ("HOST", "127.0.0.1")];
    run(&["healthcheck"], &settings).succeeded();
    // In a container the service listens on every address.
    run(&["healthcheck"], &[("PORT", &port), ("HOST", "0.0.0.0")]).succeeded();
    serving.terminate();
    serving.finish();
    let down = run(&["healthcheck"], &settings).failed();
    assert!(down.contains(&port), "{down}");
}
