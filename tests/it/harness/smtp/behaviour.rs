//! What a test makes an SMTP server do wrong.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// How the server treats the commands that follow. By default it does what is
/// right.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Waits so long at the end of DATA, before it stores the message and
    /// replies. It stores nothing if the client hangs up in the meantime.
    delay_ms: u64,
    /// Replies this to RCPT (`550 5.1.1 no such user`).
    pub rcpt: Option<String>,
    /// Replies this at the end of DATA and stores nothing.
    pub data: Option<String>,
    /// Stores the message and closes the connection without a reply.
    pub lose: bool,
    /// Closes the connection at DATA without a reply.
    pub drop: bool,
}

impl Behaviour {
    pub fn parse(value: &Value) -> Self {
        Self::deserialize(value).unwrap()
    }

    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}
