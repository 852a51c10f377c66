//! A checkout of two services that are made in a second: nginx with a script. Task definitions and
//! service definitions are the workspace's own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{images::remove_images, pipeline::git};
use tempfile::TempDir;

/// Speaks for the program `users`: its commands, and an API that tells its version.
const USERS: &str = r#"case "$1" in
migrate) echo "applied 0001_users"; exit 0 ;;
seed_db) echo "seeded"; exit 0 ;;
esac
answer='add_header x-app-version "'$APP_VERSION'" always; location / { return 200 "users"; }'
echo "server { listen 5000; $answer }" > /etc/nginx/conf.d/default.conf
exec nginx -g "daemon off;"
"#;

/// Speaks for the client: a page that tells its version.
const CLIENT: &str = r#"answer='add_header x-app-version "'$APP_VERSION'" always; default_type text/html; location / { return 200 "<html></html>"; }'
echo "server { listen 80; $answer }" > /etc/nginx/conf.d/default.conf
exec nginx -g "daemon off;"
"#;

const DOCKERFILE: &str = "FROM nginx:1.28 AS builder\nCOPY SERVICE.sh /start.sh\nFROM nginx:1.28\n\
    ARG APP_VERSION=dev\nENV APP_VERSION=$APP_VERSION\nLABEL org.opencontainers.image.version=$APP_VERSION\n\
    COPY --from=builder /start.sh /start.sh\nENTRYPOINT [\"/bin/sh\", \"/start.sh\"]\nCMD [\"serve\"]\n";

/// Removed with the images that came of it.
pub struct Checkout {
    directory: TempDir,
    name: String,
}

impl Checkout {
    /// One commit.
    pub fn new(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let checkout = Self { directory, name: name.to_owned() };
        fs::create_dir_all(checkout.root().join("ecs")).unwrap();
        for service in ["users", "client"] {
            for kind in ["service", "taskdefinition"] {
                let file = format!("ecs/ecs_{service}_{kind}.json");
                let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&file);
                fs::copy(original, checkout.root().join(file)).unwrap();
            }
            checkout
                .write(&format!("Dockerfile.{service}"), &DOCKERFILE.replace("SERVICE", service));
        }
        checkout.write("users.sh", USERS);
        checkout.write("client.sh", CLIENT);
        checkout.write("services/users/migrations/0001_users/up.sql", "SELECT 1;\n");
        checkout.git(&["init", "--quiet", "--initial-branch=main"]);
        checkout
    }

    /// Where it lies.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("checkout")
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.root().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Has the API answer its requests from now on with another word, and commits that.
    pub fn change(&self, word: &str) -> String {
        self.write(
            "users.sh",
            &USERS.replace("return 200 \"users\"", &format!("return 200 \"{word}\"")),
        );
        self.commit(word)
    }

    /// Puts lines before the script of the API, and commits that.
    pub fn prepend(&self, lines: &str) -> String {
        self.write("users.sh", &format!("{lines}\n{USERS}"));
        self.commit("Begin otherwise")
    }

    /// Commits everything; gives the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.root(), arguments)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        remove_images(&self.name);
    }
}
