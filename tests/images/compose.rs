//! `docker compose up --wait`, as a person with Docker and no Rust types it.

use std::{
    collections::BTreeMap,
    process::{Command, Output, Stdio},
};

use contract::paths::{API_PATTERNS, PAGES};
use serde_json::{Value, json};
use tests::{Client, PASSWORD, browser, guard::free_port};

use crate::docker::{docker, root, text};

/// The application, under a name and on a port of its own; all of it goes when the test ends.
struct Project {
    name: String,
    port: u16,
}

impl Project {
    fn new() -> Self {
        let port = free_port();
        Self { name: format!("images-suite-{port}"), port }
    }

    fn compose(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("docker");
        command.args(["compose", "--project-name", &self.name]).args(arguments);
        command.current_dir(root()).env("PORT", self.port.to_string());
        command.stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn up(&self) {
        let output = self.compose(&["up", "--detach", "--wait"]);
        let logs = || text(&self.compose(&["logs", "--no-color"]));
        assert!(output.status.success(), "{}\n{}", text(&output), logs());
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What Docker still has of it, by kind.
    fn left(&self) -> BTreeMap<&'static str, String> {
        let filter = format!("--filter=label=com.docker.compose.project={}", self.name);
        let kinds = [
            ("containers", ["container", "ls", "--all", "--quiet"]),
            ("networks", ["network", "ls", "--quiet", "--no-trunc"]),
            ("volumes", ["volume", "ls", "--quiet", &filter]),
        ];
        let list = |command: &[&str; 4]| docker(&[&command[..], &[&*filter]].concat());
        kinds.iter().map(|(kind, command)| (*kind, list(command))).collect()
    }

    /// The memory limit of each container, by service.
    fn limits(&self) -> BTreeMap<String, u64> {
        let ids = text(&self.compose(&["ps", "--all", "--quiet"]));
        let arguments: Vec<&str> = std::iter::once("inspect").chain(ids.lines()).collect();
        let containers: Value = serde_json::from_str(&docker(&arguments)).unwrap();
        let service = |container: &Value| {
            let name = &container["Config"]["Labels"]["com.docker.compose.service"];
            (name.as_str().unwrap().to_owned(), container["HostConfig"]["Memory"].as_u64().unwrap())
        };
        containers.as_array().unwrap().iter().map(service).collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.compose(&["down", "--volumes", "--remove-orphans", "--timeout=5"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_comes_up_works_and_goes_without_a_trace() {
    let project = Project::new();
    project.up();
    limits(&project);
    the_front_sends_paths_where_the_load_balancer_does(&project).await;
    data_outlives_the_containers(&project).await;
    browser::visit_at("compose", &project.base(), a_persons_way).await;

    let down = project.compose(&["down", "--volumes"]);
    assert!(down.status.success(), "{}", text(&down));
    for (kind, left) in project.left() {
        assert_eq!(left, "", "{kind}");
    }
}

fn limits(project: &Project) {
    let limits = project.limits();
    for service in ["db", "migrate", "seed", "users", "client", "front"] {
        assert_eq!(limits.get(service), Some(&(300 << 20)), "{service}: {limits:?}");
    }
}

async fn the_front_sends_paths_where_the_load_balancer_does(project: &Project) {
    let http = reqwest::Client::new();
    let is_api = async |path: &str| {
        let response = http.get(format!("{}{path}", project.base())).send().await.unwrap();
        // Every answer of the API has one, and none of the client's server.
        response.headers().contains_key("x-request-id")
    };
    for pattern in API_PATTERNS {
        let path = pattern.trim_end_matches('*');
        assert!(is_api(path).await, "{path}");
        let longer = format!("{path}-and-more");
        assert_eq!(is_api(&longer).await, pattern.ends_with('*'), "{longer}");
    }
    for page in PAGES {
        assert!(!is_api(page).await, "{page}");
    }
}

/// The database is a volume's; `up` again finds the schema and the example users there.
async fn data_outlives_the_containers(project: &Project) {
    let api = Client::new(project.base());
    let person = json!({"username": "stays", "email": "stays@example.com", "password": PASSWORD});
    api.post("/auth/register").json(person).await.ok(201);
    let down = project.compose(&["down"]);
    assert!(down.status.success(), "{}", text(&down));
    project.up();
    let login = json!({"email": "stays@example.com", "password": PASSWORD});
    Client::new(project.base()).post("/auth/login").json(login).await.ok(200);
}

/// Signs in as the administrator that `docker compose logs seed` tells of, adds a user, and out.
async fn a_persons_way(page: browser::Page) {
    page.open("/").await;
    page.sees("michaelherman").await;
    page.follow("Log in").await;
    page.is_at("/login").await;
    page.fill("email", "admin@example.com").await;
    page.fill("password", PASSWORD).await;
    page.click("[data-testid=login-form] [type=submit]").await;
    page.shows("[data-testid=nav-logout]").await;
    page.reload().await;
    page.shows("[data-testid=nav-logout]").await;
    page.open("/status").await;
    page.sees("admin@example.com").await;
    page.follow("Log out").await;
    page.shows("[data-testid=nav-login]").await;
    // Deep links reach the client, whose router knows the page.
    page.open("/about").await;
    page.shows("main h1").await;
}
