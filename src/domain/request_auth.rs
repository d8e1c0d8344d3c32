//! Verifies that a homeserver has signed a request to this server (Server-Server
//! API, "Request Authentication"; UNB-12 … UNB-16).

use std::fmt;

use serde_json::{Map, Value, json};

use super::own_names::OwnNames;
use super::public_key::PublicKey;
use super::x_matrix::XMatrix;
use super::{Invalid, canonical_json, signing};

/// The parts of a request that its signature covers.
pub struct SignedRequest {
    method: &'static str,
    uris: Vec<String>,
    content: String,
}

impl SignedRequest {
    /// Creates a request from its path and query, in each form in which a homeserver
    /// can have signed it (UNB-15; see [`signed_uris`]), and its whole body, unknown
    /// fields included (UNB-16).
    ///
    /// # Errors
    /// The body has no canonical form, so it cannot have been signed.
    pub fn new(
        method: &'static str,
        uris: Vec<String>,
        content: &Map<String, Value>,
    ) -> Result<Self, Invalid> {
        let content = canonical_json::encode_object(content)?;
        Ok(Self {
            method,
            uris,
            content,
        })
    }

    /// Whether the header's signature is valid: the origin has signed this request
    /// with `key` for one of the names of this server.
    #[must_use]
    pub fn is_signed(&self, header: &XMatrix, own: &OwnNames, key: &PublicKey) -> bool {
        let destinations: Vec<String> = match &header.destination {
            // As it is spelled there, since the signature covers it.
            Some(name) if own.contains(name) => vec![name.clone()],
            Some(_) => return false,
            // The signature covers the destination, the header does not name it.
            None => own.spellings().collect(),
        };
        destinations.iter().any(|destination| {
            // Synapse signs the former, the specification requires the latter.
            ["destination_is", "destination"].iter().any(|name| {
                self.uris.iter().any(|uri| {
                    self.signed_text(header, name, destination, uri)
                        .is_some_and(|text| signing::verify_text(&text, &header.signature, key))
                })
            })
        })
    }

    /// The canonical form of the signed object. The content is inserted as text,
    /// because its key sorts first and encoding it again could take long.
    fn signed_text(
        &self,
        header: &XMatrix,
        name: &str,
        destination: &str,
        uri: &str,
    ) -> Option<String> {
        let rest = canonical_json::encode(&json!({
            name: destination,
            "method": self.method,
            "origin": header.origin,
            "uri": uri,
        }))
        .ok()?;
        Some(format!(
            "{{\"content\":{},{}",
            self.content,
            rest.strip_prefix('{')?
        ))
    }
}

/// The forms of a path and query in which a homeserver can have signed them: as they
/// came, with single slashes, with a doubled one at the start, and below the path of
/// the server's URL.
///
/// A client that stores its identity server with a slash at the end makes the
/// homeserver send `//_matrix/…`. Synapse signs the path without it, others sign what
/// they send, and a proxy in between may have merged the slashes or removed a prefix.
#[must_use]
pub fn signed_uris(sent: &str, merged: &str, prefix: &str) -> Vec<String> {
    let mut uris = vec![sent.to_owned(), merged.to_owned(), format!("/{merged}")];
    if !prefix.is_empty() {
        uris.push(format!("{prefix}{merged}"));
        uris.push(format!("{prefix}/{merged}"));
    }
    // Usually the first two are the same.
    uris.dedup();
    uris
}

// Not derived: the content contains an address.
impl fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URI: &str = "/_matrix/identity/v2/3pid/unbind";
    const BY_SYNAPSE: &str =
        "xLZXw3TS/vB/bHJSPYkVeIoIFpBn+tx4VnE56mK90BOHmPYrhifXSOLIejKFgGDRxTH6sPpHyhhLOE0SQw48AQ";
    const BY_SPECIFICATION: &str =
        "RyHlSd8MEv8HpK3jxBATermkrl/uhS50anQr3KZO9yDVQJj43ozDEB9FJzfCJ0dghAtXgJSTfHEK/7TtL1ElDw";

    fn key() -> PublicKey {
        PublicKey::from_base64("XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI").unwrap()
    }

    fn own(names: &[&str]) -> OwnNames {
        OwnNames::new(names.iter().map(|name| (*name).to_owned()))
    }

    fn body() -> Value {
        json!({
            "threepid": {"medium": "email", "address": "alice@example.com"},
            "mxid": "@alice:hs.example.org",
        })
    }

    fn request(method: &'static str, uri: &str, body: &Value) -> SignedRequest {
        SignedRequest::new(method, vec![uri.to_owned()], body.as_object().unwrap()).unwrap()
    }

    fn header(origin: &str, destination: Option<&str>, signature: &str) -> XMatrix {
        let destination = destination.map_or(String::new(), |name| format!("destination={name},"));
        let text =
            format!("X-Matrix origin={origin},{destination}key=ed25519:1,sig=\"{signature}\"");
        XMatrix::parse(&text).unwrap().unwrap()
    }

    /// UNB-12
    #[test]
    fn vectors_verify_with_either_destination_key() {
        let (own, request) = (
            own(&["a.example", "is.example.org"]),
            request("POST", URI, &body()),
        );
        for signature in [BY_SYNAPSE, BY_SPECIFICATION] {
            for destination in [Some("is.example.org"), None] {
                let header = header("hs.example.org", destination, signature);
                assert!(request.is_signed(&header, &own, &key()));
            }
        }
    }

    /// UNB-13, SEC-19
    #[test]
    fn signature_for_another_server_is_rejected() {
        let request = request("POST", URI, &body());
        for (names, destination) in [
            (vec!["a.example"], None),
            (vec!["a.example"], Some("is.example.org")),
            (vec!["a.example"], Some("a.example")),
            (vec!["a.example", "is.example.org"], Some("a.example")),
            (vec!["is.example.org:8443"], Some("is.example.org")),
            (vec![], None),
        ] {
            let header = header("hs.example.org", destination, BY_SYNAPSE);
            assert!(
                !request.is_signed(&header, &own(&names), &key()),
                "{names:?}"
            );
        }
    }

    /// UNB-15
    #[test]
    fn path_may_be_signed_in_every_form_it_takes() {
        let signed = [
            ("/a/b?c=//", "/a/b?c=//", ""),
            ("//a//b", "/a/b", ""),
            ("/a/b", "/a/b", "/id"),
        ]
        .map(|(sent, merged, prefix)| signed_uris(sent, merged, prefix).join(" "));
        assert_eq!(
            signed,
            [
                "/a/b?c=// //a/b?c=//",
                "//a//b /a/b //a/b",
                "/a/b //a/b /id/a/b /id//a/b"
            ]
        );
        let sent = "//_matrix/identity/v2/3pid/unbind";
        let uris = signed_uris(sent, URI, "");
        let request = SignedRequest::new("POST", uris, body().as_object().unwrap()).unwrap();
        for destination in [Some("is.example.org"), None] {
            let header = header("hs.example.org", destination, BY_SYNAPSE);
            assert!(request.is_signed(
                &header,
                &own(&["IS.example.org", "is.example.org"]),
                &key()
            ));
        }
    }

    /// SEC-19
    #[test]
    fn signature_is_valid_for_one_request_only() {
        let own = own(&["is.example.org"]);
        let header = header("hs.example.org", Some("is.example.org"), BY_SYNAPSE);
        let mut more = body();
        more["x"] = json!(1);
        let mut other = body();
        other["mxid"] = json!("@bob:hs.example.org");
        for (method, uri, body) in [
            ("PUT", URI, body()),
            ("POST", "/_matrix/identity/api/v1/3pid/unbind", body()),
            ("POST", "/_matrix/identity/v2/3pid/unbind?a=b", body()),
            ("POST", URI, more),
            ("POST", URI, other),
            ("POST", URI, json!({})),
        ] {
            assert!(!request(method, uri, &body).is_signed(&header, &own, &key()));
        }
        let elsewhere = self::header("hs2.example.org", Some("is.example.org"), BY_SYNAPSE);
        let good = request("POST", URI, &body());
        assert!(!good.is_signed(&elsewhere, &own, &key()));
        assert!(!good.is_signed(&header, &own, &PublicKey::from_bytes([7; 32])));
        for bad in ["", "!", "A", BY_SYNAPSE.get(1..).unwrap()] {
            let bad = self::header("hs.example.org", None, bad);
            assert!(!good.is_signed(&bad, &own, &key()));
        }
    }

    /// CRY-03
    #[test]
    fn content_without_canonical_form_is_rejected() {
        let content = json!({"a": 1.5});
        let request =
            SignedRequest::new("POST", vec![URI.to_owned()], content.as_object().unwrap());
        assert!(request.is_err());
    }

    proptest! {
        /// UNB-16
        #[test]
        fn signed_text_is_the_canonical_json(
            uri: String, destination: String, text: String,
        ) {
            let content = json!({"unsigned": text, "signatures": {text.clone(): 1}});
            let request = request("POST", &uri, &content);
            let header = header("hs.example.org", None, "x");
            for name in ["destination_is", "destination"] {
                let object = json!({
                    "method": "POST", "uri": uri, "origin": "hs.example.org",
                    name: destination, "content": content,
                });
                prop_assert_eq!(
                    request.signed_text(&header, name, &destination, &uri),
                    canonical_json::encode(&object).ok()
                );
            }
        }
    }
}
