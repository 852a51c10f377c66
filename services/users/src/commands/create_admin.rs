//! `users create_admin`: adds an administrator, or makes a user one.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use contract::{Email, Form, NewUser, form::Input};

use super::{CommandError, complain, connect, environment, hasher, runtime, say};
use crate::{clock::Clock, config::DatabaseConfig, db};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The administrator's user name
    #[arg(long)]
    username: String,
    /// The administrator's e-mail address
    #[arg(long)]
    email: String,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let env = environment()?;
    let config = DatabaseConfig::from_env(&env)?;
    let password = match env.get("ADMIN_PASSWORD") {
        Some(password) => password.to_owned(),
        None => read_password()?,
    };
    let form = Form::from([
        ("username", options.username.clone()),
        ("email", options.email.clone()),
        ("password", password),
    ]);
    let admin = NewUser::parse(form).map_err(|errors| {
        let lines: Vec<_> =
            errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
        CommandError::Refused(lines.join("\n"))
    })?;

    runtime()?.block_on(async {
        let conn = connect(&config).await?;
        let hash = hasher()?.hash(admin.password.expose().to_owned()).await?;
        let user = db::users::NewUser {
            username: admin.username.as_str(),
            email: admin.email.as_str(),
            password_hash: Some(&hash),
            is_admin: true,
            created_date: Clock::system().now(),
        };
        match db::users::insert(&conn, &user).await {
            Ok(user) => {
                say(&format!("Added the administrator {} ({}).", user.username, user.email))
            }
            Err(db::Error::EmailTaken) => promote(&conn, &admin.email).await,
            Err(db::Error::UsernameTaken) => Err(CommandError::Refused(format!(
                "somebody else is called {}; choose another user name",
                admin.username
            ))),
            Err(error) => Err(error.into()),
        }
    })
}

/// The account is there: it becomes an administrator's and keeps its password.
async fn promote(
    conn: &diesel_async::AsyncPgConnection,
    email: &Email,
) -> Result<(), CommandError> {
    match db::users::make_admin(conn, email.as_str()).await? {
        Some(user) => say(&format!(
            "{} ({}) is an administrator now and keeps the password.",
            user.username, user.email
        )),
        None => Err(CommandError::Refused(format!("the user {email} has just been removed"))),
    }
}

/// One line of standard input. An argument would show in the process list.
fn read_password() -> Result<String, CommandError> {
    if io::stdin().is_terminal() {
        complain("type the password and press Enter (it will show; or set ADMIN_PASSWORD)");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(CommandError::Refused(
            "no password; give it on standard input or in ADMIN_PASSWORD".to_owned(),
        ));
    }
    Ok(password.to_owned())
}
