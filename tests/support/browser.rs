//! A person at a browser: Chromium, driven over WebDriver, in front of the `users`
//! program that serves the built client.

mod person;
mod site;

pub use person::{Network, Place};

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use thirtyfour::{
    By, ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver, WebElement,
    WindowHandle, error::WebDriverResult,
};

use self::site::Site;
use crate::{
    Client,
    guard::{Guarded, free_port},
};

/// How long a page may take to show something. The tests' machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a browser may take to start.
const START: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

const CHROMIUM_FLAGS: [&str; 13] = [
    "--headless",
    // Chromium's sandbox needs privileges that containers and root don't have; the
    // pages of these tests are our own.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
    "--lang=en-GB",
    // A native prompt would cover the page.
    "--disable-features=PasswordManagerOnboarding,PasswordLeakDetection",
    // Chromium ends when the driver that holds the pipe does: none is left behind.
    "--remote-debugging-pipe",
];

/// Runs `test` on a site and a browser of its own. Where it fails, a screenshot, the
/// page and the console stay in `target/browser-failures`.
pub async fn visit<F, Fut>(name: &str, test: F)
where
    F: FnOnce(Visit) -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    visit_with(name, &[], test).await;
}

/// Like [`visit`], with settings for the API.
pub async fn visit_with<F, Fut>(name: &str, settings: &[(&str, &str)], test: F)
where
    F: FnOnce(Visit) -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    let site = Arc::new(Site::start(settings).await);
    let (api, held) = (Client::new(site.base()), Arc::clone(&site));
    visit_at(name, &site.base(), |page| test(Visit { page, api, site: held })).await;
}

/// Like [`visit`], on a site that runs already, at `base`.
pub async fn visit_at<F, Fut>(name: &str, base: &str, test: F)
where
    F: FnOnce(Page) -> Fut,
    Fut: Future<Output = ()> + 'static,
{
    let mut driver = Driver::start();
    let browser = driver.browser().await;
    let page = Page { browser: browser.clone(), base: base.to_owned() };

    // A task, so that a failed test's evidence can be kept; a local one, which need not be `Send`.
    let tasks = tokio::task::LocalSet::new();
    let outcome = tasks.run_until(async { tokio::task::spawn_local(test(page)).await }).await;
    let console = console(&browser).await;
    let complaints: Vec<_> = console.iter().filter(|line| is_complaint(line)).cloned().collect();
    if outcome.is_err() || !complaints.is_empty() {
        keep_evidence(name, &browser, &console).await;
    }
    // A browser that crashed is gone already.
    let _ = browser.quit().await;
    drop(driver);
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
    assert!(complaints.is_empty(), "the browser's console complains: {complaints:#?}");
}

/// What a browser test works with.
#[derive(Debug)]
pub struct Visit {
    /// The open page.
    pub page: Page,
    /// The API behind it, to prepare what the test is not about.
    pub api: Client,
    site: Arc<Site>,
}

impl Visit {
    /// Signs up through the API, each test from an address of its own: production lets only so many
    /// people sign up from one.
    pub async fn register(&self, name: &str) {
        let test = std::process::id();
        let address = format!("2001:db8:{:x}:{:x}::1", test >> 16, test & 0xffff);
        let body = serde_json::json!({
            "username": name,
            "email": format!("{name}@example.com"),
            "password": crate::PASSWORD,
        });
        let request = self.api.post("/auth/register").header("x-forwarded-for", address);
        request.json(body).await.ok(201);
    }

    /// Makes a registered person an administrator.
    pub async fn promote(&self, name: &str) {
        assert!(name.chars().all(char::is_alphanumeric), "{name} would need quoting");
        self.execute(&format!("UPDATE users SET is_admin = true WHERE username = '{name}'")).await;
    }

    /// Runs a statement on the site's database.
    pub async fn execute(&self, sql: &str) {
        self.site.execute(sql).await;
    }

    /// Signs in by the form, with the password that everybody has at first.
    pub async fn sign_in(&self, name: &str) {
        self.page.open("/login").await;
        self.page.fill("email", &format!("{name}@example.com")).await;
        self.page.fill("password", crate::PASSWORD).await;
        self.page.follow("Log in").await;
        self.page.shows("[data-testid=nav-logout]").await;
    }

    /// Signs up by the API and in by the form.
    pub async fn arrive(&self, name: &str) {
        self.register(name).await;
        self.sign_in(name).await;
    }

    /// The key that the API signs access tokens with; containers keep theirs to themselves.
    pub fn secret_key(&self) -> Option<&'static str> {
        matches!(*self.site, Site::Program { .. }).then_some(crate::SECRET_KEY)
    }

    /// Ends the API, as an outage does.
    pub fn stop_the_api(&self) {
        self.site.stop_the_api();
    }
}

/// chromedriver on a free port, and a profile that is thrown away.
struct Driver {
    process: Guarded,
    port: u16,
    profile: PathBuf,
}

impl Driver {
    fn start() -> Self {
        let port = free_port();
        let profile = std::env::temp_dir().join(format!("users-browser-{port}"));
        let program = program("CHROMEDRIVER", &["chromedriver"]);
        let process = Guarded::start("TERM", &program, |command| {
            command.arg(format!("--port={port}"));
            command.stdout(Stdio::null()).stderr(Stdio::null());
        });
        Self { process, port, profile }
    }

    async fn browser(&mut self) -> WebDriver {
        let mut capabilities = DesiredCapabilities::chrome();
        let chromium = program("CHROMIUM", &["chromium", "google-chrome", "chrome"]);
        capabilities.set_binary(&chromium.display().to_string()).unwrap();
        for flag in CHROMIUM_FLAGS {
            capabilities.add_arg(flag).unwrap();
        }
        let profile = format!("--user-data-dir={}", self.profile.display());
        capabilities.add_arg(&profile).unwrap();
        capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let start = Instant::now();
        loop {
            let url = format!("http://127.0.0.1:{}", self.port);
            match WebDriver::new(url, capabilities.clone()).await {
                Ok(browser) => return browser,
                Err(error) => {
                    assert!(!self.process.has_ended(), "chromedriver ended: {error}");
                    assert!(start.elapsed() < START, "no browser: {error}");
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.process.stop();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// The program that the variable names, or the first of `names` on the path.
fn program(variable: &str, names: &[&str]) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{variable} is not set and {names:?} not on the path"))
}

/// An open page, as a person sees it.
#[derive(Clone, Debug)]
pub struct Page {
    browser: WebDriver,
    base: String,
}

impl Page {
    /// Goes to a path of the site, as by the address bar.
    pub async fn open(&self, path: &str) {
        self.browser.goto(format!("{}{path}", self.base)).await.unwrap();
    }

    /// Reloads the page.
    pub async fn reload(&self) {
        self.browser.refresh().await.unwrap();
    }

    /// Goes back in the history.
    pub async fn back(&self) {
        self.browser.back().await.unwrap();
    }

    /// Goes forward in the history.
    pub async fn forward(&self) {
        self.browser.forward().await.unwrap();
    }

    /// Types into the field with this id, after what stands there is removed.
    pub async fn fill(&self, id: &str, text: &str) {
        let field = self.find(By::Id(id)).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Types into what the selector finds.
    pub async fn type_into(&self, css: &str, text: &str) {
        self.find(By::Css(css)).await.send_keys(text).await.unwrap();
    }

    /// Presses a key, such as Tab, or several at once, in the field with this id.
    pub async fn press(&self, id: &str, key: impl Into<thirtyfour::TypingData>) {
        self.find(By::Id(id)).await.send_keys(key).await.unwrap();
    }

    /// Clicks what the selector finds, once it is there and can be clicked.
    pub async fn click(&self, css: &str) {
        let start = Instant::now();
        while let Err(error) = self.find(By::Css(css)).await.click().await {
            assert!(start.elapsed() < PATIENCE, "{css} can't be clicked: {error}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Clicks the link or button that says this; in the page's main part first.
    pub async fn follow(&self, text: &str) {
        let said = format!("normalize-space() = '{text}'");
        let path = format!(
            "(//dialog//button[{said}] | //main//a[{said}] | //main//button[{said}] \
             | //nav//a[{said}] | //nav//button[{said}])[last()]"
        );
        let start = Instant::now();
        while let Err(error) = self.find(By::XPath(&path)).await.click().await {
            assert!(start.elapsed() < PATIENCE, "“{text}” can't be clicked: {error}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the page shows this text.
    pub async fn sees(&self, text: &str) {
        self.until(&format!("the page shows “{text}”"), async || {
            self.text().await.contains(text)
        })
        .await;
    }

    /// Waits until the page does not show this text.
    pub async fn sees_no(&self, text: &str) {
        self.until(&format!("the page does not show “{text}”"), async || {
            !self.text().await.contains(text)
        })
        .await;
    }

    /// Waits until something that the selector finds is shown.
    pub async fn shows(&self, css: &str) {
        self.until(&format!("{css} is shown"), async || self.count(css).await > 0).await;
    }

    /// Waits until nothing that the selector finds is shown.
    pub async fn hides(&self, css: &str) {
        self.until(&format!("{css} is not shown"), async || self.count(css).await == 0).await;
    }

    /// How many shown elements the selector finds.
    pub async fn count(&self, css: &str) -> usize {
        let mut shown = 0;
        for element in self.browser.find_all(By::Css(css)).await.unwrap_or_default() {
            shown += usize::from(element.is_displayed().await.unwrap_or(false));
        }
        shown
    }

    /// Waits until the address is this path.
    pub async fn is_at(&self, path: &str) {
        self.until(&format!("the address is {path}"), async || self.path().await == path).await;
    }

    /// The path that the address bar shows.
    pub async fn path(&self) -> String {
        self.browser.current_url().await.unwrap().path().to_owned()
    }

    /// The text of what the selector finds.
    pub async fn text_of(&self, css: &str) -> String {
        self.read(By::Css(css), async |element| element.text().await).await
    }

    /// An attribute of what the selector finds.
    pub async fn attribute(&self, css: &str, name: &str) -> Option<String> {
        self.read(By::Css(css), async |element| element.attr(name).await).await
    }

    /// What stands in the field with this id.
    pub async fn value(&self, id: &str) -> String {
        self.read(By::Id(id), async |element| element.value().await).await.unwrap_or_default()
    }

    /// The title of the page.
    pub async fn title(&self) -> String {
        self.browser.title().await.unwrap()
    }

    /// What a script of the test's own returns; the page has no part in it.
    pub async fn run(&self, script: &str) -> serde_json::Value {
        self.browser.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// How many requests the page has made to a path since it was loaded.
    pub async fn requests_to(&self, path: &str) -> u64 {
        let script = format!(
            "return performance.getEntriesByType('resource')\
             .filter(entry => new URL(entry.name).pathname === '{path}').length"
        );
        self.run(&script).await.as_u64().unwrap()
    }

    /// Opens a second tab and stays in this one.
    pub async fn second_tab(&self) -> (WindowHandle, WindowHandle) {
        let first = self.browser.window().await.unwrap();
        (first, self.browser.new_tab().await.unwrap())
    }

    /// Goes to a tab.
    pub async fn switch_to(&self, tab: &WindowHandle) {
        self.browser.switch_to_window(tab.clone()).await.unwrap();
    }

    /// Waits until `condition` holds.
    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let start = Instant::now();
        while !condition().await {
            assert!(start.elapsed() < PATIENCE, "{what}: not so; it shows:\n{}", self.text().await);
            tokio::time::sleep(POLL).await;
        }
    }

    async fn text(&self) -> String {
        let Ok(body) = self.browser.find(By::Tag("body")).await else { return String::new() };
        body.text().await.unwrap_or_default()
    }

    /// What `read` reads of an element; of the one in its place where it has gone meanwhile.
    async fn read<T>(&self, by: By, read: impl AsyncFn(WebElement) -> WebDriverResult<T>) -> T {
        let start = Instant::now();
        loop {
            match read(self.find(by.clone()).await).await {
                Ok(found) => return found,
                Err(error) => {
                    assert!(start.elapsed() < PATIENCE, "{by:?} can't be read: {error}");
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    async fn find(&self, by: By) -> WebElement {
        let start = Instant::now();
        loop {
            match self.browser.find(by.clone()).await {
                Ok(element) => return element,
                Err(error) => {
                    let text = self.text().await;
                    assert!(start.elapsed() < PATIENCE, "{error}; the page shows:\n{text}");
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }
}

async fn console(browser: &WebDriver) -> Vec<String> {
    let log = browser.browser_log().await.unwrap_or_default();
    log.into_iter().map(|entry| format!("{} {}", entry.level, entry.message)).collect()
}

/// A fault of the page itself. That a request was refused is what many tests are about.
fn is_complaint(line: &str) -> bool {
    let fault = ["Content Security Policy", "Uncaught", "panicked", "RuntimeError"];
    fault.iter().any(|word| line.contains(word))
}

async fn keep_evidence(name: &str, browser: &WebDriver, console: &[String]) {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap_or(Path::new("target"));
    let directory = target.join("browser-failures");
    fs::create_dir_all(&directory).unwrap();
    let file = |extension: &str| directory.join(format!("{name}.{extension}"));
    if let Err(error) = browser.screenshot(&file("png")).await {
        eprintln!("no screenshot: {error}");
    }
    let source = browser.source().await.unwrap_or_else(|error| error.to_string());
    fs::write(file("html"), source).unwrap();
    fs::write(file("log"), console.join("\n")).unwrap();
    eprintln!("evidence: {}", file("png").display());
}
