//! The access token of a request, and its account.

use std::fmt;

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpRequest, web};
use zeroize::Zeroizing;

use super::query;
use crate::actor::accounts::{Account, FindAccount};
use crate::app::App;
use crate::domain::secret::TokenHash;
use crate::error::Error;

/// The access token of a request. It can be unknown.
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// The hash by which the token is stored.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::new(&self.0)
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

/// The account of the access token of a request.
///
/// # Errors
/// `401 M_UNAUTHORIZED` for a missing or unknown token (AUTH-05); never
/// `M_UNKNOWN_TOKEN`, which clients take for the end of their session with the
/// homeserver (AUTH-19).
pub async fn account(app: &App, request: &HttpRequest, with_terms: bool) -> Result<Account, Error> {
    let token = AccessToken::find(request, app.config.accounts.query_tokens)
        .ok_or_else(Error::unauthorized)?;
    let find = FindAccount {
        token_hash: token.hash(),
        with_terms,
    };
    let account = app.accounts.send(find).await?;
    account.ok_or_else(Error::unauthorized)
}

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
