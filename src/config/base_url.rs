//! The public URL of the server.

use std::fmt;

use url::Url;

use crate::domain::Invalid;

/// An http or https URL without user name, password, query, fragment and trailing
/// slash, so that a path can be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Parses a base URL; drops trailing slashes.
    ///
    /// # Errors
    /// When the text is not a URL, or has a part that a base URL must not have.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const NOT_A_URL: Invalid = Invalid("must be a URL such as \"https://id.example.org\"");
        let url = Url::parse(text).map_err(|_no_detail_helps_more| NOT_A_URL)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(NOT_A_URL);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid("must not contain a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Invalid(
                "must not contain a query or fragment (? or #), since paths are appended to it",
            ));
        }
        if url
            .path_segments()
            .is_some_and(|mut path| path.any(|part| part == "_matrix"))
        {
            return Err(Invalid(
                "must not contain the path of the API; remove /_matrix and what follows, since \
                 such paths are appended to it",
            ));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The URL, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names that clients derive from this URL for the server: its host, with or
    /// without port and path.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let (_, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // A colon inside the brackets of an IPv6 address precedes no port.
        let (host, with_port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, authority.to_owned()),
            _ if self.is_https() => (authority, format!("{authority}:443")),
            _ => (authority, format!("{authority}:80")),
        };
        let mut names = vec![host.to_owned(), with_port];
        if !path.is_empty() {
            let with_path: Vec<String> =
                names.iter().map(|name| format!("{name}/{path}")).collect();
            names.extend(with_path);
        }
        names
    }

    /// The path, without a trailing slash; empty for most servers.
    #[must_use]
    pub fn path(&self) -> &str {
        let (_, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        rest.find('/')
            .and_then(|slash| rest.get(slash..))
            .unwrap_or_default()
    }

    /// Whether the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// UNB-13
    #[test]
    fn server_names_derive_from_the_base_url() {
        for (url, names) in [
            (
                "https://id.example.org",
                "id.example.org id.example.org:443",
            ),
            (
                "https://id.example.org:8443/",
                "id.example.org id.example.org:8443",
            ),
            ("http://[::1]", "[::1] [::1]:80"),
            ("http://[::1]:8090", "[::1] [::1]:8090"),
            (
                "https://example.org/a/b",
                "example.org example.org:443 example.org/a/b example.org:443/a/b",
            ),
        ] {
            assert_eq!(BaseUrl::parse(url).unwrap().names().join(" "), names);
        }
    }

    #[test]
    fn parses_and_normalizes_base_urls() {
        for (text, url) in [
            ("https://id.example.org", "https://id.example.org"),
            ("https://id.example.org/", "https://id.example.org"),
            ("HTTPS://ID.example.org:443//", "https://id.example.org"),
            ("http://[::1]:8090", "http://[::1]:8090"),
            (
                "https://example.org/identity/",
                "https://example.org/identity",
            ),
        ] {
            let parsed = BaseUrl::parse(text).unwrap();
            assert_eq!(parsed.as_str(), url);
            assert_eq!(parsed.is_https(), url.starts_with("https"));
        }
        for bad in [
            "",
            "id.example.org",
            "ftp://id.example.org",
            "https://",
            "https:///",
            "https://a b",
            "https://u@id.example.org",
            "https://u:p@id.example.org",
            "https://id.example.org?a",
            "https://id.example.org/#a",
            "javascript:alert(1)",
            "https://id.example.org/_matrix/identity",
            "https://id.example.org/_matrix/identity/v2/",
            "https://id.example.org/_matrix/identity/api/v1",
            "https://id.example.org/prefix/_matrix/",
            "https://id.example.org//_matrix/identity",
        ] {
            assert!(BaseUrl::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn normalized_base_url_parses_to_itself(text in "https?://[a-z/.?#@:0-9]{0,20}") {
            if let Ok(url) = BaseUrl::parse(&text) {
                prop_assert!(!url.as_str().ends_with('/'));
                let again = BaseUrl::parse(url.as_str());
                prop_assert_eq!(again, Ok(url));
            }
        }
    }
}
