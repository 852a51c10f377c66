//! Statements whose text is the same each time.
//!
//! diesel takes it that the text of a change or of a new row differs from one call to the next, since
//! values may be left out, and that of SQL by hand as well; it prepares them anew for each call, which
//! is one more round trip, and planning. Ours leave nothing out. A connection keeps what it has
//! prepared under the text, so that two texts could not be confused even if they did.

use diesel::{
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
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
