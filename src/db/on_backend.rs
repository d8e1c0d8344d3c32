//! Runs queries on the connection of the one database system or the other.
//!
//! [`Conn`] itself can run any query as well. It makes the text of the query each
//! time, to find the prepared statement that belongs to it: for a short lookup, that was a
//! fifth of its time. For the connection inside it, the type of the query is enough.

use diesel::dsl::Limit;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::LoadQuery;
use diesel::query_dsl::methods::{ExecuteDsl, LimitDsl};

use super::{Conn, with_backend};

/// A query that both database systems can run. For files with queries of each request; others
/// need no second copy of their code.
pub(super) trait OnBackend: Sized {
    /// All rows.
    fn load_on<'query, T>(self, connection: &mut Conn) -> QueryResult<Vec<T>>
    where
        Self: LoadQuery<'query, PgConnection, T> + LoadQuery<'query, SqliteConnection, T>,
    {
        with_backend!(connection, inner => self.load(inner))
    }

    /// The only row.
    fn get_result_on<'query, T>(self, connection: &mut Conn) -> QueryResult<T>
    where
        Self: LoadQuery<'query, PgConnection, T> + LoadQuery<'query, SqliteConnection, T>,
    {
        with_backend!(connection, inner => self.get_result(inner))
    }

    /// The first row.
    fn first_on<'query, T>(self, connection: &mut Conn) -> QueryResult<T>
    where
        Self: LimitDsl,
        Limit<Self>: LoadQuery<'query, PgConnection, T> + LoadQuery<'query, SqliteConnection, T>,
    {
        LimitDsl::limit(self, 1).get_result_on(connection)
    }

    /// Changes rows, and returns how many.
    fn execute_on(self, connection: &mut Conn) -> QueryResult<usize>
    where
        Self: ExecuteDsl<PgConnection> + ExecuteDsl<SqliteConnection>,
    {
        with_backend!(connection, inner => ExecuteDsl::execute(self, inner))
    }
}

impl<Q> OnBackend for Q {}

/// A query that is written as text, whose statement stays prepared. Diesel
/// compiles such a one each time, because its text might depend on the values. Only for
/// one of few texts: nothing removes a statement before its connection is closed.
#[derive(Debug)]
pub(super) struct Prepared<Q>(pub Q);

impl<DB: diesel::backend::Backend, Q: QueryFragment<DB>> QueryFragment<DB> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _backend: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();
    // It is found by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for Prepared<Q> {}
