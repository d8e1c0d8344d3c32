//! `.well-known/matrix/server`: the delegation of a server name and how long it is
//! cached (Server-Server API, "Resolving server names", step 3).

use awc::http::Method;
use awc::http::header::{CACHE_CONTROL, EXPIRES, HeaderMap, HttpDate, LOCATION};
use serde_json::Value;
use url::Url;

use super::connect::{Connected, Network};
use super::route::route_to_url;
use crate::clock::epoch_ms;
use crate::domain::ids::ServerName;
use crate::outgoing::{CallError, Request, Response, exchange, path_and_query};

/// The largest document that is accepted, in bytes (NET-15).
const MAX_RESPONSE: usize = 50 * 1024;
/// The maximum number of redirects that are followed.
const MAX_REDIRECTS: usize = 5;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DEFAULT_TTL_MS: i64 = 24 * HOUR_MS;
const MAX_TTL_MS: i64 = 48 * HOUR_MS;
/// Also used if caching is forbidden: otherwise each call would need two requests.
const MIN_TTL_MS: i64 = 5 * MINUTE_MS;
/// The TTL of a response without a delegation.
const NO_DELEGATION_TTL_MS: i64 = HOUR_MS;
/// The TTL after a failed request, which may succeed soon.
const UNREACHABLE_TTL_MS: i64 = 5 * MINUTE_MS;

/// The delegation of a server name, and the time in milliseconds for which it is
/// cached (NET-08).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delegation {
    /// The server name to use instead; `None` without a valid delegation (NET-05).
    pub delegate: Option<ServerName>,
    pub ttl_ms: i64,
}

impl Delegation {
    /// The result of a failed request.
    pub(super) fn unreachable() -> Self {
        Self {
            delegate: None,
            ttl_ms: UNREACHABLE_TTL_MS,
        }
    }
}

/// Looks up the delegation of a host. The caller sets the timeout.
pub(super) async fn look_up(network: &Network, host: &str, now: i64) -> Delegation {
    match fetch(network, host).await {
        Ok(response) => parse(&response, now),
        // It says nothing about this host.
        Err(CallError::TooManyCalls) => Delegation {
            delegate: None,
            ttl_ms: 0,
        },
        Err(_) => Delegation::unreachable(),
    }
}

async fn fetch(network: &Network, host: &str) -> Result<Response, CallError> {
    let mut url = Url::parse(&format!("https://{host}/.well-known/matrix/server"))
        .map_err(|_not_a_url| CallError::NoAddress)?;
    for _ in 0..=MAX_REDIRECTS {
        let response = get(network, &url).await?;
        let Some(target) = redirect_target(&url, &response) else {
            return Ok(response);
        };
        url = target.map_err(CallError::InvalidResponse)?;
    }
    Err(CallError::InvalidResponse("too many redirects".to_owned()))
}

async fn get(network: &Network, url: &Url) -> Result<Response, CallError> {
    let mut route = route_to_url(url).ok_or(CallError::NoAddress)?;
    let static_target = url
        .host_str()
        .zip(url.port_or_known_default())
        .and_then(|(host, port)| network.static_target(&format!("{host}:{port}")));
    if let Some(target) = static_target {
        route.target = target;
    }
    // A redirect must not lead to a denied server, or past the guard.
    if let Ok(server) = ServerName::parse(&route.host) {
        network.check_allowed(&server)?;
    }
    let Connected {
        stream,
        call: _counts,
    } = network.connect(&route).await?;
    let path = path_and_query(url);
    let request = Request::new(Method::GET, &route.host, &path, None);
    exchange(stream, request.with_max_response(MAX_RESPONSE)).await
}

/// The target of a redirect; `None` if the response is not a redirect.
fn redirect_target(from: &Url, response: &Response) -> Option<Result<Url, String>> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = response
        .headers
        .get(LOCATION)
        // Some servers write UTF-8, which the parser encodes.
        .and_then(|location| std::str::from_utf8(location.as_bytes()).ok())
        .and_then(|location| from.join(location).ok());
    Some(match target {
        Some(url) if url.scheme() == "https" => Ok(url),
        Some(_) => Err("redirect to a URL that is not https".to_owned()),
        None => Err("redirect without a valid Location".to_owned()),
    })
}

fn parse(response: &Response, now: i64) -> Delegation {
    let delegate = (response.status == 200)
        .then(|| parse_document(&response.body))
        .flatten();
    let ttl_ms = match delegate {
        Some(_) => ttl_ms(&response.headers, now),
        None => NO_DELEGATION_TTL_MS,
    };
    Delegation { delegate, ttl_ms }
}

/// `m.server`, whatever the content type.
fn parse_document(body: &[u8]) -> Option<ServerName> {
    let document: Value = serde_json::from_slice(body).ok()?;
    ServerName::parse(document.get("m.server")?.as_str()?).ok()
}

fn ttl_ms(headers: &HeaderMap, now: i64) -> i64 {
    cache_control(headers)
        .or_else(|| expires(headers, now))
        .unwrap_or(DEFAULT_TTL_MS)
        .clamp(MIN_TTL_MS, MAX_TTL_MS)
}

fn expires(headers: &HeaderMap, now: i64) -> Option<i64> {
    let date = headers.get(EXPIRES)?.to_str().ok()?;
    // An invalid date means "already expired" (RFC 9111, section 5.3).
    let expires_at = date
        .parse::<HttpDate>()
        .map_or(0, |date| epoch_ms(date.into()));
    Some(expires_at.saturating_sub(now))
}

fn cache_control(headers: &HeaderMap) -> Option<i64> {
    let mut max_age = None;
    for value in headers.get_all(CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or("").split(',') {
            let directive = directive.trim().to_ascii_lowercase();
            if directive == "no-store" || directive == "no-cache" {
                return Some(0);
            }
            if let Some(seconds) = directive.strip_prefix("max-age=") {
                let seconds = seconds.trim_matches('"').parse::<i64>().unwrap_or(0);
                max_age = Some(seconds.saturating_mul(1000));
            }
        }
    }
    max_age
}

#[cfg(test)]
mod tests {
    use awc::http::header::{HeaderName, HeaderValue};

    use super::*;

    /// 2027-01-15 08:00:00 UTC.
    const NOW: i64 = 1_800_000_000_000;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        Response {
            status,
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    const DOCUMENT: &str = r#"{"m.server": "hs.example:1"}"#;

    /// NET-03
    #[test]
    fn document_names_the_delegate() {
        for kind in ["application/json", "text/html", "nonsense"] {
            let delegation = parse(&response(200, &[("content-type", kind)], DOCUMENT), NOW);
            assert_eq!(delegation.delegate.unwrap().as_str(), "hs.example:1");
        }
    }

    /// NET-05
    #[test]
    fn invalid_responses_do_not_delegate() {
        for (status, body) in [
            (404, DOCUMENT),
            (500, DOCUMENT),
            (204, DOCUMENT),
            (200, ""),
            (200, "{"),
            (200, "[]"),
            (200, "\"hs.example\""),
            (200, "{}"),
            (200, r#"{"m.server": null}"#),
            (200, r#"{"m.server": 7}"#),
            (200, r#"{"m.server": ["hs.example"]}"#),
            (200, r#"{"m.server": ""}"#),
            (200, r#"{"m.server": "hs.example:99999"}"#),
            (200, r#"{"m.server": "https://hs.example"}"#),
            (200, r#"{"m.server": "hs.example/x"}"#),
            (200, r#"{"m.server": "hs.example#"}"#),
            (200, r#"{"m.server": "user@hs.example"}"#),
            (200, r#"{"m.server": "bücher.example"}"#),
        ] {
            let delegation = parse(&response(status, &[], body), NOW);
            let expected = Delegation {
                delegate: None,
                ttl_ms: HOUR_MS,
            };
            assert_eq!(delegation, expected, "{status} {body}");
        }
        assert!(Delegation::unreachable().ttl_ms <= HOUR_MS);
    }

    /// NET-08
    #[test]
    fn headers_set_the_cache_time_within_limits() {
        for (headers, hours) in [
            (vec![], 24.0),
            (vec![("cache-control", "max-age=7200")], 2.0),
            (vec![("cache-control", "public, Max-Age=\"7200\"")], 2.0),
            (vec![("cache-control", "public")], 24.0),
            (vec![("cache-control", "max-age=9999999")], 48.0),
            (
                vec![("cache-control", "max-age=99999999999999999999")],
                5.0 / 60.0,
            ),
            (vec![("cache-control", "max-age=0")], 5.0 / 60.0),
            (
                vec![("cache-control", "no-store, max-age=7200")],
                5.0 / 60.0,
            ),
            (vec![("expires", "Fri, 15 Jan 2027 11:00:00 GMT")], 3.0),
            (
                vec![("expires", "Fri, 15 Jan 2027 07:00:00 GMT")],
                5.0 / 60.0,
            ),
            (vec![("expires", "0")], 5.0 / 60.0),
            (
                vec![
                    ("expires", "Fri, 15 Jan 2027 11:00:00 GMT"),
                    ("cache-control", "max-age=3600"),
                ],
                1.0,
            ),
        ] {
            let delegation = parse(&response(200, &headers, DOCUMENT), NOW);
            #[expect(clippy::cast_precision_loss, reason = "a few hours are exact")]
            let found = delegation.ttl_ms as f64 / HOUR_MS as f64;
            assert!((found - hours).abs() < 1e-9, "{headers:?}: {found}");
        }
    }

    /// NET-03
    #[test]
    fn redirects_stay_on_https() {
        let from: Url = "https://a.example/.well-known/matrix/server"
            .parse()
            .unwrap();
        let target = |location: &str| {
            let redirect = response(302, &[("location", location)], "");
            redirect_target(&from, &redirect).unwrap()
        };
        for (location, expected) in [
            ("https://b.example:1/x?y", "https://b.example:1/x?y"),
            ("/x", "https://a.example/x"),
            ("//b.example/", "https://b.example/"),
        ] {
            assert_eq!(target(location).unwrap().as_str(), expected);
        }
        for bad in [
            "http://127.0.0.1/",
            "file:///etc/passwd",
            "gopher://x/",
            "https://",
        ] {
            assert!(target(bad).is_err(), "{bad}");
        }
        let no_location = response(302, &[], "");
        assert!(redirect_target(&from, &no_location).unwrap().is_err());
        assert!(redirect_target(&from, &response(200, &[], "")).is_none());
    }
}
