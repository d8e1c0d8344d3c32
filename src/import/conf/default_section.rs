//! The two ways in which releases of Sydent read `[DEFAULT]`.
//!
//! Up to 1.0, from git and from 2.7 on, a value in `[DEFAULT]` replaces the built-in default of
//! every section. The releases 2.0.0 to 2.6.1 on `PyPI` put their defaults into the sections
//! themselves, so that they never see a value in `[DEFAULT]` for which they have a default.

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::ini::DEFAULT;
use super::sydent_settings::{Reading, SydentSettings};

/// Which reading the administrator has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DefaultSection {
    /// None: `[DEFAULT]` counts, unless it decides about something sensitive.
    Unspecified,
    /// `[DEFAULT]` counts.
    Counts,
    /// Sydent's own defaults hide `[DEFAULT]`.
    Hidden,
}

impl DefaultSection {
    pub(super) fn reading(self) -> Reading {
        match self {
            Self::Unspecified | Self::Counts => Reading::DefaultSectionCounts,
            Self::Hidden => Reading::DefaultSectionHidden,
        }
    }
}

/// Settings that open something to others, or say where mail and passwords go. With
/// the wrong reading the new server would allow more than the old one.
const SENSITIVE: [&str; 18] = [
    "enable_v1_access",
    "enable_v1_associations",
    "homeserver_allow_list",
    "ip.blacklist",
    "ip.whitelist",
    "clientapi.http.bind_address",
    "internalapi.http.bind_address",
    "internalapi.http.port",
    "replication.https.bind_address",
    "replication.https.cacert",
    "obey_x_forwarded_for",
    "federation.verifycerts",
    "email.smtphost",
    "email.smtpport",
    "email.smtpusername",
    "email.smtppassword",
    "email.tlsmode",
    "password",
];

/// Says where the two readings differ.
///
/// # Errors
/// When they differ in a sensitive setting and the administrator has not chosen one.
pub(super) fn check(
    sydent: &SydentSettings,
    choice: DefaultSection,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let differing = sydent.hidden_by_defaults();
    if choice != DefaultSection::Unspecified || differing.is_empty() {
        return Ok(());
    }
    // A release that overlooks [DEFAULT] finds no signing key in such a file, and
    // writes a new one into [crypto]. So none has been started with it.
    let is_certain = sydent.has_key_in_default_section();
    let sensitive: Vec<&str> = differing
        .iter()
        .copied()
        .filter(|key| SENSITIVE.contains(key))
        .collect();
    if !is_certain && !sensitive.is_empty() {
        return Err(ConfError::new(
            format!("[{DEFAULT}]"),
            format!(
                "sets {}, which Sydent up to 1.0, from git and from 2.7 on uses, but the releases \
                 2.0.0 to 2.6.1 on PyPI overlook. Say which one you run: add --default-section if \
                 [DEFAULT] counts, or --no-default-section if it does not",
                sensitive.join(", ")
            ),
        ));
    }
    if !is_certain {
        draft.add_remark(format!(
            "[{DEFAULT}] sets {}: used, as Sydent up to 1.0, from git and from 2.7 on does. If you \
             run one of the releases 2.0.0 to 2.6.1 from PyPI, which overlook it, add \
             --no-default-section.",
            differing.join(", ")
        ));
    }
    Ok(())
}
