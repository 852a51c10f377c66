//! `users migrate` and `users recreate_db`.

use tests::{Database, database, program::run};

use super::STRONG_KEY;

#[tokio::test]
async fn migrate_can_be_run_again() {
    let database = Database::empty().await;
    let url = database.url();
    let settings = [("DATABASE_URL", url.as_str())];
    run(&["migrate"], &settings).succeeded();
    let schema = database::schema(&database.client().await).await;
    assert!(!schema.is_empty());
    run(&["migrate"], &settings).succeeded();
    assert_eq!(database::schema(&database.client().await).await, schema);
}

#[tokio::test]
async fn migrations_of_several_tasks_at_once_all_succeed() {
    let database = Database::empty().await;
    let url = database.url();
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || run(&["migrate"], &[("DATABASE_URL", &url)]))
        })
        .collect();
    for run in runs {
        run.join().unwrap().succeeded();
    }
    let migrated = Database::migrated().await;
    assert_eq!(
        database::schema(&database.client().await).await,
        database::schema(&migrated.client().await).await
    );
}

#[tokio::test]
async fn recreate_db_in_production_wants_the_name_of_what_it_destroys() {
    let database = Database::migrated().await;
    let url = database.url();
    let settings =
        [("APP_ENV", "production"), ("SECRET_KEY", STRONG_KEY), ("DATABASE_URL", url.as_str())];
    run(&["seed_db"], &settings).succeeded();
    let users = async || -> i64 {
        let client = database.client().await;
        client.query_one("SELECT count(*) FROM users", &[]).await.unwrap().get(0)
    };
    let before = users().await;
    assert!(before > 0);

    let refused = run(&["recreate_db"], &settings).failed();
    assert!(refused.contains(database.name()), "it says what it would destroy: {refused}");
    assert!(refused.contains("--yes-destroy"), "and how: {refused}");
    let wrong = run(&["recreate_db", "--yes-destroy", "another"], &settings).failed();
    assert!(wrong.contains(database.name()) && wrong.contains("another"), "{wrong}");
    assert_eq!(users().await, before, "nothing was destroyed");

    let done = run(&["recreate_db", "--yes-destroy", database.name()], &settings);
    assert!(done.succeeded().contains(database.name()), "it says what it destroyed");
    assert_eq!(users().await, 0);
    let migrated = Database::migrated().await;
    assert_eq!(
        database::schema(&database.client().await).await,
        database::schema(&migrated.client().await).await
    );
}

#[tokio::test]
async fn recreate_db_outside_production_needs_no_name_but_no_wrong_one() {
    let database = Database::migrated().await;
    let url = database.url();
    let settings = [("DATABASE_URL", url.as_str())];
    run(&["recreate_db", "--yes-destroy", "another"], &settings).failed();
    run(&["recreate_db"], &settings).succeeded();
}

#[tokio::test]
async fn testing_has_a_database_of_its_own() {
    let database = Database::empty().await;
    let wrong = "postgres://nobody@127.0.0.1:1/production";
    let settings =
        [("APP_ENV", "testing"), ("DATABASE_URL", wrong), ("DATABASE_TEST_URL", &database.url())];
    run(&["migrate"], &settings).succeeded();
    let without = [("APP_ENV", "testing"), ("DATABASE_URL", wrong)];
    assert!(run(&["migrate"], &without).failed().contains("DATABASE_TEST_URL"));
}
