//! `[server]`: who this server is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::base_url::BaseUrl;
use super::checker::Checker;
use super::file_access;
use super::secret::Secret;
use crate::domain::ids::ServerName;
use crate::domain::request_auth::OwnNames;
use crate::domain::signing::KeyRing;

/// `[server]` as written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerSettings {
    /// The name that signs associations (CRY-08). Required.
    pub name: Option<ServerName>,
    /// Where clients reach this server from outside. Required.
    pub public_base_url: Option<String>,
    /// Lets the base URL be http.
    pub allow_plain_http: bool,
    /// The signing keys in Synapse's format. Required.
    pub signing_key_file: Option<PathBuf>,
    /// More names by which clients call this server (UNB-13).
    pub aliases: Vec<String>,
}

/// `[server]` as checked.
#[derive(Debug, Clone)]
pub struct Server {
    /// The name that signs associations; stable for ever (CRY-08).
    pub name: ServerName,
    /// Where clients reach this server from outside.
    pub public_base_url: BaseUrl,
    /// The signing keys: a file that could be read as a
    /// [`KeyRing`].
    pub signing_key_file: PathBuf,
    /// Every name by which clients call this server.
    pub own_names: OwnNames,
}

impl ServerSettings {
    pub(super) fn check(self, checker: &mut Checker<'_>) -> Option<Server> {
        if self.name.is_none() {
            checker.refuse("server.name", NAME_MISSING);
        }
        let base_url = self.base_url(checker);
        let key_file = key_file(self.signing_key_file.as_deref(), checker);
        for (index, alias) in self.aliases.iter().enumerate() {
            if !is_alias(alias) {
                checker.refuse(&format!("server.aliases[{index}]"), NO_ALIAS);
            }
        }
        let (name, public_base_url) = (self.name?, base_url?);
        let own_names = std::iter::once(name.to_string())
            .chain(public_base_url.names())
            .chain(self.aliases);
        Some(Server {
            own_names: OwnNames::new(own_names),
            name,
            public_base_url,
            signing_key_file: key_file?,
        })
    }

    fn base_url(&self, checker: &mut Checker<'_>) -> Option<BaseUrl> {
        const KEY: &str = "server.public_base_url";
        let Some(text) = &self.public_base_url else {
            checker.refuse(KEY, BASE_URL_MISSING);
            return None;
        };
        let url = match BaseUrl::parse(text) {
            Ok(url) => url,
            Err(invalid) => {
                checker.refuse(KEY, invalid.0);
                return None;
            }
        };
        if !url.is_https() {
            if !self.allow_plain_http {
                checker.refuse(KEY, NOT_HTTPS);
                return None;
            }
            checker.warn(KEY, PLAIN_HTTP);
        }
        Some(url)
    }
}

/// A server name, and a path if there is one.
fn is_alias(text: &str) -> bool {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let odd = |c: char| c.is_whitespace() || c.is_control() || "?#".contains(c);
    ServerName::parse(host).is_ok() && !path.contains(odd)
}

const NO_ALIAS: &str = "must be a name as clients give it, such as \"id.example.org\", \
    \"id.example.org:8443\" or \"example.org/identity\", without https://";
const NAME_MISSING: &str = "is missing; give the name that signs associations, such as \
    \"example.org\". It can never be changed";
const BASE_URL_MISSING: &str = "is missing; give the address under which clients reach this \
    server, such as \"https://id.example.org\"";
const NOT_HTTPS: &str = "must begin with https://; put a proxy that speaks TLS in front of this \
    server, or for development only set server.allow_plain_http = true";
const PLAIN_HTTP: &str = "is plain http: codes and tokens travel in the clear";
const KEY_MISSING: &str = "is missing; make a key with `sydent key generate --out signing.key` \
    and name the file here";

fn key_file(path: Option<&Path>, checker: &mut Checker<'_>) -> Option<PathBuf> {
    const KEY: &str = "server.signing_key_file";
    let Some(path) = path else {
        checker.refuse(KEY, KEY_MISSING);
        return None;
    };
    let path = checker.resolve(KEY, path);
    match std::fs::read_to_string(&path).map(Secret::from) {
        Ok(text) => {
            if let Err(invalid) = KeyRing::parse(text.expose()) {
                checker.refuse(KEY, format!("{}: {invalid}", path.display()));
                return None;
            }
        }
        Err(error) => {
            let hint = "`sydent key generate --out FILE` makes a new one";
            checker.refuse(
                KEY,
                format!("{}; {hint}", file_access::unreadable(&path, &error)),
            );
            return None;
        }
    }
    checker.warn_if_others_may_read(KEY, &path);
    Some(path)
}
