//! `[general]` and `[crypto]`: the server's name and key, access to the API, and the log.

use std::path::Path;

use zeroize::Zeroizing;

use super::config_draft::ConfigDraft;
use super::sydent_settings::SydentSettings;
use super::{ConfError, Target};
use crate::config::LimitSettings;
use crate::domain::homeservers::HomeserverPattern;
use crate::domain::ids::ServerName;
use crate::import::data::key_file;

const NO_NAME: &str = "is empty, so Sydent uses the host name of its machine. Run `hostname` there, \
    and pass the result as --server-name";
const NO_KEY: &str = "is empty, so Sydent was never started with this file. Use `sydent config \
    generate` to set up a new server";

/// Converts the name that the server signs with.
pub(super) fn convert_server_name(
    sydent: &SydentSettings,
    target: &Target<'_>,
    draft: &mut ConfigDraft,
) -> Result<ServerName, ConfError> {
    let setting = sydent.get("general", "server.name")?;
    if let Some(name) = target.server_name {
        if !setting.value.is_empty() && setting.value != name.as_str() {
            draft.add_remark(format!(
                "server.name is {name} (--server-name) instead of {} ({}).",
                setting.value, setting.origin
            ));
        }
        draft.set_with_comment("server", "name", name.as_str(), "--server-name");
        return Ok(name.clone());
    }
    if setting.value.is_empty() {
        return Err(setting.error(NO_NAME));
    }
    let name =
        ServerName::parse(&setting.value).map_err(|error| setting.error(error.to_string()))?;
    draft.set("server", "name", name.as_str(), &setting);
    Ok(name)
}

/// Converts the signing key to the content of a key file.
pub(super) fn convert_signing_key(
    sydent: &SydentSettings,
    target: &Target<'_>,
    draft: &mut ConfigDraft,
) -> Result<Zeroizing<String>, ConfError> {
    let mut setting = sydent.get("crypto", "ed25519.signingkey")?;
    let value = Zeroizing::new(std::mem::take(&mut setting.value));
    if value.is_empty() {
        return Err(setting.error(NO_KEY));
    }
    let key = key_file(&value).map_err(|error| setting.error(error.to_string()))?;
    draft.set("server", "signing_key_file", target.key_file, &setting);
    Ok(key)
}

/// Converts which APIs are enabled, who may register, and the limit on lookups.
pub(super) fn convert_access(
    sydent: &SydentSettings,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let v1 = sydent.get("general", "enable_v1_access")?;
    let bind = sydent.get("general", "enable_v1_associations")?;
    draft.set("v1", "enabled", v1.is_true(), &v1);
    draft.set("v1", "bind", bind.is_true(), &bind);
    let limit = sydent.get("general", "address_lookup_limit")?;
    let value = limit.as_int()?;
    let max_addresses = value.clamp(1, 100_000);
    if max_addresses != value {
        draft.add_remark(format!(
            "lookup.max_addresses is {max_addresses} instead of {value} ({}): it must be from 1 to \
             100000.",
            limit.origin
        ));
    }
    draft.set("lookup", "max_addresses", max_addresses, &limit);
    // Each must allow at least one lookup of so many addresses.
    let limits = LimitSettings::default();
    for (table, burst) in [
        ("limits.lookup_per_client", limits.lookup_per_client.burst),
        ("limits.lookup_per_account", limits.lookup_per_account.burst),
        (
            "limits.new_addresses_per_client",
            limits.new_addresses_per_client.burst,
        ),
        (
            "limits.new_addresses_per_homeserver",
            limits.new_addresses_per_homeserver.burst,
        ),
        (
            "limits.new_addresses_per_account",
            limits.new_addresses_per_account.burst,
        ),
    ] {
        if max_addresses > i64::from(burst) {
            let comment = format!("at least {}", limit.origin);
            draft.set_with_comment(table, "burst", max_addresses, &comment);
        }
    }
    convert_homeservers(sydent, v1.is_true(), draft)
}

fn convert_homeservers(
    sydent: &SydentSettings,
    v1: bool,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let setting = sydent.get("general", "homeserver_allow_list")?;
    let names = setting.items();
    if names.is_empty() {
        return Ok(());
    }
    if v1 {
        return Err(setting.error(
            "requires enable_v1_access = false, because the v1 API can be used without an account",
        ));
    }
    let (valid, invalid): (Vec<&str>, Vec<&str>) = names
        .into_iter()
        .partition(|name| !name.contains('*') && HomeserverPattern::parse(name).is_ok());
    if valid.is_empty() {
        return Err(setting.error("has no valid server name, so nobody could register"));
    }
    for name in invalid {
        draft.add_remark(format!(
            "federation.allow_homeservers leaves out {name:?} of {}: not a valid server name.",
            setting.key
        ));
    }
    draft.set("federation", "allow_homeservers", valid, &setting);
    Ok(())
}

/// Converts the path of the terms of service.
pub(super) fn convert_terms(
    sydent: &SydentSettings,
    folder: &Path,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let setting = sydent.get("general", "terms.path")?;
    if !setting.value.is_empty() {
        let file = folder.join(&setting.value).display().to_string();
        draft.set("terms", "file", file, &setting);
    }
    Ok(())
}

/// Converts the log level. What the service manager does here has no counterpart.
pub(super) fn convert_log(
    sydent: &SydentSettings,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let setting = sydent.get("general", "log.level")?;
    let level = match setting.value.as_str() {
        "CRITICAL" | "FATAL" | "ERROR" => "error",
        "WARNING" | "WARN" => "warn",
        "INFO" => "info",
        "DEBUG" => "debug",
        "NOTSET" => "trace",
        _ => return Err(setting.error("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")),
    };
    draft.set("log", "level", level, &setting);
    let path = sydent.get("general", "log.path")?;
    if !path.value.is_empty() {
        draft.add_unsupported(&path, "this server logs to standard error");
    }
    let pid_file = sydent.get("general", "pidfile.path")?;
    draft.add_unsupported(
        &pid_file,
        "this server writes no PID file; the service manager tracks the process",
    );
    if let Some(sentry) = sydent.get_optional("general", "sentry_dsn")? {
        draft.add_unsupported(
            &sentry,
            "this server does not report to Sentry; errors are in its log and its metrics",
        );
    }
    Ok(())
}
