//! Converts an existing `sydent.conf` to a configuration of this server (OPS-07).
//!
//! Every setting is read as Sydent reads it, and written with a comment that says where it comes
//! from. Sydent's defaults are written too, because this server's defaults differ. Settings that
//! have no counterpart are listed with the reason, and so is what the administrator should review.
//! This module writes no files.

mod check;
mod config_draft;
mod default_section;
mod defaults;
mod email;
mod general;
mod http;
mod ini;
mod invites;
mod limits;
mod networks;
mod peers;
mod percent_format;
mod sms;
mod sydent_settings;
mod templates;

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::data::Peer;
use crate::domain::ids::ServerName;
use config_draft::ConfigDraft;
pub(crate) use default_section::DefaultSection;
use sydent_settings::SydentSettings;

/// Why a file cannot be converted. Contains no value, which may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location} {problem}")]
pub(crate) struct ConfError {
    /// A line of the file, or a setting of Sydent or of this server.
    pub location: String,
    /// What is wrong there; completes a sentence that begins with the location.
    pub problem: String,
}

impl ConfError {
    fn new(location: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            location: location.into(),
            problem: problem.into(),
        }
    }
}

/// How to read a `sydent.conf`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConversionContext<'a> {
    /// The environment that Sydent runs in: `SYDENT_SERVER_NAME`,
    /// `SYDENT_PID_FILE` and `SYDENT_DB_PATH` replace defaults.
    pub environment: &'a [(String, String)],
    /// The absolute path of the folder that Sydent is started in, to which relative
    /// paths refer.
    pub folder: &'a Path,
    /// Whether `[DEFAULT]` takes precedence over Sydent's own defaults.
    pub default_section: DefaultSection,
}

/// What to write that is not in the `sydent.conf`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The server name, if it is not the one of the file.
    pub server_name: Option<&'a ServerName>,
    /// The file that will be written; need not exist.
    pub file: &'a Path,
    /// `server.signing_key_file`.
    pub key_file: &'a str,
    /// `database.url`.
    pub database: &'a str,
    /// The peers in Sydent's database.
    pub peers: &'a [Peer],
}

/// A converted configuration.
pub(crate) struct Converted {
    /// The new configuration. It passes `sydent config check` once the key file
    /// exists.
    pub toml: String,
    /// Whether it contains a password, so that only its owner may read it.
    pub is_secret: bool,
    /// The server name.
    pub server_name: ServerName,
    /// The content of the key file.
    pub signing_key: Zeroizing<String>,
    /// Settings of Sydent without a counterpart, each with the reason.
    pub without_counterpart: Vec<(String, String)>,
    /// What the administrator should review, in sentences.
    pub remarks: Vec<String>,
}

/// A parsed `sydent.conf`.
pub(crate) struct SydentConf {
    sydent: SydentSettings,
    folder: PathBuf,
    default_section: DefaultSection,
}

impl SydentConf {
    /// Parses the text of a `sydent.conf`.
    ///
    /// # Errors
    /// A syntax error that Sydent would reject too, with the line.
    pub(crate) fn parse(text: &str, context: ConversionContext<'_>) -> Result<Self, ConfError> {
        let ConversionContext {
            environment,
            folder,
            default_section,
        } = context;
        Ok(Self {
            sydent: SydentSettings::parse(text, environment, default_section.reading())?,
            folder: folder.to_owned(),
            default_section,
        })
    }

    /// The path of Sydent's database.
    ///
    /// # Errors
    /// When the value is invalid.
    pub(crate) fn database(&self) -> Result<PathBuf, ConfError> {
        Ok(self.folder.join(self.sydent.get("db", "db.file")?.value))
    }

    /// Converts all settings.
    ///
    /// # Errors
    /// A value that Sydent would reject, or that this server rejects and cannot do
    /// without.
    pub(crate) fn convert(&self, target: &Target<'_>) -> Result<Converted, ConfError> {
        let mut draft = ConfigDraft::default();
        default_section::check(&self.sydent, self.default_section, &mut draft)?;
        let (server_name, signing_key) = self.fill(target, &mut draft)?;
        check::remove_invalid(&mut draft, target.file)?;
        // Counts as converted, because the caller imports the database.
        self.sydent.get("db", "db.file")?;
        for (key, reason) in self.sydent.unused() {
            draft.unsupported.insert(key, reason.to_owned());
        }
        Ok(Converted {
            toml: draft.to_toml(),
            is_secret: draft.is_secret,
            server_name,
            signing_key,
            without_counterpart: draft.unsupported.into_iter().collect(),
            remarks: draft.remarks,
        })
    }

    fn fill(
        &self,
        target: &Target<'_>,
        draft: &mut ConfigDraft,
    ) -> Result<(ServerName, Zeroizing<String>), ConfError> {
        let sydent = &self.sydent;
        let server_name = general::convert_server_name(sydent, target, draft)?;
        let signing_key = general::convert_signing_key(sydent, target, draft)?;
        http::convert_public_url(sydent, &server_name, draft)?;
        draft.set_with_comment("database", "url", target.database, DATABASE);
        http::convert_listeners(sydent, draft)?;
        general::convert_access(sydent, draft)?;
        templates::convert(sydent, &self.folder, draft)?;
        general::convert_terms(sydent, &self.folder, draft)?;
        email::convert(sydent, &server_name, draft)?;
        invites::convert(sydent, draft)?;
        sms::convert(sydent, draft)?;
        networks::convert(sydent, draft)?;
        general::convert_log(sydent, draft)?;
        peers::convert(sydent, &self.folder, target.peers, draft)?;
        Ok((server_name, signing_key))
    }
}

const DATABASE: &str = "new database; Sydent's [db] db.file is imported and not changed";

#[cfg(test)]
mod tests;
