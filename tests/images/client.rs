//! The image of the client.

use std::{collections::BTreeSet, fs, time::Duration};

use contract::paths::PAGES;
use reqwest::{Response, header};
use tests::app::Server;
use users::clock::Clock;

use crate::{
    docker::{Container, HARDENED, Image, open_directory},
    load::{Load, Outcome},
};

const MEGABYTE: u64 = 1_000_000;
/// Where the server finds its settings.
const SETTINGS: &str = "/static-web-server.toml";

fn image() -> Image {
    Image::named_by("CLIENT_IMAGE")
}

/// The image at work, hardened.
struct Site {
    container: Container,
    base: String,
}

impl Site {
    fn start() -> Self {
        Self::with(&[])
    }

    /// With more arguments of `docker run`.
    fn with(arguments: &[&str]) -> Self {
        let image = image();
        let container = Container::start(&[&HARDENED[..], arguments, &[image.name()]].concat());
        let base = format!("http://{}", container.listening(80));
        Self { container, base }
    }

    async fn get(&self, path: &str) -> Response {
        self.get_encoded(path, "identity").await
    }

    async fn get_encoded(&self, path: &str, encoding: &str) -> Response {
        let request = reqwest::Client::new().get(format!("{}{path}", self.base));
        request.header(header::ACCEPT_ENCODING, encoding).send().await.unwrap()
    }

    /// The paths of the files that the page names.
    async fn assets(&self) -> BTreeSet<String> {
        let page = self.get("/").await.text().await.unwrap();
        page.split('"').filter(|part| part.starts_with("/assets/")).map(str::to_owned).collect()
    }
}

fn header_of<'r>(response: &'r Response, name: &str) -> &'r str {
    let value = response.headers().get(name);
    value.unwrap_or_else(|| panic!("{}: no {name}", response.url())).to_str().unwrap()
}

#[test]
fn it_has_at_most_15_mb() {
    let size = image().size();
    assert!(size <= 15 * MEGABYTE, "{size} bytes");
}

#[test]
fn it_holds_its_programs_and_the_site_and_nothing_else() {
    let files = image().files();
    let programs = ["init", "static-web-server", "static-web-server.toml"];
    for own in programs.iter().chain(&["site/index.html"]) {
        assert!(files.contains(*own), "{own}: {files:?}");
    }
    for file in files {
        assert!(programs.contains(&&*file) || file.starts_with("site/"), "{file}");
    }
}

#[test]
fn it_is_configured_to_run_as_nobody() {
    let image = image().inspect();
    let config = &image["Config"];
    assert_eq!(config["User"], "10001:10001");
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/init", "/static-web-server"]));
    let check = serde_json::json!(["CMD", "/init", "--healthcheck", "/health"]);
    assert_eq!(config["Healthcheck"]["Test"], check);
    assert_eq!(config["ExposedPorts"], serde_json::json!({"80/tcp": {}}));
    assert_eq!(config["Labels"]["org.opencontainers.image.title"], "client");
}

#[tokio::test]
async fn hardened_it_serves_every_page_fresh_and_says_which_build_it_is() {
    let site = Site::start();
    let image = image().inspect();
    let version = &image["Config"]["Labels"]["org.opencontainers.image.version"];
    for page in PAGES {
        let response = site.get(page).await;
        assert_eq!(response.status(), 200, "{page}");
        assert_eq!(header_of(&response, "cache-control"), "no-cache", "{page}");
        assert!(header_of(&response, "content-type").starts_with("text/html"), "{page}");
        assert_eq!(version, header_of(&response, "x-app-version"), "{page}");
    }
    assert_eq!(site.get("/health").await.status(), 200);
}

#[test]
fn it_says_whether_it_is_healthy_on_whatever_port() {
    let image = image();
    for settings in [&[][..], &["--env=SERVER_PORT=8080"]] {
        let often = ["--health-interval=1s"];
        let arguments = [&HARDENED[..], &often, settings, &[image.name()]].concat();
        Container::start(&arguments).healthy();
    }
}

#[tokio::test]
async fn what_a_browser_has_of_another_release_does_not_stand_for_this_one() {
    let site = Site::start();
    // An older release must not look unchanged to who has a newer one, and dates are all that the
    // server compares.
    for page in PAGES {
        let response = site.get(page).await;
        let date = header_of(&response, "last-modified");
        let request = reqwest::Client::new().get(format!("{}{page}", site.base));
        let again = request.header(header::IF_MODIFIED_SINCE, date).send().await.unwrap();
        assert_eq!(again.status(), 200, "{page}");
    }
}

#[tokio::test]
async fn the_pages_policy_is_that_of_development() {
    let site = Site::start();
    let response = site.get("/").await;
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("strict-transport-security", "max-age=63072000"),
    ] {
        assert_eq!(header_of(&response, name), value);
    }

    let directory = std::env::temp_dir().join(format!("images-suite-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("index.html"), "<!doctype html>").unwrap();
    let settings = [("CLIENT_DIR", directory.to_str().unwrap())];
    let unused = "postgres://nobody@127.0.0.1:1/none";
    let development = Server::start(unused, Clock::system(), &settings).await;
    let page = reqwest::get(development.base()).await.unwrap();
    let policy = "content-security-policy";
    assert_eq!(header_of(&response, policy), header_of(&page, policy));
    fs::remove_dir_all(directory).unwrap();

    let html = response.text().await.unwrap();
    for script in html.split("<script").skip(1) {
        let (attributes, content) = script.split_once('>').unwrap();
        assert!(attributes.contains("src=\"/"), "an inline script: {attributes}");
        assert!(content.starts_with("</script>"), "an inline script: {content}");
    }
}

#[tokio::test]
async fn hashed_files_keep_forever_and_come_compressed() {
    let site = Site::start();
    let assets = site.assets().await;
    for (extension, kind) in
        [("wasm", "application/wasm"), ("js", "text/javascript"), ("css", "text/css")]
    {
        let path = assets.iter().find(|path| path.ends_with(extension));
        let path = path.unwrap_or_else(|| panic!("the page names no {extension}: {assets:?}"));
        let response = site.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(header_of(&response, "content-type").starts_with(kind), "{path}");
        let keep = "public, max-age=31536000, immutable";
        assert_eq!(header_of(&response, "cache-control"), keep, "{path}");
        let plain = response.bytes().await.unwrap();
        for (accepted, encoding) in [("br", "br"), ("gzip", "gzip"), ("gzip, deflate, br", "br")] {
            let response = site.get_encoded(path, accepted).await;
            // Of the smallest files there may be no compressed form.
            if plain.len() > 1000 {
                assert_eq!(header_of(&response, "content-encoding"), encoding, "{path}");
            }
            assert_eq!(header_of(&response, "vary"), "accept-encoding", "{path}");
            assert_eq!(header_of(&response, "cache-control"), keep, "{path}");
            let compressed = response.bytes().await.unwrap();
            assert!(compressed.len() <= plain.len(), "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_not_kept() {
    let site = Site::start();
    let page = site.get("/").await.text().await.unwrap();
    for path in ["/nowhere", "/nowhere/deep", "/assets/client-0000000000000000.wasm"] {
        let response = site.get(path).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(header_of(&response, "cache-control"), "no-cache", "{path}");
        assert!(response.headers().contains_key("content-security-policy"), "{path}");
        // The client's router says it in words.
        assert_eq!(response.text().await.unwrap().trim(), page.trim(), "{path}");
    }
    for path in ["/../static-web-server.toml", "/%2e%2e/static-web-server.toml", "/.env"] {
        assert_ne!(site.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_under_load_it_finishes_what_it_has_accepted() {
    // A line for each request, when it comes in.
    let directory = open_directory();
    let settings = directory.path().join("settings.toml");
    image().copy(SETTINGS, &settings);
    let quiet = fs::read_to_string(&settings).unwrap();
    let telling = quiet.replace(r#"log-level = "warn""#, r#"log-level = "info""#);
    assert_ne!(telling, quiet);
    fs::write(&settings, telling).unwrap();
    let site = Site::with(&[&format!("--volume={}:{SETTINGS}:ro", settings.display())]);

    let assets = site.assets().await;
    let mut paths = vec!["/".to_owned()];
    paths.extend(assets.into_iter().filter(|path| path.ends_with("wasm")));
    assert_eq!(paths.len(), 2, "{paths:?}");
    let Outcome { answered, took } =
        Load::start(&site.base, &paths).await.stop(&site.container).await;
    let log = site.container.logs();
    assert_eq!(site.container.wait(), 0, "{log}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    // The health check's own are not of the load.
    let is_ours = |line: &&str| line.contains("incoming request") && !line.contains("/health");
    let accepted = log.lines().filter(is_ours).count();
    // And the page that named the assets.
    assert_eq!(accepted, answered + 1, "an answer was lost");
}

#[test]
fn killed_for_its_memory_it_says_so_in_the_last_line() {
    image().says_that_memory_has_ended();
}

#[test]
fn a_bad_setting_ends_it_with_the_reason_in_the_last_line() {
    let image = image();
    let settings = ["--env=SERVER_PORT=http"];
    let (code, log) = Container::run(&[&HARDENED[..], &settings, &[image.name()]].concat());
    assert_ne!(code, 0, "{log}");
    assert!(log.contains("port"), "{log}");
}
