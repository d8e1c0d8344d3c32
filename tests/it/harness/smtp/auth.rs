//! Logins: AUTH PLAIN (RFC 4616) and AUTH LOGIN.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::command::content;
use super::connection::Connection;
use super::options::Account;

const WRONG: &str = "535 5.7.8 wrong user or password";
const MALFORMED: &str = "501 5.5.2 malformed response";
const CANCELLED: &str = "501 5.7.0 cancelled";

/// What a login ends in.
pub enum Login {
    Done,
    /// This reply.
    Refused(&'static str),
    /// The client hung up.
    Aborted,
}

impl Account {
    /// Runs the exchange after `AUTH mechanism [initial]`.
    pub async fn log_in(
        &self,
        connection: &mut Connection,
        mechanism: &str,
        initial: Option<String>,
    ) -> io::Result<Login> {
        let challenges: &[&str] = match mechanism {
            "PLAIN" => &[""],
            "LOGIN" => &["User Name", "Password"],
            _ => return Ok(Login::Refused("504 5.5.4 unknown mechanism")),
        };
        let mut responses = Vec::new();
        let mut initial = initial;
        for challenge in challenges {
            let response = match initial.take() {
                Some(response) => response,
                None => match ask(connection, challenge).await? {
                    Some(response) => response,
                    None => return Ok(Login::Aborted),
                },
            };
            if response == "*" {
                return Ok(Login::Refused(CANCELLED));
            }
            match STANDARD.decode(response).map(String::from_utf8) {
                Ok(Ok(text)) => responses.push(text),
                _ => return Ok(Login::Refused(MALFORMED)),
            }
        }
        let given: Vec<&str> = match (mechanism, &responses[..]) {
            ("PLAIN", [message]) => message.split('\0').collect(),
            (_, fields) => [""]
                .into_iter()
                .chain(fields.iter().map(String::as_str))
                .collect(),
        };
        Ok(match given[..] {
            ["", user, password] if user == self.user && password == self.password => Login::Done,
            [_, _, _] => Login::Refused(WRONG),
            _ => Login::Refused(MALFORMED),
        })
    }
}

/// Sends a challenge and reads the response; `None` if the client hung up.
async fn ask(connection: &mut Connection, challenge: &str) -> io::Result<Option<String>> {
    connection
        .reply(&format!("334 {}", STANDARD.encode(challenge)))
        .await?;
    let line = connection.line().await?;
    // A malformed line fails to decode.
    Ok(line.map(|line| content(&line).unwrap_or("malformed").to_owned()))
}
