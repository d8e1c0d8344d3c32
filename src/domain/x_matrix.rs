//! The `Authorization: X-Matrix …` header, with which a homeserver signs a request
//! (Server-Server API, "Request Authentication").

use std::fmt;

use super::Invalid;
use super::ids::{KeyId, ServerName};

/// The content of the header. It is not verified.
#[derive(Clone, PartialEq, Eq)]
pub struct XMatrix {
    /// The homeserver that claims to have signed the request.
    pub origin: ServerName,
    /// The destination, unchanged. Homeservers before version 1.3 of the
    /// specification send none.
    pub destination: Option<String>,
    /// The id of the key.
    pub key: KeyId,
    /// The signature, unchanged.
    pub signature: String,
}

impl XMatrix {
    /// Whether an `Authorization` header has this scheme. Its parameters are not
    /// parsed.
    #[must_use]
    pub fn has_scheme(header: &str) -> bool {
        split_scheme(header).is_some()
    }

    /// Parses the value of an `Authorization` header; `None` if it has another
    /// scheme.
    ///
    /// # Errors
    /// The header does not match the grammar, has a parameter twice, lacks one, or
    /// has more than 16 parameters or 4096 bytes.
    #[must_use]
    pub fn parse(header: &str) -> Option<Result<Self, Invalid>> {
        split_scheme(header).map(Self::from_parameters)
    }

    fn from_parameters(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_HEADER {
            return Err(Invalid(
                "the X-Matrix authorization is longer than 4096 bytes",
            ));
        }
        let mut parameters = Parameters::default();
        let mut rest = skip_space(text);
        loop {
            // RFC 9110 allows empty list elements.
            while let Some(after) = rest.strip_prefix(',') {
                rest = skip_space(after);
            }
            if rest.is_empty() {
                return parameters.build();
            }
            let (name, after) = take_token(rest, is_token)?;
            let after = skip_space(after).strip_prefix('=').ok_or(WRONG)?;
            let (value, after) = take_value(skip_space(after))?;
            parameters.set(name, value)?;
            rest = skip_space(after);
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(WRONG);
            }
        }
    }
}

// Not derived: with the signature, the request could be replayed.
impl fmt::Debug for XMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XMatrix")
            .field("origin", &self.origin)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

const SPACE: [char; 2] = [' ', '\t'];

/// The maximum length of a header in bytes; homeservers need about 500.
const MAX_HEADER: usize = 4096;

/// The maximum number of parameters; homeservers send four. Each is compared with
/// all previous ones, which takes quadratic time.
const MAX_PARAMETERS: usize = 16;

const WRONG: Invalid = Invalid("the X-Matrix authorization is malformed");

#[derive(Default)]
struct Parameters {
    origin: Option<String>,
    destination: Option<String>,
    key: Option<String>,
    signature: Option<String>,
    others: Vec<String>,
    count: usize,
}

impl Parameters {
    fn set(&mut self, name: &str, value: String) -> Result<(), Invalid> {
        const TWICE: Invalid = Invalid("the X-Matrix authorization has a parameter twice");
        self.count += 1;
        if self.count > MAX_PARAMETERS {
            return Err(Invalid(
                "the X-Matrix authorization has more than 16 parameters",
            ));
        }
        let name = name.to_ascii_lowercase();
        let slot = match name.as_str() {
            "origin" => &mut self.origin,
            "destination" => &mut self.destination,
            "key" => &mut self.key,
            // The specification uses both names.
            "sig" | "signature" => &mut self.signature,
            _ if self.others.contains(&name) => return Err(TWICE),
            _ => {
                self.others.push(name);
                return Ok(());
            }
        };
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(TWICE),
        }
    }

    fn build(self) -> Result<XMatrix, Invalid> {
        const INCOMPLETE: Invalid =
            Invalid("the X-Matrix authorization must have origin, key and sig");
        Ok(XMatrix {
            origin: ServerName::parse(&self.origin.ok_or(INCOMPLETE)?)?,
            destination: self.destination,
            key: KeyId::parse(&self.key.ok_or(INCOMPLETE)?)?,
            signature: self.signature.ok_or(INCOMPLETE)?,
        })
    }
}

/// The parameters of a header of this scheme.
fn split_scheme(header: &str) -> Option<&str> {
    let header = header.trim_matches(SPACE);
    let (scheme, parameters) = header.split_once(SPACE).unwrap_or((header, ""));
    scheme
        .eq_ignore_ascii_case("X-Matrix")
        .then_some(parameters)
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches(SPACE)
}

/// A character of RFC 9110's `token`.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// A character of an unquoted value. Homeservers do not quote server names and key
/// ids with colons and brackets, nor signatures with slashes and padding.
fn is_unquoted(c: char) -> bool {
    is_token(c) || ":/=[]".contains(c)
}

fn take_token(text: &str, is_allowed: impl Fn(char) -> bool) -> Result<(&str, &str), Invalid> {
    let end = text.find(|c| !is_allowed(c)).unwrap_or(text.len());
    match text.split_at_checked(end) {
        Some((token, rest)) if !token.is_empty() => Ok((token, rest)),
        _ => Err(WRONG),
    }
}

fn take_value(text: &str) -> Result<(String, &str), Invalid> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = take_token(text, is_unquoted)?;
        return Ok((token.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next().ok_or(WRONG)? {
            '"' => return Ok((value, characters.as_str())),
            '\\' => value.push(characters.next().ok_or(WRONG)?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(parameters: &str) -> Result<XMatrix, Invalid> {
        XMatrix::parse(&format!("X-Matrix {parameters}")).unwrap()
    }

    fn expected(destination: Option<&str>) -> XMatrix {
        XMatrix {
            origin: ServerName::parse("hs.example:8448").unwrap(),
            destination: destination.map(str::to_owned),
            key: KeyId::parse("ed25519:1").unwrap(),
            signature: "A+/b=".to_owned(),
        }
    }

    /// NET-21
    #[test]
    fn parses_every_valid_notation() {
        for text in [
            // As Synapse writes it.
            r#"origin="hs.example:8448",key="ed25519:1",sig="A+/b=",destination="is""#,
            "origin=hs.example:8448,key=ed25519:1,sig=A+/b=,destination=is",
            "  \torigin=hs.example:8448 \t,\t key = ed25519:1 , sig=\"A+/b=\", destination=is \t",
            r#"SIG="A+/b=",Key=ed25519:1,dEstination="i\s",ORIGIN="hs.exampl\e:8448""#,
            r#",, origin="hs.example:8448",,key="ed25519:1",signature="A+/b=",destination=is,"#,
            r#"origin=hs.example:8448,x="a,\"b=c",key=ed25519:1,sig=A+/b=,destination=is,y=1"#,
        ] {
            assert_eq!(parse(text), Ok(expected(Some("is"))), "{text}");
        }
        let without = "origin=hs.example:8448,key=ed25519:1,sig=A+/b=";
        assert_eq!(parse(without), Ok(expected(None)));
        let path = r#"origin=hs.example:8448,key=ed25519:1,sig=A+/b=,destination="is:1/a""#;
        assert_eq!(parse(path), Ok(expected(Some("is:1/a"))));
        for scheme in ["X-Matrix   ", "x-matrix\t", " X-MATRIX "] {
            let read = XMatrix::parse(&format!("{scheme}{without}"));
            assert_eq!(read, Some(Ok(expected(None))));
        }
    }

    /// NET-21, NET-22
    #[test]
    fn malformed_headers_are_rejected() {
        for text in [
            "",
            "origin",
            "origin=",
            "=hs.example",
            "origin=hs.example key=ed25519:1 sig=A",
            "origin=hs.example;key=ed25519:1;sig=A",
            "key=ed25519:1,sig=A",
            "origin=hs.example,sig=A",
            "origin=hs.example,key=ed25519:1",
            r#"origin="hs.example,key=ed25519:1,sig=A"#,
            r#"origin="hs.example"x,key=ed25519:1,sig=A"#,
            r#"origin=hs.example,key=ed25519:1,sig="A\"#,
            "origin=hs.example,origin=hs.example,key=ed25519:1,sig=A",
            "origin=hs.example,ORIGIN=b.example,key=ed25519:1,sig=A",
            "origin=hs.example,key=ed25519:1,sig=A,signature=A",
            "origin=hs.example,key=ed25519:1,sig=A,x=1,x=1",
            "origin=hs.example,key=rsa:1,sig=A",
            "origin=hs.example,key=ed25519:a:b,sig=A",
            r#"origin="hs.example/x",key=ed25519:1,sig=A"#,
            r#"origin="user@hs.example",key=ed25519:1,sig=A"#,
            r#"origin="hs.example#",key=ed25519:1,sig=A"#,
            r#"origin="hs.example?a",key=ed25519:1,sig=A"#,
            "origin=é,key=ed25519:1,sig=A",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for other in ["", "Bearer x", "X-Matrixx origin=a", "Basic X-Matrix"] {
            assert_eq!(XMatrix::parse(other), None, "{other}");
            assert!(!XMatrix::has_scheme(other), "{other}");
        }
    }

    #[test]
    fn parameter_count_and_length_are_limited() {
        let good = "origin=hs.example:8448,key=ed25519:1,sig=A+/b=";
        let with = |others: usize| {
            let others = (0..others).map(|number| format!(",x{number}=1"));
            parse(&format!("{good}{}", others.collect::<String>()))
        };
        assert_eq!(with(13), Ok(expected(None)));
        assert!(with(14).is_err());
        let padded = |length: usize| parse(&format!("{good}{}", ",".repeat(length - good.len())));
        assert_eq!(padded(MAX_HEADER), Ok(expected(None)));
        assert!(padded(MAX_HEADER + 1).is_err());
    }

    /// SEC-23
    #[test]
    fn debug_hides_the_signature() {
        let shown = format!("{:?}", expected(None));
        assert!(
            shown.contains("hs.example") && !shown.contains("A+/b"),
            "{shown}"
        );
    }

    proptest! {
        /// NET-21
        #[test]
        fn quoted_values_are_unescaped(destination: String, signature: String) {
            let quoted = |text: &str| text.replace('\\', r"\\").replace('"', r#"\""#);
            let text = format!(
                r#"X-Matrix origin=a.example,destination="{}", key=ed25519:1,sig="{}""#,
                quoted(&destination), quoted(&signature),
            );
            let read = XMatrix::parse(&text).unwrap().unwrap();
            prop_assert_eq!(read.destination, Some(destination));
            prop_assert_eq!(read.signature, signature);
        }

        /// NET-21
        #[test]
        fn parse_never_panics(text in r#"[ \t,="\\a-z:éX-]{0,40}"#, other: String) {
            for text in [text, other] {
                let _ = XMatrix::parse(&text);
                let _ = parse(&text);
            }
        }
    }
}
