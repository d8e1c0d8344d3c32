//! `GET /_matrix/federation/v1/openid/userinfo`: who holds an `OpenID` token
//! (Server-Server API, `OpenID`; ACC-04 … ACC-06).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

use super::CallError;
use super::exchange::Answer;
use crate::domain::ids::{Mxid, ServerName};

/// The largest answer that is read, in bytes (NET-15).
pub(super) const LIMIT: usize = 5 * 1024;

/// Why a token does not say who holds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserInfoError {
    /// The homeserver does not know the token, or no longer.
    #[error("the homeserver does not know the token")]
    UnknownToken,
    /// The homeserver could not be asked. [`CallError::NotAllowed`] is among
    /// these: the administrator does not want its users.
    #[error("the homeserver could not be asked: {0}")]
    Unreachable(#[from] CallError),
    /// The homeserver's answer is not what the specification says.
    #[error("the homeserver's answer to userinfo is wrong: {0}")]
    BadAnswer(&'static str),
    /// The homeserver named a user of another one.
    #[error("the homeserver named a user of another homeserver")]
    ForeignUser,
}

/// Where it is asked about a token, and so a secret too.
pub(super) fn path(access_token: &str) -> Zeroizing<String> {
    const START: &str = "/_matrix/federation/v1/openid/userinfo?access_token=";
    // Room for all of it: what grows leaves copies behind.
    let room = START.len() + 3 * access_token.len();
    let mut path = Zeroizing::new(String::with_capacity(room));
    path.push_str(START);
    path.extend(utf8_percent_encode(access_token, NON_ALPHANUMERIC));
    path
}

pub(super) fn read(server: &ServerName, answer: &Answer) -> Result<Mxid, UserInfoError> {
    use UserInfoError::{BadAnswer, ForeignUser, UnknownToken};
    match answer.status {
        200 => {}
        401 => return Err(UnknownToken),
        _ => return Err(BadAnswer("its status is neither 200 nor 401")),
    }
    let Ok(Value::Object(object)) = serde_json::from_slice(&answer.body) else {
        return Err(BadAnswer("it is not a JSON object"));
    };
    let Some(sub) = object.get("sub").and_then(Value::as_str) else {
        return Err(BadAnswer("it has no text named sub"));
    };
    // Compared before it is parsed: another server's name is what it is, also
    // where it is not a name.
    let named = sub.split_once(':').map(|(_, named)| named);
    if named.is_some_and(|named| named != server.as_str()) {
        return Err(ForeignUser);
    }
    Mxid::parse(sub).map_err(|_wrong| BadAnswer("sub is not a user id"))
}

#[cfg(test)]
mod tests {
    use awc::http::header::HeaderMap;

    use super::*;

    fn asked(server: &str, status: u16, body: &str) -> Result<String, UserInfoError> {
        let answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        let server = ServerName::parse(server).unwrap();
        read(&server, &answer).map(|mxid| mxid.to_string())
    }

    #[test]
    fn acc_04_only_200_with_an_object_is_an_answer() {
        let alice = r#"{"sub": "@alice:hs"}"#;
        assert_eq!(asked("hs", 200, alice).unwrap(), "@alice:hs");
        assert_eq!(asked("hs", 401, alice), Err(UserInfoError::UnknownToken));
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
            let bad = matches!(asked("hs", status, body), Err(UserInfoError::BadAnswer(_)));
            assert!(bad, "{status} {body}");
        }
    }

    #[test]
    fn acc_05_sec_09_the_user_is_of_the_server_that_was_asked() {
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
            let found = asked(server, 200, &body);
            assert_eq!(found, Err(UserInfoError::ForeignUser), "{sub}");
        }
        let capitals = asked("HS-A", 200, r#"{"sub": "@x:HS-A"}"#);
        assert_eq!(capitals.unwrap(), "@x:HS-A");
    }

    #[test]
    fn acc_06_the_user_id_is_well_formed() {
        for sub in ["alice:hs", "@:hs", "@al ice:hs", "@a\\n:hs", "@alice", ""] {
            let found = asked("hs", 200, &format!(r#"{{"sub": "{sub}"}}"#));
            assert!(matches!(found, Err(UserInfoError::BadAnswer(_))), "{sub}");
        }
        let long = format!(r#"{{"sub": "@{}:hs"}}"#, "a".repeat(252));
        assert!(matches!(
            asked("hs", 200, &long),
            Err(UserInfoError::BadAnswer(_))
        ));
        for sub in ["@Ålice:hs", "@A_b=/+:hs"] {
            let found = asked("hs", 200, &format!(r#"{{"sub": "{sub}"}}"#));
            assert_eq!(found.unwrap(), sub);
        }
    }

    #[test]
    fn acc_04_the_token_is_percent_encoded() {
        assert!(path("a b&c=d#é").ends_with("?access_token=a%20b%26c%3Dd%23%C3%A9"));
    }
}
