//! `[v1]`: the deprecated API, which has no accounts.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::network;
use super::secret::Secret;

/// `[v1]`: the deprecated API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub struct V1Settings {
    /// Serve `/_matrix/identity/api/v1`.
    pub enabled: bool,
    /// Serve its `3pid/bind` (BND-08).
    pub bind: bool,
    /// Serve its `lookup` and `bulk_lookup` (V1L-08).
    pub lookup: bool,
    /// Serve its `store-invite` (INV-27).
    pub store_invite: bool,
    /// If not empty, only clients in these networks may use it (GEN-33).
    #[serde(with = "network")]
    pub allowed_networks: Vec<IpNet>,
    /// A secret in the `Authorization` header with which other clients may use it, too.
    pub secret: Option<Secret>,
    /// A file with that secret.
    pub secret_file: Option<PathBuf>,
}

impl Default for V1Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            bind: true,
            lookup: true,
            store_invite: true,
            allowed_networks: Vec::new(),
            secret: None,
            secret_file: None,
        }
    }
}

/// A shorter secret could be guessed.
const MIN_SECRET: usize = 16;

impl V1Settings {
    /// Checks the settings, and reads the file with the secret.
    pub(super) fn check(mut self, checker: &mut Checker<'_>) -> Self {
        let file = self.secret_file.take();
        self.secret = checker.secret("v1.secret", self.secret.as_ref(), file.as_deref());
        let is_short = |secret: &Secret| secret.expose().len() < MIN_SECRET;
        if self.secret.as_ref().is_some_and(is_short) {
            let key = if file.is_some() {
                "v1.secret_file"
            } else {
                "v1.secret"
            };
            checker.error(key, "must have at least 16 characters, chosen at random");
        }
        if self.allowed_networks.iter().any(|it| it.prefix_len() == 0) {
            let message = "contains every network; leave the list empty to allow all clients";
            checker.error("v1.allowed_networks", message);
        }
        self
    }

    /// Whether it is limited to some clients.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        !self.allowed_networks.is_empty() || self.secret.is_some()
    }
}
