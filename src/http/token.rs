//! The access token of a request, and its account.

use std::fmt;

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpRequest, web};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::query;
use crate::actor::accounts::{Account, FindAccount, RecordUse};
use crate::app::App;
use crate::domain::ids::ServerName;
use crate::domain::secret::TokenHash;
use crate::domain::time::duration_ms;
use crate::error::Error;

/// The access token of a request. It can be unknown.
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// The hash by which the token is stored.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::new(&self.0)
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }

    /// Finds the token in the `Authorization` header or, with `in_query` and on
    /// `GET`, in the query string, where Synapse puts it (AUTH-03).
    #[must_use]
    pub fn find(request: &HttpRequest, in_query: bool) -> Option<Self> {
        let in_header = request
            .headers()
            .get_all(header::AUTHORIZATION)
            .find_map(|value| bearer(value.to_str().ok()?));
        let token = match in_header {
            Some(token) => Some(token.to_owned()),
            None if in_query && matches!(*request.method(), Method::GET | Method::HEAD) => {
                let mut fields = query::read(request.query_string()).ok()?;
                match fields.remove("access_token") {
                    Some(serde_json::Value::String(token)) => Some(token),
                    _ => None,
                }
            }
            None => None,
        };
        token
            .filter(|token| !token.is_empty())
            .map(|token| Self(Zeroizing::new(token)))
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

/// The token of a `Bearer` header; the scheme in any case, and any number of
/// spaces (AUTH-01, RFC 9110).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start_matches(' '))
}

/// What is read of an account, and where.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The accepted terms as well.
    pub with_terms: bool,
    /// From a standby, if there is a fresh one.
    pub from_standby: bool,
}

/// The account of the access token of a request. One with which a standby would refuse the
/// request, also because of `accepts`, is read from the database: the user may have
/// registered or accepted the terms a moment ago.
///
/// # Errors
/// `401 M_UNAUTHORIZED` for a missing or unknown token (AUTH-05); never
/// `M_UNKNOWN_TOKEN`, which clients take for the end of their session with the
/// homeserver (AUTH-19). `403` for a user whose homeserver the configuration does
/// not allow (any more), or that an administrator has blocked (AUTH-21).
pub async fn account(
    app: &App,
    request: &HttpRequest,
    wanted: Wanted,
    accepts: impl Fn(&Account) -> bool,
) -> Result<Account, Error> {
    let settings = &app.config.accounts;
    let token =
        AccessToken::find(request, settings.query_tokens).ok_or_else(Error::unauthorized)?;
    let now = app.clock.now().as_i64();
    let keep = duration_ms(settings.keep_unused_tokens);
    let find = FindAccount {
        token_hash: token.hash(),
        with_terms: wanted.with_terms,
        unused_since: (keep > 0).then(|| now.saturating_sub(keep)),
    };
    let is_final = |found: &Option<Account>| {
        let found = found.as_ref();
        found.is_some_and(|account| !account.is_blocked && accepts(account))
    };
    let account = if wanted.from_standby {
        app.account_reads.send(find, is_final).await?
    } else {
        app.accounts.send(find).await?
    };
    let account = account.ok_or_else(Error::unauthorized)?;
    let homeservers = &app.config.federation.homeservers;
    let server = ServerName::parse(account.user.server_name());
    if !server.is_ok_and(|server| homeservers.may_register(&server)) {
        return Err(Error::homeserver_not_allowed());
    }
    if account.is_blocked {
        return Err(Error::account_blocked());
    }
    let is_counted = |used| now.saturating_sub(used) < USE_COUNTED_EVERY_MS;
    if !account.last_used_at.is_some_and(is_counted) {
        let record = RecordUse {
            token_hash: token.hash(),
            now,
            // A standby may not show yet that it was.
            unless_since: now.saturating_sub(USE_COUNTED_EVERY_MS),
        };
        // The request does not depend on it, and the next one tries again.
        if let Some(Err(fault)) = app.spare(app.accounts.send(record)).await {
            log::warn!("cannot record the use of an access token: {fault}");
        }
    }
    Ok(account)
}

/// How often the use of a token is recorded, ms: a write for each request would be
/// slow, and tokens end after months without use.
const USE_COUNTED_EVERY_MS: i64 = 24 * 60 * 60 * 1000;

impl FromRequest for AccessToken {
    type Error = Error;
    type Future = std::future::Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let token = app_of(request).and_then(|app| {
            Self::find(request, app.config.accounts.query_tokens).ok_or_else(Error::unauthorized)
        });
        std::future::ready(token)
    }
}

/// The state that all handlers share, and every listener has.
pub(super) fn app_of(request: &HttpRequest) -> Result<web::Data<App>, Error> {
    request
        .app_data::<web::Data<App>>()
        .cloned()
        .ok_or_else(Error::internal)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// AUTH-01
    #[test]
    fn bearer_scheme_ignores_case_and_spaces() {
        for header in ["Bearer abc", "bearer abc", "BEARER   abc", " Bearer abc "] {
            assert_eq!(bearer(header), Some("abc"), "{header:?}");
        }
        for header in ["abc", "Basic abc", "X-Matrix origin=a", "Bearerabc", ""] {
            assert_eq!(bearer(header), None, "{header:?}");
        }
    }

    /// AUTH-03
    #[test]
    fn query_is_read_on_get_only_and_the_header_wins() {
        let found = |request: TestRequest, in_query| {
            let token = AccessToken::find(&request.to_http_request(), in_query);
            token.map(|token| token.0.to_string())
        };
        let uri = "/x?access_token=query";
        assert_eq!(
            found(TestRequest::get().uri(uri), true).as_deref(),
            Some("query")
        );
        assert_eq!(found(TestRequest::get().uri(uri), false), None);
        assert_eq!(found(TestRequest::post().uri(uri), true), None);
        let both = TestRequest::get()
            .uri(uri)
            .insert_header(("Authorization", "Bearer header"));
        assert_eq!(found(both, true).as_deref(), Some("header"));
        let empty = TestRequest::get().uri("/x?access_token=");
        assert_eq!(found(empty, true), None);
    }
}
