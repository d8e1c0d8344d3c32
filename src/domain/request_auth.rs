//! Whether a homeserver has signed a request to this server (server-server API,
//! "Request Authentication"; UNB-12 … UNB-16).

use std::fmt;
use std::slice;

use serde_json::{Map, Value, json};

use super::x_matrix::XMatrix;
use super::{Invalid, canonical_json, signing};

/// The names by which clients and homeservers call this server: a request that
/// was signed for another one is not for this one (UNB-13).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnNames(Vec<String>);

impl OwnNames {
    /// Those names: hosts, with or without a port and a path.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort();
        names.dedup();
        Self(names)
    }

    /// Whether that is one of them, to the letter.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }
}

/// A request as it is signed.
pub struct SignedRequest {
    method: &'static str,
    uri: String,
    content: String,
}

impl SignedRequest {
    /// A request for that path and query, as they were received (UNB-15), with
    /// that body, whatever else is in it (UNB-16).
    ///
    /// # Errors
    /// When the body has no canonical form: nobody can have signed it.
    pub fn new(
        method: &'static str,
        uri: String,
        content: &Map<String, Value>,
    ) -> Result<Self, Invalid> {
        let content = canonical_json::encode_object(content)?;
        Ok(Self {
            method,
            uri,
            content,
        })
    }

    /// Whether what is stated holds: the origin has signed this request, by the
    /// key with that public half, for one of `own`.
    #[must_use]
    pub fn is_signed(&self, stated: &XMatrix, own: &OwnNames, public: &[u8; 32]) -> bool {
        let destinations = match &stated.destination {
            Some(named) if own.contains(named) => slice::from_ref(named),
            Some(_) => return false,
            // Signed, but not said: it may be any of them.
            None => own.0.as_slice(),
        };
        let by = |destination: &String| {
            // Synapse signs the former, the specification asks for the latter.
            ["destination_is", "destination"].iter().any(|name| {
                self.signed_text(stated, name, destination)
                    .is_some_and(|text| signing::verify_text(&text, &stated.signature, public))
            })
        };
        destinations.iter().any(by)
    }

    /// The canonical form of the object that is signed. The content is put in as
    /// it is, since its name comes first and it may be long.
    fn signed_text(&self, stated: &XMatrix, name: &str, destination: &str) -> Option<String> {
        let rest = canonical_json::encode(&json!({
            name: destination,
            "method": self.method,
            "origin": stated.origin,
            "uri": self.uri,
        }));
        let rest = rest.ok()?;
        Some(format!(
            "{{\"content\":{},{}",
            self.content,
            rest.strip_prefix('{')?
        ))
    }
}

// Written by hand: the content holds an address.
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
    use crate::domain::base64;

    const URI: &str = "/_matrix/identity/v2/3pid/unbind";
    const BY_SYNAPSE: &str =
        "xLZXw3TS/vB/bHJSPYkVeIoIFpBn+tx4VnE56mK90BOHmPYrhifXSOLIejKFgGDRxTH6sPpHyhhLOE0SQw48AQ";
    const BY_THE_BOOK: &str =
        "RyHlSd8MEv8HpK3jxBATermkrl/uhS50anQr3KZO9yDVQJj43ozDEB9FJzfCJ0dghAtXgJSTfHEK/7TtL1ElDw";

    fn key() -> [u8; 32] {
        base64::decode_key("XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI").unwrap()
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
        SignedRequest::new(method, uri.to_owned(), body.as_object().unwrap()).unwrap()
    }

    fn stated(origin: &str, destination: Option<&str>, signature: &str) -> XMatrix {
        let destination = destination.map_or(String::new(), |name| format!("destination={name},"));
        let header =
            format!("X-Matrix origin={origin},{destination}key=ed25519:1,sig=\"{signature}\"");
        XMatrix::parse(&header).unwrap().unwrap()
    }

    #[test]
    fn unb_12_vectors_with_either_name_of_the_destination() {
        let (own, request) = (
            own(&["a.example", "is.example.org"]),
            request("POST", URI, &body()),
        );
        for signature in [BY_SYNAPSE, BY_THE_BOOK] {
            for destination in [Some("is.example.org"), None] {
                let stated = stated("hs.example.org", destination, signature);
                assert!(request.is_signed(&stated, &own, &key()));
            }
        }
    }

    #[test]
    fn unb_13_sec_19_what_was_signed_for_another_server_is_not_for_this_one() {
        let request = request("POST", URI, &body());
        for (names, destination) in [
            (vec!["a.example"], None),
            (vec!["a.example"], Some("is.example.org")),
            (vec!["a.example"], Some("a.example")),
            (vec!["a.example", "is.example.org"], Some("a.example")),
            (vec!["IS.example.org"], Some("is.example.org")),
            (vec![], None),
        ] {
            let stated = stated("hs.example.org", destination, BY_SYNAPSE);
            assert!(
                !request.is_signed(&stated, &own(&names), &key()),
                "{names:?}"
            );
        }
    }

    #[test]
    fn sec_19_a_signature_is_for_one_request_alone() {
        let own = own(&["is.example.org"]);
        let stated = stated("hs.example.org", Some("is.example.org"), BY_SYNAPSE);
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
            assert!(!request(method, uri, &body).is_signed(&stated, &own, &key()));
        }
        let elsewhere = self::stated("hs2.example.org", Some("is.example.org"), BY_SYNAPSE);
        let good = request("POST", URI, &body());
        assert!(!good.is_signed(&elsewhere, &own, &key()));
        assert!(!good.is_signed(&stated, &own, &[7; 32]));
        for bad in ["", "!", "A", BY_SYNAPSE.get(1..).unwrap()] {
            let bad = self::stated("hs.example.org", None, bad);
            assert!(!good.is_signed(&bad, &own, &key()));
        }
    }

    #[test]
    fn cry_03_what_has_no_canonical_form_is_refused() {
        let content = json!({"a": 1.5});
        let request = SignedRequest::new("POST", URI.to_owned(), content.as_object().unwrap());
        assert!(request.is_err());
    }

    proptest! {
        #[test]
        fn unb_16_the_text_is_the_canonical_form_of_the_object(
            uri: String, destination: String, text: String,
        ) {
            let content = json!({"unsigned": text, "signatures": {text.clone(): 1}});
            let request = request("POST", &uri, &content);
            let stated = stated("hs.example.org", None, "x");
            for name in ["destination_is", "destination"] {
                let object = json!({
                    "method": "POST", "uri": uri, "origin": "hs.example.org",
                    name: destination, "content": content,
                });
                prop_assert_eq!(
                    request.signed_text(&stated, name, &destination),
                    canonical_json::encode(&object).ok()
                );
            }
        }
    }
}
