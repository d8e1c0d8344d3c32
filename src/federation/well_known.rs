//! `.well-known/matrix/server`: where a server name delegates to, and for how
//! long that is believed (Server-Server API, "Resolving server names", step 3).

use awc::http::Method;
use awc::http::header::{CACHE_CONTROL, EXPIRES, HeaderMap, HttpDate, LOCATION};
use serde_json::Value;
use url::Url;

use super::CallError;
use super::connect::Network;
use super::exchange::{Answer, Request, exchange};
use super::route::route_to_url;
use crate::clock::epoch_ms;
use crate::domain::ids::ServerName;

/// The largest document that is read (NET-15).
const LIMIT: usize = 50 * 1024;
/// So many redirects are followed.
const MOST_REDIRECTS: usize = 5;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DEFAULT_MS: i64 = 24 * HOUR_MS;
const LONGEST_MS: i64 = 48 * HOUR_MS;
/// Even what must not be remembered is, for so long: or else each call would be
/// two.
const SHORTEST_MS: i64 = 5 * MINUTE_MS;
/// How long it is believed that a server does not delegate.
const REFUSED_MS: i64 = HOUR_MS;
/// The same where it could not be asked: the next try may succeed.
const UNREACHED_MS: i64 = 5 * MINUTE_MS;

/// What `.well-known` says, and for how many milliseconds that is believed
/// (NET-08).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WellKnownOutcome {
    /// Where the name delegates to; `None` if it does not, whatever the reason
    /// (NET-05).
    pub delegate: Option<ServerName>,
    pub for_ms: i64,
}

impl WellKnownOutcome {
    /// What is said by somebody who cannot be asked.
    pub(super) fn nothing() -> Self {
        Self {
            delegate: None,
            for_ms: UNREACHED_MS,
        }
    }
}

/// Asks the host of a server name. Without an end in time: the caller sets one.
pub(super) async fn ask(network: &Network, host: &str, now: i64) -> WellKnownOutcome {
    match fetch(network, host).await {
        Ok(answer) => read(&answer, now),
        Err(_) => WellKnownOutcome::nothing(),
    }
}

async fn fetch(network: &Network, host: &str) -> Result<Answer, CallError> {
    let broken = |error: url::ParseError| CallError::Broken(error.to_string());
    let start = format!("https://{host}/.well-known/matrix/server");
    let mut url = Url::parse(&start).map_err(broken)?;
    for _ in 0..=MOST_REDIRECTS {
        let answer = get(network, &url).await?;
        let Some(next) = redirected(&url, &answer) else {
            return Ok(answer);
        };
        url = next.map_err(CallError::Broken)?;
    }
    Err(CallError::Broken("too many redirects".to_owned()))
}

async fn get(network: &Network, url: &Url) -> Result<Answer, CallError> {
    let mut route = route_to_url(url).ok_or(CallError::NoAddress)?;
    let with_port = url
        .host_str()
        .zip(url.port_or_known_default())
        .map(|(host, port)| format!("{host}:{port}"));
    if let Some(fixed) = with_port.and_then(|name| network.fixed(&name)) {
        route.target = fixed;
    }
    // Each hop is one that is wanted, and goes through the guard, whatever the
    // one before said.
    if let Ok(server) = ServerName::parse(&route.host) {
        network.want(&server)?;
    }
    let stream = network.connect(&route).await?;
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let request = Request {
        method: Method::GET,
        host: &route.host,
        path: &path,
        body: None,
        limit: LIMIT,
    };
    exchange(stream, request).await
}

/// Where a redirect leads to, which may be nowhere that is followed.
fn redirected(from: &Url, answer: &Answer) -> Option<Result<Url, String>> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target = answer
        .headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| from.join(location).ok());
    Some(match target {
        Some(url) if url.scheme() == "https" => Ok(url),
        Some(_) => Err("a redirect leads away from https".to_owned()),
        None => Err("a redirect leads nowhere".to_owned()),
    })
}

fn read(answer: &Answer, now: i64) -> WellKnownOutcome {
    let delegate = (answer.status == 200)
        .then(|| delegate(&answer.body))
        .flatten();
    let for_ms = match delegate {
        Some(_) => lifetime(&answer.headers, now),
        None => REFUSED_MS,
    };
    WellKnownOutcome { delegate, for_ms }
}

/// `m.server`, whatever the type of the document says.
fn delegate(body: &[u8]) -> Option<ServerName> {
    let document: Value = serde_json::from_slice(body).ok()?;
    ServerName::parse(document.get("m.server")?.as_str()?).ok()
}

fn lifetime(headers: &HeaderMap, now: i64) -> i64 {
    let said = cache_control(headers).or_else(|| {
        let expires = headers.get(EXPIRES)?.to_str().ok()?;
        // An unreadable date means "already over" (RFC 9111 section 5.3).
        let expires = expires
            .parse::<HttpDate>()
            .map_or(0, |date| epoch_ms(date.into()));
        Some(expires.saturating_sub(now))
    });
    said.unwrap_or(DEFAULT_MS).clamp(SHORTEST_MS, LONGEST_MS)
}

fn cache_control(headers: &HeaderMap) -> Option<i64> {
    let mut said = None;
    for value in headers.get_all(CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or("").split(',') {
            let directive = directive.trim().to_ascii_lowercase();
            if directive == "no-store" || directive == "no-cache" {
                return Some(0);
            }
            if let Some(seconds) = directive.strip_prefix("max-age=") {
                let seconds = seconds.trim_matches('"').parse::<i64>().unwrap_or(0);
                said = Some(seconds.saturating_mul(1000));
            }
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use awc::http::header::{HeaderName, HeaderValue};

    use super::*;

    /// 2027-01-15 08:00:00 UTC.
    const NOW: i64 = 1_800_000_000_000;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        Answer {
            status,
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    const DOCUMENT: &str = r#"{"m.server": "hs.example:1"}"#;

    #[test]
    fn net_03_the_document_says_where() {
        for kind in ["application/json", "text/html", "nonsense"] {
            let said = read(&answer(200, &[("content-type", kind)], DOCUMENT), NOW);
            assert_eq!(said.delegate.unwrap().as_str(), "hs.example:1");
        }
    }

    #[test]
    fn net_05_everything_else_is_no_delegation() {
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
            let said = read(&answer(status, &[], body), NOW);
            let expected = WellKnownOutcome {
                delegate: None,
                for_ms: HOUR_MS,
            };
            assert_eq!(said, expected, "{status} {body}");
        }
        assert!(WellKnownOutcome::nothing().for_ms <= HOUR_MS);
    }

    #[test]
    fn net_08_the_headers_say_for_how_long_within_bounds() {
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
            let said = read(&answer(200, &headers, DOCUMENT), NOW);
            #[expect(clippy::cast_precision_loss, reason = "a few hours are exact")]
            let found = said.for_ms as f64 / HOUR_MS as f64;
            assert!((found - hours).abs() < 1e-9, "{headers:?}: {found}");
        }
    }

    #[test]
    fn net_03_redirects_stay_within_https() {
        let from: Url = "https://a.example/.well-known/matrix/server"
            .parse()
            .unwrap();
        let leads = |location: &str| {
            let answer = answer(302, &[("location", location)], "");
            redirected(&from, &answer).unwrap()
        };
        for (location, expected) in [
            ("https://b.example:1/x?y", "https://b.example:1/x?y"),
            ("/x", "https://a.example/x"),
            ("//b.example/", "https://b.example/"),
        ] {
            assert_eq!(leads(location).unwrap().as_str(), expected);
        }
        for bad in [
            "http://127.0.0.1/",
            "file:///etc/passwd",
            "gopher://x/",
            "https://",
        ] {
            assert!(leads(bad).is_err(), "{bad}");
        }
        assert!(redirected(&from, &answer(302, &[], "")).unwrap().is_err());
        assert!(redirected(&from, &answer(200, &[], "")).is_none());
    }
}
