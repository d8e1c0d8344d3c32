//! `GET /_matrix/federation/v1/openid/userinfo`: verifies an `OpenID` token
//! (Server-Server API, `OpenID`; ACC-04 … ACC-06).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::domain::ids::{Mxid, ServerName};
use crate::outgoing::{CallError, Response};

/// The largest response that is accepted, in bytes (NET-15).
pub(super) const MAX_RESPONSE: usize = 5 * 1024;

/// Why the owner of a token is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserInfoError {
    /// The token is unknown or expired.
    #[error("the homeserver does not accept the token")]
    UnknownToken,
    /// The request failed. This includes [`CallError::NotAllowed`] if users of the
    /// homeserver may not register.
    #[error("the request to the homeserver failed: {0}")]
    Unreachable(#[from] CallError),
    /// The response does not comply with the specification.
    #[error("invalid response to userinfo: {0}")]
    InvalidResponse(&'static str),
    /// The response has a user of another homeserver.
    #[error("the response has a user of another homeserver")]
    ForeignUser,
}

/// The path and query, which contain the token and thus are a secret.
pub(super) fn path(access_token: &str) -> Zeroizing<String> {
    const START: &str = "/_matrix/federation/v1/openid/userinfo?access_token=";
    // Reserved, because growing would leave copies of the token in memory.
    let capacity = START.len() + 3 * access_token.len();
    let mut path = Zeroizing::new(String::with_capacity(capacity));
    path.push_str(START);
    path.extend(utf8_percent_encode(access_token, NON_ALPHANUMERIC));
    path
}

/// Parses the response of `server`.
pub(super) fn parse(server: &ServerName, response: &Response) -> Result<Mxid, UserInfoError> {
    use UserInfoError::{ForeignUser, InvalidResponse, UnknownToken};
    match response.status {
        200 => {}
        401 => return Err(UnknownToken),
        _ => return Err(InvalidResponse("the status is neither 200 nor 401")),
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(&response.body) else {
        return Err(InvalidResponse("the body is not a JSON object"));
    };
    let Some(sub) = object.get("sub").and_then(Value::as_str) else {
        return Err(InvalidResponse("sub is not a string"));
    };
    // Compared as text, so a malformed server name is a foreign one, too.
    let user_server = sub.split_once(':').map(|(_, server)| server);
    if user_server.is_some_and(|user_server| user_server != server.as_str()) {
        return Err(ForeignUser);
    }
    Mxid::parse(sub).map_err(|_invalid| InvalidResponse("sub is not a Matrix ID"))
}

#[cfg(test)]
mod tests {
    use awc::http::header::HeaderMap;

    use super::*;

    fn parse_body(server: &str, status: u16, body: &str) -> Result<String, UserInfoError> {
        let response = Response {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        let server = ServerName::parse(server).unwrap();
        parse(&server, &response).map(|mxid| mxid.to_string())
    }

    /// ACC-04
    #[test]
    fn only_200_with_an_object_is_accepted() {
        let alice = r#"{"sub": "@alice:hs"}"#;
        assert_eq!(parse_body("hs", 200, alice).unwrap(), "@alice:hs");
        assert_eq!(
            parse_body("hs", 401, alice),
            Err(UserInfoError::UnknownToken)
        );
        for (status, body) in [
            (500, alice),
            (302, alice),
            (404, alice),
            (201, alice),
            (200, ""),
            (200, "[]"),
            (200, "{}"),
            (200, r#"{"sub": 7}"#),
            (200, r#"{"sub": null}"#),
            (200, r#"["@alice:hs"]"#),
            (200, r#"{"sub": "@alice:hs"} x"#),
        ] {
            let bad = matches!(
                parse_body("hs", status, body),
                Err(UserInfoError::InvalidResponse(_))
            );
            assert!(bad, "{status} {body}");
        }
    }

    /// ACC-05, SEC-09
    #[test]
    fn the_user_is_of_the_server_that_was_parse_body() {
        for (server, sub) in [
            ("hs-a", "@x:hs-b"),
            ("hs-a", "@x:hs-a:hs-b"),
            ("hs-a", "@x:HS-A"),
            ("HS-A", "@x:hs-a"),
            ("hs-a", "@x:hs-a:8448"),
            ("hs-a:8448", "@x:hs-a"),
            ("hs-a", "@x:hs-a "),
        ] {
            let body = format!(r#"{{"sub": "{sub}"}}"#);
            let found = parse_body(server, 200, &body);
            assert_eq!(found, Err(UserInfoError::ForeignUser), "{sub}");
        }
        let capitals = parse_body("HS-A", 200, r#"{"sub": "@x:HS-A"}"#);
        assert_eq!(capitals.unwrap(), "@x:HS-A");
    }

    /// ACC-06
    #[test]
    fn user_id_must_be_well_formed() {
        for sub in ["alice:hs", "@a\\u0000:hs", " @a:hs", "@alice", ""] {
            let found = parse_body("hs", 200, &format!(r#"{{"sub": "{sub}"}}"#));
            assert!(
                matches!(found, Err(UserInfoError::InvalidResponse(_))),
                "{sub}"
            );
        }
        let long = format!(r#"{{"sub": "@{}:hs"}}"#, "a".repeat(252));
        assert!(matches!(
            parse_body("hs", 200, &long),
            Err(UserInfoError::InvalidResponse(_))
        ));
        for sub in ["@Ålice:hs", "@A_b=/+:hs", "@:hs", "@Al Ice:hs"] {
            let found = parse_body("hs", 200, &format!(r#"{{"sub": "{sub}"}}"#));
            assert_eq!(found.unwrap(), sub);
        }
    }

    /// ACC-04
    #[test]
    fn token_is_percent_encoded() {
        assert!(path("a b&c=d#é").ends_with("?access_token=a%20b%26c%3Dd%23%C3%A9"));
    }
}
