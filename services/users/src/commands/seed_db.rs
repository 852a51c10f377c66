//! `users seed_db`: adds the example users.
//!
//! Outside production their password is known, and there is an administrator to
//! try things with. In production they get SEED_PASSWORD or stay locked.

use contract::{Password, form::Rule};

use super::{CommandError, connect, environment, hasher, runtime, say};
use crate::{
    clock::Clock,
    config::{DatabaseConfig, Environment},
    db::{self, users::NewUser},
};

/// The password of the example users outside production; everybody can read it here.
const KNOWN_PASSWORD: &str = "greaterthaneight";

const USERS: [(&str, &str); 2] =
    [("michael", "hermanmu@gmail.com"), ("michaelherman", "michael@mherman.org")];

/// Only outside production.
const ADMIN: (&str, &str) = ("admin", "admin@example.com");

pub(super) fn run() -> Result<(), CommandError> {
    let env = environment()?;
    let production = Environment::from_env(&env)?.is_production();
    let config = DatabaseConfig::from_env(&env)?;
    let password = match env.get("SEED_PASSWORD") {
        Some(password) => Some(password.to_owned()),
        None if production => None,
        None => Some(KNOWN_PASSWORD.to_owned()),
    };
    if let Some(password) = &password {
        Password::check(password.clone()).map_err(|violation| {
            CommandError::Refused(format!("SEED_PASSWORD: {}", violation.message))
        })?;
    }

    runtime()?.block_on(async {
        let conn = connect(&config).await?;
        let hash = match &password {
            Some(password) => Some(hasher()?.hash(password.clone()).await?),
            None => None,
        };
        let users = USERS.map(|(username, email)| (username, email, false));
        let admin = (!production).then_some((ADMIN.0, ADMIN.1, true));
        for (username, email, is_admin) in users.into_iter().chain(admin) {
            let user = NewUser {
                username,
                email,
                password_hash: hash.as_deref(),
                is_admin,
                created_date: Clock::system().now(),
            };
            match db::users::insert_if_free(&conn, &user).await? {
                Some(_) => say(&format!("Added {username} ({email})."))?,
                None => say(&format!("{username} ({email}) is there already."))?,
            }
        }
        match (production, env.get("SEED_PASSWORD")) {
            (true, None) => say("Their accounts are locked: SEED_PASSWORD is not set."),
            (false, None) => say(&format!(
                "Sign in as {} (administrator) or {} with the password {KNOWN_PASSWORD}",
                ADMIN.1, USERS[1].1
            )),
            (_, Some(_)) => say("Those that were added have the password in SEED_PASSWORD."),
        }
    })
}
