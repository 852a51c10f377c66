//! Pictures of every page and state of the client, at three widths, in both themes. Run by
//! `cargo xtask screenshots`, which hands over a database, a browser and a built client.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a picture that cannot be taken must end it"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use tests::{
    PASSWORD,
    browser::{Page, Visit, visit},
};

/// A small phone, a tablet, a laptop; in CSS pixels.
const WIDTHS: [u32; 3] = [360, 768, 1280];
const THEMES: [&str; 2] = ["light", "dark"];
/// Longer than it takes to take the pictures of a page that is loading.
const SLOW: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() {
    let directory = PathBuf::from(std::env::args_os().nth(1).expect("usage: screenshots DIR"));
    fs::create_dir_all(&directory).unwrap();
    let album = Album { directory };
    for (name, pages) in [("guest", Part::Guest), ("member", Part::Member), ("admin", Part::Admin)]
    {
        let album = album.clone();
        visit(&format!("screenshots_{name}"), move |visit| async move {
            match pages {
                Part::Guest => guest(&visit, &album).await,
                Part::Member => member(&visit, &album).await,
                Part::Admin => admin(&visit, &album).await,
            }
        })
        .await;
    }
    let count = fs::read_dir(&album.directory).unwrap().count();
    println!("{count} pictures");
}

#[derive(Clone, Copy)]
enum Part {
    Guest,
    Member,
    Admin,
}

/// Where the pictures go.
#[derive(Clone)]
struct Album {
    directory: PathBuf,
}

impl Album {
    /// Takes pictures of what is shown, once the selector finds something.
    async fn take(&self, page: &Page, name: &str, css: &str) {
        page.shows(css).await;
        for theme in THEMES {
            page.prefer(theme).await;
            for width in WIDTHS {
                page.picture(width, &self.file(&format!("{name}-{width}-{theme}.png"))).await;
            }
        }
        page.resize(1280, 900).await;
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(&self.directory).join(name)
    }
}

/// With a digit behind it the longest name that there can be, and nowhere to break it.
const LONGEST: &str = "WolfeschlegelsteinhausenbergerdorffWelchevoralternwarengewissen";

/// Adds `count` users whose names begin with `name`.
async fn add(visit: &Visit, name: &str, count: u32) {
    let sql = format!(
        "INSERT INTO users (username, email, created_date) SELECT '{name}' || n, \
         '{name}' || n || '@example.com', now() - n * interval '1 day' \
         FROM generate_series(1, {count}) n"
    );
    visit.execute(&sql).await;
}

async fn guest(visit: &Visit, album: &Album) {
    let page = &visit.page;
    page.open("/").await;
    album.take(page, "users-none", "[data-testid=nobody]").await;

    page.open("/about").await;
    album.take(page, "about", ".prose").await;
    page.slow_down(SLOW).await;
    page.follow("Users").await;
    album.take(page, "users-loading", ".skeleton").await;
    page.slow_down(Duration::ZERO).await;

    visit.execute("ALTER TABLE users RENAME TO away").await;
    page.open("/").await;
    album.take(page, "users-error", "[data-testid=try-again]").await;
    visit.execute("ALTER TABLE away RENAME TO users").await;

    visit.register("michael").await;
    page.open("/").await;
    album.take(page, "users-one", "[data-testid=users] time").await;

    add(visit, LONGEST, 1).await;
    add(visit, "somebody.with-a-long-name-", 10).await;
    add(visit, "user-", 10_000).await;
    page.open("/").await;
    album.take(page, "users-many", "[data-testid=load-more]").await;
    page.run("document.documentElement.dir = 'rtl'").await;
    album.take(page, "users-right-to-left", "[data-testid=load-more]").await;
    page.open("/?q=nobody").await;
    album.take(page, "users-none-found", "[data-testid=nobody]").await;
    // Nobody can be called that: a name has letters of ASCII only. It can be searched for.
    page.open("/?q=%D7%A9%D7%9C%D7%95%D7%9D").await;
    page.run("document.documentElement.dir = 'rtl'").await;
    album.take(page, "users-none-found-right-to-left", "[data-testid=nobody]").await;
    page.open("/").await;
    page.shows("[data-testid=load-more]").await;
    visit.execute("ALTER TABLE users RENAME TO away").await;
    page.click("[data-testid=load-more]").await;
    album.take(page, "users-more-error", "[data-testid=try-again]").await;
    visit.execute("ALTER TABLE away RENAME TO users").await;

    page.open("/nowhere").await;
    album.take(page, "not-found", "[data-testid=not-found]").await;
    page.open("/login").await;
    album.take(page, "login", "[data-testid=login-form]").await;
    page.click("[data-testid=submit]").await;
    album.take(page, "login-errors", "#password[aria-invalid=true]").await;
    page.fill("email", "michael@example.com").await;
    page.fill("password", "not the password").await;
    page.hold().await;
    page.click("[data-testid=submit]").await;
    album.take(page, "login-busy", "[data-testid=submit][aria-disabled=true]").await;
    page.let_go().await;
    album.take(page, "login-refused", "[data-testid=form-problem]:not(:empty)").await;
    page.open("/register").await;
    album.take(page, "register", "[data-testid=register-form]").await;
    page.fill("username", "michael").await;
    page.fill("email", "michael@example.com").await;
    page.fill("password", "greater").await;
    album.take(page, "register-strength", "[data-testid=strength]").await;
    page.fill("password", PASSWORD).await;
    page.click("[data-testid=submit]").await;
    album.take(page, "register-refused", "#email[aria-invalid=true]").await;
    page.run("document.documentElement.setAttribute('data-failed', '')").await;
    album.take(page, "failure", "#failure").await;
}

async fn member(visit: &Visit, album: &Album) {
    let page = &visit.page;
    visit.register("michael").await;
    for agent in ["curl/8.9.1", "Wget/1.24"] {
        let body = json!({"email": "michael@example.com", "password": PASSWORD});
        let login = visit.api.post("/auth/login").header("user-agent", agent);
        login.json(body).await.ok(200);
    }
    add(visit, "user-", 3).await;
    visit.sign_in("michael").await;
    album.take(page, "users-signed-in", "[data-testid=message]").await;
    page.open("/status").await;
    album.take(page, "status", "[data-testid=end-others]").await;
    page.go_offline(true).await;
    album.take(page, "status-offline", "[data-testid=offline]").await;
    page.go_offline(false).await;
    page.fill("current_password", "not the password").await;
    page.fill("new_password", "not-a-very-short-password").await;
    page.click("[data-testid=password-form] [data-testid=submit]").await;
    album.take(page, "status-password-refused", "#current_password[aria-invalid=true]").await;
    page.fill("current_password", PASSWORD).await;
    page.click("[data-testid=password-form] [data-testid=submit]").await;
    album.take(page, "status-password-changed", "[data-testid=message]").await;
    for (button, name) in [("edit", "edit"), ("remove", "remove")] {
        page.click(&format!("[data-testid=profile] ~ .actions [data-testid={button}]")).await;
        album.take(page, &format!("status-{name}"), "[data-testid=dialog]").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
    }
    visit.execute("ALTER TABLE sessions RENAME TO away").await;
    page.follow("Users").await;
    page.follow("User status").await;
    album.take(page, "status-sessions-error", "[data-testid=sessions-problem]:not(:empty)").await;
    visit.execute("ALTER TABLE away RENAME TO sessions").await;
    page.hold_path("/auth/sessions").await;
    page.open("/status").await;
    album.take(page, "status-sessions-loading", "[data-testid=sessions] ~ .skeleton").await;
    page.let_go().await;
    page.answer("/auth/refresh", "async () => new Response('', { status: 503 })").await;
    page.open("/status").await;
    album.take(page, "status-away", "[data-testid=offline]:not(:empty)").await;
    page.answer("/auth/refresh", "() => new Promise(() => {})").await;
    page.open("/status").await;
    album.take(page, "status-loading", ".skeleton").await;
    page.hear(&json!("Ended")).await;
    album.take(page, "login-session-ended", "[data-testid=message]").await;
}

async fn admin(visit: &Visit, album: &Album) {
    let page = &visit.page;
    visit.register("boss").await;
    visit.promote("boss").await;
    add(visit, "somebody.with-a-long-name-", 2).await;
    add(visit, "user-", 5).await;
    add(visit, LONGEST, 1).await;
    visit.sign_in("boss").await;
    page.open("/").await;
    album.take(page, "users-admin", "[data-testid=edit]").await;
    for (button, name) in [
        ("[data-testid=add-user]", "add"),
        ("[aria-label='Edit user-1']", "edit"),
        ("[aria-label='Remove user-1']", "remove"),
        (&format!("[aria-label='Remove {LONGEST}1']"), "remove-longest"),
    ] {
        page.click(button).await;
        album.take(page, &format!("users-admin-{name}"), "[data-testid=dialog]").await;
        page.click("[data-testid=cancel]").await;
        page.hides("[data-testid=dialog]").await;
    }
    page.click("[data-testid=add-user]").await;
    page.click("[data-testid=user-form] [data-testid=submit]").await;
    album.take(page, "users-admin-add-errors", "#username[aria-invalid=true]").await;
    page.click("[data-testid=cancel]").await;
    page.hides("[data-testid=dialog]").await;
    page.click("[aria-label='Remove boss']").await;
    page.click("[data-testid=confirm-remove]").await;
    album.take(page, "users-admin-remove-refused", "[data-testid=form-problem]:not(:empty)").await;
    page.click("[data-testid=cancel]").await;
    page.hides("[data-testid=dialog]").await;
    page.click("[aria-label='Remove user-1']").await;
    page.click("[data-testid=confirm-remove]").await;
    album.take(page, "users-admin-removed", "[data-testid=message]").await;
    page.run("document.documentElement.dir = 'rtl'").await;
    album.take(page, "users-admin-right-to-left", "[data-testid=edit]").await;
    page.run("document.documentElement.dir = 'ltr'").await;
    page.fill("search", "user-").await;
    visit.execute("ALTER TABLE users RENAME TO away").await;
    page.fill("search", "some").await;
    page.hides("[aria-label='Edit user-2']").await;
    album.take(page, "users-admin-error", "[data-testid=try-again]").await;
}
