//! The names of this server, however clients write them (UNB-13).
//!
//! A client gives its homeserver the name of its identity server, and the homeserver
//! signs requests for that name. Clients store what a person typed or what a
//! discovery answered, so one server goes by many spellings.

use idna::AsciiDenyList;

/// Where the API is. Some clients store its URL instead of the server's.
const API: &str = "/_matrix/identity";

/// The names of this server. A request that was signed for another name is
/// rejected (UNB-13).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnNames {
    given: Vec<String>,
    normalized: Vec<String>,
}

impl OwnNames {
    /// Takes the names: hosts, with or without a port and a path.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut given: Vec<String> = names.into_iter().collect();
        given.sort();
        given.dedup();
        let mut normalized: Vec<String> = given.iter().map(|name| normalize(name)).collect();
        normalized.sort();
        normalized.dedup();
        Self { given, normalized }
    }

    /// Whether `name` is one of the names, in any spelling: with a scheme, in
    /// capitals, with the port of https, with a slash at its end, or followed by the
    /// path of the API.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.normalized.contains(&normalize(name))
    }

    /// The spellings that a homeserver may have signed without naming one in its
    /// header.
    pub(super) fn spellings(&self) -> impl Iterator<Item = String> {
        self.given
            .iter()
            .flat_map(|name| [name.clone(), format!("{name}/")])
    }
}

/// The one spelling of a name that all of its spellings have in common. Another host,
/// port or path remains another name.
fn normalize(name: &str) -> String {
    let name = name.trim();
    let (default_port, rest) = match split_scheme(name) {
        Some(("http", rest)) => (":80", rest),
        Some((_, rest)) => (":443", rest),
        None => (":443", name),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    let (host, port) = split_port(authority);
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = match idna::domain_to_ascii_cow(host.as_bytes(), AsciiDenyList::EMPTY) {
        Ok(ascii) => ascii.to_ascii_lowercase(),
        Err(_not_a_domain) => host.to_lowercase(),
    };
    format!("{host}{port}{}", without_api(&tidy_path(path)))
}

/// An http or https URL without its scheme, and the scheme in lower case.
fn split_scheme(name: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = name.split_once("://")?;
    let known = ["http", "https"];
    let scheme = known
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known))?;
    Some((scheme, rest))
}

/// The host, and the port with its colon. A colon inside the brackets of an IPv6
/// address precedes no port.
fn split_port(authority: &str) -> (&str, &str) {
    let colon = authority.rfind(':').unwrap_or(authority.len());
    match authority.split_at_checked(colon) {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    }
}

/// A path that is empty or begins with a slash, without empty segments.
fn tidy_path(path: &str) -> String {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.flat_map(|segment| ["/", segment]).collect()
}

fn without_api(path: &str) -> &str {
    let version = ["/v2", "/api/v1"]
        .into_iter()
        .find_map(|version| path.strip_suffix(version));
    version
        .and_then(|path| path.strip_suffix(API))
        .or_else(|| path.strip_suffix(API))
        .or_else(|| path.strip_suffix("/_matrix"))
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own(names: &[&str]) -> OwnNames {
        OwnNames::new(names.iter().map(|name| (*name).to_owned()))
    }

    /// UNB-13
    #[test]
    fn every_spelling_of_a_name_is_own() {
        let names = own(&[
            "id.example.org",
            "id.example.org:8443",
            "example.org/identity",
            "xn--bcher-kva.example",
            "[2001:db8::1]",
        ]);
        for name in [
            "id.example.org",
            "id.example.org/",
            "id.example.org//",
            "ID.Example.ORG",
            "id.example.org.",
            "id.example.org:443",
            "id.example.org:443/",
            "https://id.example.org",
            "HTTPS://id.example.org/",
            "https://id.example.org:443/",
            "http://id.example.org:80",
            " id.example.org ",
            "id.example.org/_matrix/identity",
            "id.example.org/_matrix/identity/v2/",
            "https://id.example.org/_matrix/identity/api/v1",
            "id.example.org/_matrix",
            "id.example.org:8443/",
            "https://id.example.org:8443",
            "example.org/identity",
            "example.org/identity/",
            "Example.org//identity//",
            "example.org:443/identity/_matrix/identity",
            "bücher.example/",
            "BÜCHER.example",
            "[2001:DB8::1]",
            "[2001:db8::1]:443/",
        ] {
            assert!(names.contains(name), "{name}");
        }
    }

    /// UNB-13, SEC-19
    #[test]
    fn another_host_port_or_path_is_not_own() {
        let names = own(&["id.example.org", "example.org/identity", "[2001:db8::1]"]);
        for name in [
            "",
            "/",
            "example.org",
            "id.example.org:8443",
            "id.example.org:80",
            "http://id.example.org:443",
            "id.example.org/other",
            "id.example.org/v2",
            "example.org/Identity",
            "example.org/identity/other",
            "example.org/a/../identity",
            "id.example.org.evil.example",
            "evil.example/id.example.org",
            "id.example.org@evil.example",
            "user@id.example.org",
            "id.example.org?",
            "id.example.org#",
            "ftp://id.example.org",
            "id.example.org..",
            "id%2Eexample.org",
            "[2001:db8::1",
            "2001:db8::1",
        ] {
            assert!(!names.contains(name), "{name}");
        }
        assert!(!own(&[]).contains(""));
    }

    proptest! {
        /// UNB-13
        #[test]
        fn normalized_name_is_stable(name in "(https?://)?[a-z:.\\[\\]/é_0-9]{0,30}|.{0,20}") {
            let once = normalize(&name);
            // A second default port would be another name.
            prop_assume!(!once.contains(":443") && !once.contains(":80"));
            prop_assert!(own(&[&name]).contains(&name));
        }
    }
}
