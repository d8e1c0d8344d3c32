//! Replication: the listener in `[http]`, the URLs in `[peer.NAME]`, and the peers in the database.

use std::path::Path;

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::http::parse_address;
use super::sydent_settings::SydentSettings;
use crate::config::toml_text;
use crate::import::data::Peer;

const TABLE: &str = "replication";
/// Sydent's port for a peer that has neither a URL nor a port.
const DEFAULT_PORT: i64 = 1001;
const PEERS_TABLE: &str = "the table peers of Sydent's database";

pub(super) fn convert(
    sydent: &SydentSettings,
    folder: &Path,
    peers: &[Peer],
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let certificate = sydent.get("http", "replication.https.certfile")?;
    let file = folder.join(&certificate.value);
    if certificate.value.is_empty() || !file.is_file() {
        if !certificate.value.is_empty() {
            draft.add_remark(format!(
                "[replication] is left out: {} is {}, and there is no such file. Sydent does not \
                 replicate without it either.",
                certificate.origin,
                file.display()
            ));
        } else if !peers.is_empty() {
            draft.add_remark(format!(
                "[replication] is left out, because {} is empty. As in Sydent, nothing is pushed to \
                 the peers in the database or accepted from them.",
                certificate.key
            ));
        }
        return skip_replication(sydent, draft);
    }
    let host = sydent.get("http", "replication.https.bind_address")?;
    let port = sydent.get("http", "replication.https.port")?;
    let comment = format!("{}, {}", host.origin, port.origin);
    let address = parse_address(&host, &port)?;
    draft.set_with_comment(TABLE, "listen", address.to_string(), &comment);
    // The file that Sydent uses contains both.
    for key in ["certificate", "private_key"] {
        draft.set(TABLE, key, file.display().to_string(), &certificate);
    }
    let ca = sydent.get("http", "replication.https.cacert")?;
    let ca_file = (!ca.value.is_empty()).then(|| folder.join(&ca.value).display().to_string());
    if let Some(ca_file) = &ca_file {
        draft.set(TABLE, "client_ca", ca_file.clone(), &ca);
    }
    for peer in peers {
        let table = convert_peer(sydent, peer, draft)?;
        if let Some(ca_file) = &ca_file {
            draft.set(&table, "ca_file", ca_file.clone(), &ca);
        }
    }
    list_unused_peers(
        sydent,
        draft,
        "the database has no active peer with this name and a key",
    )
}

/// Sets the URL and the key of a peer. Returns its table.
fn convert_peer(
    sydent: &SydentSettings,
    peer: &Peer,
    draft: &mut ConfigDraft,
) -> Result<String, ConfError> {
    let table = format!("{TABLE}.peers.{}", toml_text::key(&peer.name));
    let url = sydent.get_optional(&format!("peer.{}", peer.name), "base_replication_url")?;
    if let Some(url) = url {
        draft.set(&table, "url", url.value.clone(), &url);
    } else {
        let port = peer.port.filter(|port| *port != 0).unwrap_or(DEFAULT_PORT);
        let url = format!("https://{}:{port}", peer.name);
        draft.set_with_comment(&table, "url", url, PEERS_TABLE);
    }
    let public_key = peer.public_key.as_str();
    draft.set_with_comment(&table, "public_key", public_key, PEERS_TABLE);
    Ok(table)
}

/// Lists the settings that have no effect without a certificate.
fn skip_replication(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    const REASON: &str = "replication is off without a certificate";
    for key in ["cacert", "bind_address", "port"] {
        let setting = sydent.get("http", &format!("replication.https.{key}"))?;
        draft.add_unsupported(&setting, REASON);
    }
    list_unused_peers(sydent, draft, REASON)
}

fn list_unused_peers(
    sydent: &SydentSettings,
    draft: &mut ConfigDraft,
    reason: &str,
) -> Result<(), ConfError> {
    for name in sydent.sections_with_prefix("peer.") {
        let section = format!("peer.{name}");
        if sydent.is_used(&section, "base_replication_url") {
            continue;
        }
        if let Some(url) = sydent.get_optional(&section, "base_replication_url")? {
            draft.add_unsupported(&url, reason);
        }
    }
    Ok(())
}
