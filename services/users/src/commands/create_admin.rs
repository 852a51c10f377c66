//! `users create_admin`: adds an administrator, or makes a user one.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use contract::{Form, NewUser, form::Input};
use diesel_async::AsyncPgConnection;

use super::{CommandError, complain, connect, environment, hasher, runtime, say};
use crate::{
    clock::Clock,
    config::DatabaseConfig,
    db::{self, users::User},
    http::caller::timestamp,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The administrator's user name
    #[arg(long)]
    username: String,
    /// The administrator's e-mail address
    #[arg(long)]
    email: String,
    /// Make the user of this name and address, who is there already, an administrator; the password stays
    #[arg(long)]
    promote: bool,
}

pub(super) fn run(options: &Options) -> Result<(), CommandError> {
    let env = environment()?;
    let config = DatabaseConfig::from_env(&env)?;
    if options.promote {
        return runtime()?.block_on(promote(&config, options));
    }
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
            Err(db::Error::EmailTaken) => Err(taken(&conn, admin.email.as_str()).await?),
            Err(db::Error::UsernameTaken) => Err(CommandError::Refused(format!(
                "somebody else is called {}; choose another user name",
                admin.username
            ))),
            Err(error) => Err(error.into()),
        }
    })
}

/// Why nobody was added: the account is there. Anybody can sign up with any address, so that it need not
/// be its owner's.
async fn taken(conn: &AsyncPgConnection, email: &str) -> Result<CommandError, CommandError> {
    let user = find(conn, email).await?;
    if user.is_admin {
        let (name, email) = (user.username, user.email);
        return Ok(CommandError::Refused(format!("{name} ({email}) is an administrator already")));
    }
    Ok(CommandError::Refused(format!(
        "{email} is the address of user {id}, {name}, since {date}, with a password of their own: \
         anybody can sign up with any address. If it is the right person, run this again with \
         --promote --username {name}; if not, remove the user first",
        email = user.email,
        id = user.id,
        name = user.username,
        date = timestamp(user.created_date),
    )))
}

/// The account becomes an administrator's and keeps its password. The name is asked for so that nobody
/// is promoted whom the caller has not looked at.
async fn promote(config: &DatabaseConfig, options: &Options) -> Result<(), CommandError> {
    let conn = connect(config).await?;
    let user = find(&conn, options.email.trim()).await?;
    if !user.username.eq_ignore_ascii_case(&options.username) {
        return Err(CommandError::Refused(format!(
            "user {} at {} is called {}, not {}; nobody was promoted",
            user.id, user.email, user.username, options.username
        )));
    }
    let Some(user) = db::users::make_admin(&conn, user.id).await? else {
        return Err(nobody(&options.email));
    };
    say(&format!(
        "{} ({}) is an administrator now and keeps the password.",
        user.username, user.email
    ))
}

async fn find(conn: &AsyncPgConnection, email: &str) -> Result<User, CommandError> {
    let user = db::users::with_email(conn, &email.to_ascii_lowercase()).await?;
    user.ok_or_else(|| nobody(email))
}

fn nobody(email: &str) -> CommandError {
    CommandError::Refused(format!("there is no user with the address {email}"))
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
