//! `[http]` except replication: the listeners and the public URL.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::sydent_settings::{Setting, SydentSettings};
use crate::config::BaseUrl;
use crate::domain::ids::ServerName;

/// Converts the URL at which clients reach the server. Sydent accepts any text, and uses it in links
/// even if they do not work.
pub(super) fn convert_public_url(
    sydent: &SydentSettings,
    server_name: &ServerName,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    const TABLE: &str = "server";
    const KEY: &str = "public_base_url";
    let setting = sydent.get("http", "client_http_base")?;
    let value = setting.value.trim();
    let url = BaseUrl::parse(value).or_else(|_| BaseUrl::parse(&format!("https://{value}")));
    match url {
        Ok(url) if !value.is_empty() => {
            if !url.is_https() {
                draft.set(TABLE, "allow_plain_http", true, &setting);
                draft.add_remark(format!(
                    "server.public_base_url uses plain HTTP, as set by {}, so codes and access tokens \
                     are sent in clear text; use a reverse proxy with TLS.",
                    setting.origin
                ));
            } else if !value.starts_with("https:") {
                draft.add_remark(format!(
                    "server.public_base_url is a guess: https:// was added to the value of {}.",
                    setting.origin
                ));
            }
            draft.set(TABLE, KEY, url.as_str(), &setting);
        }
        _ => {
            let reason = if value.is_empty() {
                "is empty"
            } else {
                "is not a URL"
            };
            draft.add_remark(format!(
                "server.public_base_url was guessed from the server name, because {} {reason}. Links \
                 in mails begin with it; check that clients reach this server at this URL.",
                setting.key
            ));
            draft.set_with_comment(
                TABLE,
                KEY,
                format!("https://{server_name}"),
                "guessed from [general] server.name",
            );
        }
    }
    Ok(())
}

/// Converts the addresses of the listeners, and the trusted proxies.
pub(super) fn convert_listeners(
    sydent: &SydentSettings,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    let host = sydent.get("http", "clientapi.http.bind_address")?;
    let port = sydent.get("http", "clientapi.http.port")?;
    let address = parse_address(&host, &port)?;
    set_listen("http", address, &host, &port, draft);
    convert_proxies(sydent, address, draft)?;
    convert_internal(sydent, draft)?;
    convert_metrics(sydent, draft)
}

fn set_listen(
    table: &str,
    address: SocketAddr,
    host: &Setting,
    port: &Setting,
    draft: &mut ConfigDraft,
) {
    let comment = format!("{}, {}", host.origin, port.origin);
    draft.set_with_comment(table, "listen", vec![address.to_string()], &comment);
}

/// Sydent does not limit how many mails a client may request, but this server does. If it does not
/// trust the proxy, all clients behind the proxy share the limit of one client.
fn convert_proxies(
    sydent: &SydentSettings,
    listen: SocketAddr,
    draft: &mut ConfigDraft,
) -> Result<(), ConfError> {
    const ADD: &str = "Add the networks of your proxies: otherwise all clients behind a proxy count \
        as one, and share the limit on mails for a single client";
    let setting = sydent.get("http", "obey_x_forwarded_for")?;
    let is_proxied = setting.as_bool()?;
    let networks = if is_proxied {
        vec!["127.0.0.0/8", "::1/128"]
    } else {
        Vec::new()
    };
    if !is_proxied {
        draft.add_remark(format!(
            "http.trusted_proxies is empty, as set by {}. {ADD}.",
            setting.origin
        ));
    } else if !listen.ip().to_canonical().is_loopback() {
        draft.add_remark(format!(
            "http.trusted_proxies contains only this machine. With {}, Sydent trusts X-Forwarded-For \
             from any address. {ADD}.",
            setting.origin
        ));
    }
    draft.set("http", "trusted_proxies", networks, &setting);
    Ok(())
}

fn convert_internal(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let port = sydent.get("http", "internalapi.http.port")?;
    let host = sydent.get("http", "internalapi.http.bind_address")?;
    if port.value.is_empty() {
        draft.set("internal", "listen", Vec::<String>::new(), &port);
        draft.add_unsupported(&host, "the internal listener is off");
        return Ok(());
    }
    let address = parse_address(&host, &port)?;
    set_listen("internal", address, &host, &port, draft);
    if !address.ip().to_canonical().is_loopback() {
        draft.set("internal", "allow_non_loopback", true, &host);
        draft.add_remark(
            "internal.listen is reachable from other machines and has no authentication. If \
             homeservers call it by a host name, add the name to internal.allowed_hosts.",
        );
    }
    Ok(())
}

fn convert_metrics(sydent: &SydentSettings, draft: &mut ConfigDraft) -> Result<(), ConfError> {
    let port = sydent.get_optional("general", "prometheus_port")?;
    let host = sydent.get_optional("general", "prometheus_addr")?;
    match (host, port) {
        (Some(host), Some(port)) => {
            let address = parse_address(&host, &port)?;
            set_listen("operations", address, &host, &port, draft);
            draft.add_remark(
                "operations.listen serves the metrics at /metrics; their names differ from Sydent's.",
            );
        }
        (Some(setting), None) | (None, Some(setting)) => {
            draft.add_unsupported(
                &setting,
                "has no effect unless both prometheus_addr and prometheus_port are set",
            );
        }
        (None, None) => {}
    }
    Ok(())
}

/// The address of a listener of Sydent.
pub(super) fn parse_address(host: &Setting, port: &Setting) -> Result<SocketAddr, ConfError> {
    let ip: IpAddr = match host.value.trim() {
        "" => Ipv4Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        text => text
            .parse()
            .map_err(|_invalid| host.error("must be an IP address; replace the host name"))?,
    };
    let port = u16::try_from(port.as_int()?)
        .map_err(|_too_large| port.error("must be a whole number from 0 to 65535"))?;
    Ok(SocketAddr::new(ip, port))
}
