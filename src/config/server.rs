//! `[server]`: name, URL and signing key.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::base_url::BaseUrl;
use super::checker::Checker;
use super::files;
use super::secret::Secret;
use crate::domain::ids::{KeyId, ServerName};
use crate::domain::own_names::OwnNames;
use crate::domain::signing::KeyRing;

/// `[server]` as set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerSettings {
    /// The server name in signatures of associations (CRY-08). Required.
    pub name: Option<ServerName>,
    /// The public URL of the server. Required.
    pub public_base_url: Option<String>,
    /// Allow a public URL with http.
    pub allow_plain_http: bool,
    /// The file with the signing keys, in Synapse's format. Required.
    pub signing_key_file: Option<PathBuf>,
    /// Further names that clients use for this server (UNB-13).
    pub aliases: Vec<String>,
    /// Refuse to start if every user of the machine can read a file with a secret.
    pub strict_permissions: bool,
}

/// `[server]` as checked.
#[derive(Debug, Clone)]
pub struct Server {
    /// The server name in signatures of associations; it must never change (CRY-08).
    pub name: ServerName,
    /// The public URL of the server.
    pub public_base_url: BaseUrl,
    /// The file with the signing keys, a valid [`KeyRing`].
    pub signing_key_file: PathBuf,
    /// The id of the key that it signs with.
    pub key_id: KeyId,
    /// All names that clients use for this server.
    pub own_names: OwnNames,
}

impl ServerSettings {
    pub(super) fn check(self, checker: &mut Checker<'_>) -> Option<Server> {
        if self.name.is_none() {
            checker.error("server.name", NAME_MISSING);
        }
        let base_url = self.base_url(checker);
        let key_file = key_file(self.signing_key_file.as_deref(), checker);
        for (index, alias) in self.aliases.iter().enumerate() {
            if !is_alias(alias) {
                checker.error(&format!("server.aliases[{index}]"), NOT_AN_ALIAS);
            }
        }
        let (name, public_base_url) = (self.name?, base_url?);
        let (signing_key_file, key_id) = key_file?;
        let own_names = std::iter::once(name.to_string())
            .chain(public_base_url.names())
            .chain(self.aliases);
        Some(Server {
            own_names: OwnNames::new(own_names),
            name,
            public_base_url,
            signing_key_file,
            key_id,
        })
    }

    fn base_url(&self, checker: &mut Checker<'_>) -> Option<BaseUrl> {
        const KEY: &str = "server.public_base_url";
        let Some(text) = &self.public_base_url else {
            checker.error(KEY, BASE_URL_MISSING);
            return None;
        };
        let url = match BaseUrl::parse(text) {
            Ok(url) => url,
            Err(invalid) => {
                checker.error(KEY, invalid.0);
                return None;
            }
        };
        if !url.is_https() {
            if !self.allow_plain_http {
                checker.error(KEY, NOT_HTTPS);
                return None;
            }
            checker.warn(KEY, PLAIN_HTTP);
        }
        Some(url)
    }
}

/// A server name, with an optional path.
fn is_alias(text: &str) -> bool {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let is_forbidden = |c: char| c.is_whitespace() || c.is_control() || "?#".contains(c);
    ServerName::parse(host).is_ok() && !path.contains(is_forbidden)
}

const NOT_AN_ALIAS: &str = "must be a name such as \"id.example.org\", \"id.example.org:8443\" or \
    \"example.org/identity\", without https://";
const NAME_MISSING: &str = "is missing: set the server name for signatures of associations, such \
    as \"example.org\". It must never change";
const BASE_URL_MISSING: &str = "is missing: set the public URL of the server, such as \
    \"https://id.example.org\"";
const NOT_HTTPS: &str = "must start with https://: use a reverse proxy that terminates TLS, or, \
    only for development, set server.allow_plain_http = true";
const PLAIN_HTTP: &str = "uses http: codes and access tokens are sent unencrypted";
const KEY_MISSING: &str = "is missing: run `sydent key generate --out signing.key` and set \
    \"signing.key\" here";

/// The resolved path of the key file, and the id of the key that signs.
fn key_file(path: Option<&Path>, checker: &mut Checker<'_>) -> Option<(PathBuf, KeyId)> {
    const KEY: &str = "server.signing_key_file";
    let Some(path) = path else {
        checker.error(KEY, KEY_MISSING);
        return None;
    };
    let path = checker.resolve(KEY, path);
    let key_id = match std::fs::read_to_string(&path).map(Secret::from) {
        Ok(text) => match KeyRing::parse(text.expose()) {
            Ok(keys) => keys.active().id().clone(),
            Err(invalid) => {
                checker.error(KEY, format!("is not valid: {invalid} ({})", path.display()));
                return None;
            }
        },
        Err(error) => {
            checker.error(
                KEY,
                format!(
                    "{}; to create a new key, run `sydent key generate --out FILE`",
                    files::unreadable(&path, &error)
                ),
            );
            return None;
        }
    };
    checker.warn_if_world_accessible(KEY, &path);
    Some((path, key_id))
}
