//! Statements whose text is the same each time.
//!
//! diesel takes it that the text of a change or of a new row differs from one call to the next, since
//! values may be left out, and that of SQL by hand as well; it prepares them anew for each call, which
//! is one more round trip, and planning. Ours leave nothing out. A connection keeps what it has
//! prepared under the text, so that two texts could not be confused even if they did.
//!
//! It also makes the text anew for each call, even where it finds what was prepared by the statement's
//! type: a fourteenth of what the service does for a look-up. [`Sql`] keeps it.

use std::sync::OnceLock;

use diesel::{
    pg::{Pg, PgQueryBuilder},
    query_builder::{AstPass, Query, QueryBuilder, QueryFragment, QueryId},
    result::QueryResult,
};

/// A statement that is prepared once a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed<T>(pub(super) T);

impl<T: QueryFragment<Pg>> QueryFragment<Pg> for Fixed<T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<T> QueryId for Fixed<T> {
    type QueryId = ();
    // The text is what it is known by.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T: Query> Query for Fixed<T> {
    type SqlType = T::SqlType;
}

/// The text of a statement, from the first time on: a `static` of the one place that has the statement.
#[derive(Debug)]
pub(super) struct Sql(OnceLock<String>);

impl Sql {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The statement that has this text, whatever its values are.
    pub(super) const fn of<T>(&'static self, statement: T) -> Written<T> {
        Written { statement, text: self }
    }
}

/// A statement whose text is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<T> {
    statement: T,
    text: &'static Sql,
}

impl<T: QueryFragment<Pg>> QueryFragment<Pg> for Written<T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.statement.walk_ast(pass)
    }

    fn to_sql(&self, out: &mut PgQueryBuilder, backend: &Pg) -> QueryResult<()> {
        if let Some(text) = self.text.0.get() {
            out.push_sql(text);
            return Ok(());
        }
        let mut builder = PgQueryBuilder::new();
        self.statement.to_sql(&mut builder, backend)?;
        out.push_sql(self.text.0.get_or_init(|| builder.finish()));
        Ok(())
    }
}

impl<T: QueryId> QueryId for Written<T> {
    type QueryId = T::QueryId;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_STATIC_QUERY_ID;
}

impl<T: Query> Query for Written<T> {
    type SqlType = T::SqlType;
}
