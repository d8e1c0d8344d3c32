//! `[general]` and `[crypto]`: who the server is, who may use it, and its log.

use std::path::Path;

use zeroize::Zeroizing;

use super::config_draft::ConfigDraft;
use super::reading::Reading;
use super::{ConfError, Target};
use crate::domain::homeservers::HomeserverPattern;
use crate::domain::ids::ServerName;
use crate::import::data::key_file;

const NO_NAME: &str = "is empty: Sydent then signs under the name of the machine that it runs on. \
    Give that name, which `hostname` shows there, with --server-name";
const NO_KEY: &str = "is empty, so that no Sydent has run with this file. `sydent config generate` \
    begins anew";

/// The name under which it signs.
pub(super) fn name(
    reading: &Reading,
    target: &Target<'_>,
    draft: &mut ConfigDraft,
) -> Result<ServerName, ConfError> {
    let given = reading.get("general", "server.name")?;
    if let Some(name) = target.server_name {
        if !given.text.is_empty() && given.text != name.as_str() {
            draft.remark(format!(
                "server.name: --server-name says {name} where {} says {}.",
                given.from, given.text
            ));
        }
        draft.set_because("server", "name", name.as_str(), "--server-name");
        return Ok(name.clone());
    }
    if given.text.is_empty() {
        return Err(given.wrong(NO_NAME));
    }
    let name = ServerName::parse(&given.text).map_err(|error| given.wrong(error.to_string()))?;
    draft.set("server", "name", name.as_str(), &given);
    Ok(name)
}

/// The content of the key file.
pub(super) fn signing_key(
    reading: &Reading,
    target: &Target<'_>,
    draft: &mut ConfigDraft,
) -> Result<Zeroizing<String>, ConfError> {
    let mut given = reading.get("crypto", "ed25519.signingkey")?;
    let text = Zeroizing::new(std::mem::take(&mut given.text));
    if text.is_empty() {
        return Err(given.wrong(NO_KEY));
    }
    let key = key_file(&text).map_err(|error| given.wrong(error.to_string()))?;
    draft.set("server", "signing_key_file", target.key_file, &given);
    Ok(key)
}

/// What a client may look up at once where nothing is said; it may not be less than what one look-up
/// may ask for.
const LOOKED_UP_AT_ONCE: i64 = 20_000;

/// What of the API is served, to whom, and how much of it.
pub(super) fn access(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let v1 = reading.get("general", "enable_v1_access")?;
    let bind = reading.get("general", "enable_v1_associations")?;
    draft.set("v1", "enabled", v1.is_true(), &v1);
    draft.set("v1", "bind", bind.is_true(), &bind);
    let limit = reading.get("general", "address_lookup_limit")?;
    let most = limit.int()?;
    let taken = most.clamp(1, 100_000);
    if taken != most {
        draft.remark(format!(
            "lookup.max_addresses is {taken} where {} says {most}: here it is from 1 to 100000.",
            limit.from
        ));
    }
    draft.set("lookup", "max_addresses", taken, &limit);
    if taken > LOOKED_UP_AT_ONCE {
        let comment = format!("at least {}", limit.from);
        for table in ["limits.lookup_per_client", "limits.lookup_per_account"] {
            draft.set_because(table, "burst", taken, &comment);
        }
    }
    homeservers(reading, v1.is_true(), draft)
}

fn homeservers(reading: &Reading, v1: bool, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let given = reading.get("general", "homeserver_allow_list")?;
    let listed = given.listed();
    if listed.is_empty() {
        return Ok(());
    }
    if v1 {
        let sentence =
            "needs enable_v1_access = false: the deprecated API asks nobody for an account";
        return Err(given.wrong(sentence));
    }
    let (good, bad): (Vec<&str>, Vec<&str>) = listed
        .into_iter()
        .partition(|name| !name.contains('*') && HomeserverPattern::parse(name).is_ok());
    if good.is_empty() {
        return Err(given.wrong("names no homeserver, so that nobody could register"));
    }
    for name in bad {
        draft.remark(format!(
            "federation.allow_homeservers is without {name:?} of {}, which is no server name.",
            given.key
        ));
    }
    draft.set("federation", "allow_homeservers", good, &given);
    Ok(())
}

/// What people agree to first.
pub(super) fn terms(
    reading: &Reading,
    folder: &Path,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let given = reading.get("general", "terms.path")?;
    if !given.text.is_empty() {
        let file = folder.join(&given.text).display().to_string();
        draft.set("terms", "file", file, &given);
    }
    Ok(())
}

/// The log, and what the system around the server is for.
pub(super) fn log(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let level = reading.get("general", "log.level")?;
    let taken = match level.text.as_str() {
        "CRITICAL" | "FATAL" | "ERROR" => "error",
        "WARNING" | "WARN" => "warn",
        "INFO" => "info",
        "DEBUG" => "debug",
        "NOTSET" => "trace",
        _ => return Err(level.wrong("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")),
    };
    draft.set("log", "level", taken, &level);
    let path = reading.get("general", "log.path")?;
    if !path.text.is_empty() {
        draft.without(
            &path,
            "this server writes its log to standard error; the service manager keeps it",
        );
    }
    let pid = reading.get("general", "pidfile.path")?;
    draft.without(&pid, "the service manager knows the process");
    if let Some(sentry) = reading.optional("general", "sentry_dsn")? {
        draft.without(
            &sentry,
            "this server reports to nobody; its log and its metrics tell of errors",
        );
    }
    Ok(())
}
