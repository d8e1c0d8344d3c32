//! `[http]` but for replication: where the server listens, and where it is found.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::reading::{Given, Reading};
use crate::config::BaseUrl;
use crate::domain::ids::ServerName;

/// Where clients reach the server. Sydent asks for nothing here, and then writes links that lead
/// nowhere.
pub(super) fn public_url(
    reading: &Reading,
    name: &ServerName,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    const TABLE: &str = "server";
    const KEY: &str = "public_base_url";
    let given = reading.get("http", "client_http_base")?;
    let written = given.text.trim();
    let with_scheme = format!("https://{written}");
    let url = BaseUrl::parse(written).or_else(|_| BaseUrl::parse(&with_scheme));
    match url {
        Ok(url) if !written.is_empty() => {
            if !url.is_https() {
                draft.set(TABLE, "allow_plain_http", true, &given);
                draft.remark(format!(
                    "server.public_base_url is plain http, as {} has it: codes and tokens travel in \
                     the clear. Put a proxy that speaks TLS in front.",
                    given.from
                ));
            } else if !written.starts_with("https:") {
                draft.remark(format!(
                    "server.public_base_url was guessed: {} has no https:// in front.",
                    given.from
                ));
            }
            draft.set(TABLE, KEY, url.as_str(), &given);
        }
        _ => {
            let why = if written.is_empty() {
                "is empty"
            } else {
                "is no address"
            };
            draft.remark(format!(
                "server.public_base_url was guessed from the server's name, since {} {why}: links in \
                 mails begin with it, so see that clients reach this server there.",
                given.key
            ));
            let guess = format!("https://{name}");
            draft.set_because(TABLE, KEY, guess, "guessed from [general] server.name");
        }
    }
    Ok(())
}

/// What listens where, and which proxies are believed.
pub(super) fn listeners(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let host = reading.get("http", "clientapi.http.bind_address")?;
    let port = reading.get("http", "clientapi.http.port")?;
    let address = address(&host, &port)?;
    let from = format!("{}, {}", host.from, port.from);
    draft.set_because("http", "listen", vec![address.to_string()], &from);
    proxies(reading, address, draft)?;
    internal(reading, draft)?;
    metrics(reading, draft)
}

/// Sydent sends as many mails as a client asks for, this server does not: where all clients have the
/// address of a proxy, they share what one may ask for.
fn proxies(
    reading: &Reading,
    listens_at: SocketAddr,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    const SHARED: &str = "add the networks of your proxies, or all clients behind one count as a \
        single one, which this server sends a few mails at a time";
    let given = reading.get("http", "obey_x_forwarded_for")?;
    let obeyed = given.boolean()?;
    let networks = if obeyed {
        vec!["127.0.0.0/8", "::1/128"]
    } else {
        Vec::new()
    };
    if !obeyed {
        draft.remark(format!(
            "http.trusted_proxies is empty, as {} has it: {SHARED}.",
            given.from
        ));
    } else if !listens_at.ip().to_canonical().is_loopback() {
        draft.remark(format!(
            "http.trusted_proxies has this machine alone, while {} made Sydent believe anybody's \
             X-Forwarded-For: {SHARED}.",
            given.from
        ));
    }
    draft.set("http", "trusted_proxies", networks, &given);
    Ok(())
}

fn internal(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let port = reading.get("http", "internalapi.http.port")?;
    let host = reading.get("http", "internalapi.http.bind_address")?;
    if port.text.is_empty() {
        draft.set("internal", "listen", Vec::<String>::new(), &port);
        draft.without(&host, "the internal listener is off");
        return Ok(());
    }
    let address = address(&host, &port)?;
    let from = format!("{}, {}", host.from, port.from);
    draft.set_because("internal", "listen", vec![address.to_string()], &from);
    if !address.ip().to_canonical().is_loopback() {
        draft.set("internal", "allow_non_loopback", true, &host);
        draft.remark(
            "internal.listen can be reached from other machines and asks for no password. Homeservers \
             that call it by a host name need internal.allowed_hosts.",
        );
    }
    Ok(())
}

fn metrics(reading: &Reading, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let port = reading.optional("general", "prometheus_port")?;
    let host = reading.optional("general", "prometheus_addr")?;
    match (host, port) {
        (Some(host), Some(port)) => {
            let address = address(&host, &port)?;
            let from = format!("{}, {}", host.from, port.from);
            draft.set_because("operations", "listen", vec![address.to_string()], &from);
            draft
                .remark("operations.listen has the metrics under /metrics, and under other names.");
        }
        (Some(one), None) | (None, Some(one)) => {
            draft.without(
                &one,
                "without the other of prometheus_port and prometheus_addr it has no effect",
            );
        }
        (None, None) => {}
    }
    Ok(())
}

/// An address and a port of Sydent's.
pub(super) fn address(host: &Given, port: &Given) -> Result<SocketAddr, ConfError> {
    let ip: IpAddr = match host.text.trim() {
        "" => Ipv4Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        text => text.parse().map_err(|_no_address| {
            host.wrong("must be an IP address here; put one in its place")
        })?,
    };
    let port = u16::try_from(port.int()?)
        .map_err(|_too_large| port.wrong("must be a whole number from 0 to 65535"))?;
    Ok(SocketAddr::new(ip, port))
}
