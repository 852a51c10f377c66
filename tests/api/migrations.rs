//! The migrations, each for itself and forth and back, and diesel's picture of the result.

use std::{collections::BTreeMap, path::Path};

use tests::{Database, database};

#[tokio::test]
async fn each_goes_up_down_and_up_again_to_the_same_schema() {
    let scratch = Database::empty().await;
    let client = scratch.client().await;
    let migrations = database::migrations();
    assert!(!migrations.is_empty());
    for (name, up, down) in migrations {
        let before = database::schema(&client).await;
        client.batch_execute(&up).await.expect(&name);
        let after = database::schema(&client).await;
        assert_ne!(before, after, "{name} does nothing");
        client.batch_execute(&down).await.expect(&name);
        assert_eq!(database::schema(&client).await, before, "{name}/down.sql leaves something");
        client.batch_execute(&up).await.expect(&name);
        assert_eq!(database::schema(&client).await, after, "{name} again");
    }
    let migrated = Database::migrated().await;
    let schema = database::schema(&migrated.client().await).await;
    assert_eq!(database::schema(&client).await, schema, "what `users migrate` makes");
}

#[tokio::test]
async fn the_schema_file_is_what_the_database_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/users/src/db/schema.rs");
    let file = tables(&std::fs::read_to_string(path).unwrap());
    let database = Database::migrated().await;
    let rows = "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text \
                FROM information_schema.columns WHERE table_schema = 'public' \
                AND table_name <> '__diesel_schema_migrations' ORDER BY ordinal_position";
    let mut actual: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in database.client().await.query(rows, &[]).await.unwrap() {
        let (table, column, kind, nullable): (String, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let kind = diesel_type(&kind, nullable == "YES");
        actual.entry(table).or_default().push((column, kind));
    }
    assert_eq!(file, actual);
}

/// The tables of a schema file: each column's name and diesel type, in order.
fn tables(source: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut tables = BTreeMap::new();
    for table in source.split("diesel::table!").skip(1) {
        let mut lines = table.lines().map(str::trim).skip(1).filter(|line| !line.starts_with("//"));
        let name = lines.next().unwrap().split([' ', '(']).next().unwrap();
        let columns = lines.take_while(|line| *line != "}").filter_map(|line| {
            let (column, kind) = line.trim_end_matches(',').split_once(" -> ")?;
            Some((column.to_owned(), kind.to_owned()))
        });
        tables.insert(name.to_owned(), columns.collect());
    }
    tables
}

fn diesel_type(kind: &str, nullable: bool) -> String {
    let kind = match kind {
        "bigint" => "Int8",
        "integer" => "Int4",
        "smallint" => "Int2",
        "text" => "Text",
        "bytea" => "Bytea",
        "boolean" => "Bool",
        "timestamp with time zone" => "Timestamptz",
        other => panic!("the type {other} has no diesel type here yet"),
    };
    if nullable { format!("Nullable<{kind}>") } else { kind.to_owned() }
}

/// The database itself refuses what must never be, whatever the service does.
#[tokio::test]
async fn the_database_enforces_what_must_hold() {
    let database = Database::migrated().await;
    let client = database.client().await;
    let insert = |username: &str, email: &str| {
        format!(
            "INSERT INTO users (username, email, created_date) VALUES ('{username}', '{email}', now())"
        )
    };
    client.batch_execute(&insert("michael", "michael@example.com")).await.unwrap();
    let refused = [
        insert("another", "MICHAEL@EXAMPLE.COM"),
        insert("Michael", "another@example.com"),
        insert("ab", "another@example.com"),
        insert("a b c", "another@example.com"),
        insert(&"a".repeat(65), "another@example.com"),
        insert("another", "nobody"),
        insert("another", &format!("{}@b.c", "a".repeat(254))),
        "UPDATE users SET username = NULL".to_owned(),
        "UPDATE users SET email = NULL".to_owned(),
        "UPDATE users SET is_admin = NULL".to_owned(),
        "INSERT INTO sessions (user_id, created_date, last_used_date) VALUES (99, now(), now())"
            .to_owned(),
    ];
    for statement in refused {
        let error = client.batch_execute(&statement).await.expect_err(&statement);
        let code = error.code().expect("an answer of the server").code();
        assert!(code.starts_with("23"), "{statement}: {error} ({code})");
    }
}
