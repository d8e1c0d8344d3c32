//! Keeps web pages of other sites away from the internal listener, which has no
//! authentication.
//!
//! A page in a browser on this machine can send requests to it. Two headers give
//! such a page away: the browser sends its site in `Origin`, and a site whose DNS
//! name resolves to this machine (DNS rebinding) is in `Host` by that name. Other
//! programs send no `Origin`, and connect to an IP address or to localhost.

use std::net::Ipv6Addr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::middleware::Next;
use actix_web::{ResponseError as _, web};

use crate::app::App;
use crate::error::Error;

/// Wraps a listener within its envelope: refuses requests of pages of other
/// sites.
pub async fn same_origin_only<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let app = request.app_data::<web::Data<App>>().cloned();
    let names = app
        .as_ref()
        .map(|app| app.config.internal.allowed_hosts.as_slice());
    let headers = request.headers();
    let (hosts, origins) = (
        values(headers, header::HOST),
        values(headers, header::ORIGIN),
    );
    if is_own(&hosts, &origins, names.unwrap_or_default()) {
        Ok(next.call(request).await?.map_into_boxed_body())
    } else {
        Ok(request.into_response(Error::foreign_origin().error_response()))
    }
}

/// The values of a header; one that is not text is neither a host nor an origin.
fn values(headers: &HeaderMap, name: HeaderName) -> Vec<&str> {
    headers
        .get_all(name)
        .map(|value| value.to_str().unwrap_or_default())
        .collect()
}

fn is_own(hosts: &[&str], origins: &[&str], names: &[String]) -> bool {
    hosts.iter().all(|host| is_local(host, names))
        && origins.iter().all(|origin| {
            hosts
                .iter()
                .any(|host| site(origin).is_some_and(|site| site.eq_ignore_ascii_case(host)))
        })
}

/// The host and port of an origin; `None` for `null`, the origin of files and
/// sandboxed frames.
fn site(origin: &str) -> Option<&str> {
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
}

/// Whether a `Host` is an IP address, localhost or a name that the configuration
/// allows: no DNS name of another site.
fn is_local(host: &str, names: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bracketed = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match bracketed {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => {
            names.iter().any(|known| name.eq_ignore_ascii_case(known))
                || name.eq_ignore_ascii_case("localhost")
                || name.parse::<std::net::Ipv4Addr>().is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_ip_addresses_and_localhost_are_own_hosts() {
        for host in [
            "127.0.0.1:8091",
            "127.0.0.1",
            "[::1]:8091",
            "[::1]",
            "localhost:8091",
            "LocalHost",
            "192.0.2.7:8091",
        ] {
            assert!(is_own(&[host], &[], &[]), "{host}");
        }
        for host in [
            "",
            ":8091",
            "id.example.org:8091",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "127.0.0.1:8091.example.org",
            "127.1",
            "2130706433",
            "::1",
            "[id.example.org]",
            "[127.0.0.1]:8091",
        ] {
            assert!(!is_own(&[host], &[], &[]), "{host}");
        }
        let names = ["id.example.org".to_owned()];
        assert!(is_own(&["ID.example.org:8091"], &[], &names));
        assert!(!is_own(&["other.example.org"], &[], &names));
        // HTTP/1.0 has no Host, and no browser uses it.
        assert!(is_own(&[], &[], &[]));
        assert!(!is_own(&["localhost", "id.example.org"], &[], &[]));
    }

    #[test]
    fn origin_must_equal_the_host() {
        for (host, origin, own) in [
            ("127.0.0.1:8091", "http://127.0.0.1:8091", true),
            ("localhost:8091", "http://LOCALHOST:8091", true),
            ("[::1]:8091", "http://[::1]:8091", true),
            ("127.0.0.1:8091", "http://127.0.0.1:8090", false),
            ("127.0.0.1:8091", "http://localhost:8091", false),
            ("127.0.0.1:8091", "https://evil.example", false),
            (
                "127.0.0.1:8091",
                "http://127.0.0.1:8091.evil.example",
                false,
            ),
            ("127.0.0.1:8091", "null", false),
            ("127.0.0.1:8091", "", false),
            ("evil.example:8091", "http://evil.example:8091", false),
        ] {
            assert_eq!(is_own(&[host], &[origin], &[]), own, "{host} {origin}");
        }
        let host = "id.internal:8091";
        let names = ["id.internal".to_owned()];
        assert!(is_own(&[host], &["https://id.internal:8091"], &names));
        assert!(!is_own(&[host], &["https://evil.example"], &names));
        assert!(!is_own(&[], &["http://127.0.0.1:8091"], &names));
        assert!(!is_own(
            &[host],
            &["https://id.internal:8091", "null"],
            &names
        ));
    }

    proptest! {
        #[test]
        fn domain_names_are_never_local(name in "[a-z0-9.-]{0,20}\\.[a-z]{2,6}(:[0-9]{1,5})?") {
            prop_assert!(!is_local(&name, &[]));
        }
    }
}
