//! An existing Sydent's `sydent.conf` as a configuration of this server (OPS-07).
//!
//! Every setting is read as Sydent reads it and becomes one of ours with a comment that says where
//! it came from. All of them are written, also those that were not in the file: the defaults of the
//! two differ. What has no counterpart is listed with the reason, and so is what should be looked
//! at. Nothing here writes a file.

mod check;
mod config_draft;
mod defaults;
mod email;
mod general;
mod http;
mod ini;
mod invites;
mod networks;
mod peers;
mod reading;
mod sms;
mod templates;

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::data::Peer;
use crate::domain::ids::ServerName;
use config_draft::ConfigDraft;
use reading::Reading;

/// Why a file cannot be taken over. Shows no value, which may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {sentence}")]
pub struct ConfError {
    /// The line, or the setting of Sydent or of this server.
    pub place: String,
    /// What is wrong with it.
    pub sentence: String,
}

impl ConfError {
    fn new(place: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            sentence: sentence.into(),
        }
    }
}

/// How a file is to be read.
#[derive(Debug, Clone, Copy)]
pub struct ConversionContext<'a> {
    /// The environment that Sydent ran in: `SYDENT_SERVER_NAME`,
    /// `SYDENT_PID_FILE` and `SYDENT_DB_PATH` take the place of defaults.
    pub environment: &'a [(String, String)],
    /// The folder that Sydent was started in, absolute: relative paths begin
    /// there.
    pub folder: &'a Path,
    /// Whether `[DEFAULT]` counts before Sydent's own defaults.
    pub default_section: bool,
}

/// Where the new configuration will be, and what its file does not say.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The name under which it signs, if not that of the file.
    pub server_name: Option<&'a ServerName>,
    /// The file that is to be written; need not exist.
    pub file: &'a Path,
    /// `server.signing_key_file`.
    pub key_file: &'a str,
    /// `database.url`.
    pub database: &'a str,
    /// The peers that Sydent's database knows.
    pub peers: &'a [Peer],
}

/// What became of a file.
pub struct Converted {
    /// The new configuration; passes `sydent config check` once the key file is
    /// there.
    pub toml: String,
    /// Whether a password is inside, so that it is its owner's alone.
    pub is_secret: bool,
    /// The name under which it signs.
    pub server_name: ServerName,
    /// The content of its key file.
    pub signing_key: Zeroizing<String>,
    /// Settings of Sydent without a counterpart, each with the reason.
    pub without_counterpart: Vec<(String, String)>,
    /// What an administrator should look at, in sentences.
    pub remarks: Vec<String>,
}

/// A `sydent.conf` that was read.
pub struct SydentConf {
    reading: Reading,
    folder: PathBuf,
}

impl SydentConf {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What Sydent itself would refuse about its form, with the line.
    pub fn read(text: &str, circumstances: ConversionContext<'_>) -> Result<Self, ConfError> {
        let ConversionContext {
            environment,
            folder,
            default_section,
        } = circumstances;
        Ok(Self {
            reading: Reading::of(text, environment, default_section)?,
            folder: folder.to_owned(),
        })
    }

    /// Where its database is.
    ///
    /// # Errors
    /// When the value cannot be read.
    pub fn database(&self) -> Result<PathBuf, ConfError> {
        Ok(self.folder.join(self.reading.get("db", "db.file")?.text))
    }

    /// Makes a configuration of it.
    ///
    /// # Errors
    /// A value that Sydent would refuse, or one that this server cannot do
    /// without.
    pub fn convert(&self, target: &Target<'_>) -> Result<Converted, ConfError> {
        let (reading, mut draft) = (&self.reading, ConfigDraft::default());
        let draft_ref = &mut draft;
        let server_name = general::name(reading, target, draft_ref)?;
        let signing_key = general::signing_key(reading, target, draft_ref)?;
        http::public_url(reading, &server_name, draft_ref)?;
        draft_ref.set_because("database", "url", target.database, DATABASE);
        http::listeners(reading, draft_ref)?;
        general::access(reading, draft_ref)?;
        templates::convert(reading, &self.folder, draft_ref)?;
        general::terms(reading, &self.folder, draft_ref)?;
        email::convert(reading, &server_name, draft_ref)?;
        invites::convert(reading, draft_ref)?;
        sms::convert(reading, draft_ref)?;
        networks::convert(reading, draft_ref)?;
        general::log(reading, draft_ref)?;
        peers::convert(reading, &self.folder, target.peers, draft_ref)?;
        check::settle(draft_ref, target.file)?;
        // What Sydent knows as the place of its data is told by the caller.
        reading.get("db", "db.file")?;
        for (key, reason) in reading.unused() {
            draft.without.insert(key, reason.to_owned());
        }
        Ok(Converted {
            toml: draft.toml(),
            is_secret: draft.is_secret,
            server_name,
            signing_key,
            without_counterpart: draft.without.into_iter().collect(),
            remarks: draft.remarks,
        })
    }
}

const DATABASE: &str = "a new database: [db] db.file is read and left as it is";

#[cfg(test)]
mod tests;
