//! Replication: the listener of `[http]`, the URLs in `[peer.NAME]`, and the peers of the database.

use std::path::Path;

use super::ConfError;
use super::config_draft::{ConfigDraft, quoted_key};
use super::http::address;
use super::reading::Reading;
use crate::import::data::Peer;

const TABLE: &str = "replication";
/// Where Sydent reaches a peer that has neither a URL nor a port.
const USUAL_PORT: i64 = 1001;

pub(super) fn convert(
    reading: &Reading,
    folder: &Path,
    peers: &[Peer],
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let certificate = reading.get("http", "replication.https.certfile")?;
    let file = folder.join(&certificate.text);
    if certificate.text.is_empty() || !file.is_file() {
        if !certificate.text.is_empty() {
            draft.remark(format!(
                "[replication] is left out, as Sydent does without it: {} names {}, and there is no \
                 such file.",
                certificate.from,
                file.display()
            ));
        } else if !peers.is_empty() {
            draft.remark(format!(
                "[replication] is left out, since {} is empty: the peers of the database hear nothing \
                 and are not listened to, as before.",
                certificate.key
            ));
        }
        return off(reading, draft);
    }
    let (host, port) = (
        reading.get("http", "replication.https.bind_address")?,
        reading.get("http", "replication.https.port")?,
    );
    let from = format!("{}, {}", host.from, port.from);
    draft.set_because(TABLE, "listen", address(&host, &port)?.to_string(), &from);
    let path = file.display().to_string();
    draft.set(TABLE, "certificate", path.clone(), &certificate);
    draft.set(TABLE, "private_key", path, &certificate);
    let authority = reading.get("http", "replication.https.cacert")?;
    let authority_file = folder.join(&authority.text).display().to_string();
    if !authority.text.is_empty() {
        draft.set(TABLE, "client_ca", authority_file.clone(), &authority);
    }
    for peer in peers {
        let table = format!("{TABLE}.peers.{}", quoted_key(&peer.name));
        let comment = "the table peers of Sydent's database";
        let url = reading.optional(&format!("peer.{}", peer.name), "base_replication_url")?;
        if let Some(url) = url {
            draft.set(&table, "url", url.text.clone(), &url);
        } else {
            let port = peer.port.filter(|port| *port != 0);
            let url = format!("https://{}:{}", peer.name, port.unwrap_or(USUAL_PORT));
            draft.set_because(&table, "url", url, comment);
        }
        draft.set_because(&table, "public_key", peer.public_key.as_str(), comment);
        if !authority.text.is_empty() {
            draft.set(&table, "ca_file", authority_file.clone(), &authority);
        }
    }
    strangers(
        reading,
        draft,
        "the database has no active peer of this name with a key",
    )
}

/// Nothing of it has an effect.
fn off(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    const OFF: &str = "replication is off without a certificate";
    for key in ["cacert", "bind_address", "port"] {
        let given = reading.get("http", &format!("replication.https.{key}"))?;
        draft.without(&given, OFF);
    }
    strangers(reading, draft, OFF)
}

/// The URLs of peers that nobody asked for.
fn strangers(reading: &Reading, draft: &mut ConfigDraft, reason: &str) -> Result<(), ConfError> {
    for name in reading.sections_of("peer.") {
        let section = format!("peer.{name}");
        if reading.is_used(&section, "base_replication_url") {
            continue;
        }
        if let Some(url) = reading.optional(&section, "base_replication_url")? {
            draft.without(&url, reason);
        }
    }
    Ok(())
}
