//! A response of a server.

use serde_json::Value;

/// A response that was read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, which must be JSON and have its content type.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{self:?}"
        );
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// Expects a Matrix error with this status and errcode.
    #[track_caller]
    pub fn refused(&self, status: u16, errcode: &str) -> Value {
        let body = self.json();
        assert_eq!(
            (self.status, body["errcode"].as_str()),
            (status, Some(errcode)),
            "{body}"
        );
        assert!(
            body["error"].as_str().is_some_and(|text| !text.is_empty()),
            "{body}"
        );
        body
    }

    /// Expects an error without details (GEN-25).
    #[track_caller]
    pub fn is_internal_error(&self) {
        let expected =
            serde_json::json!({"errcode": "M_UNKNOWN", "error": "Internal Server Error"});
        assert_eq!((self.status, self.json()), (500, expected));
    }

    /// Expects the CORS headers that let pages of every origin read the response,
    /// and none that has to do with cookies (GEN-12, GEN-17).
    #[track_caller]
    pub fn has_cors_headers(&self) {
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            (
                "access-control-allow-methods",
                "GET, POST, PUT, DELETE, OPTIONS",
            ),
            (
                "access-control-allow-headers",
                "Origin, X-Requested-With, Content-Type, Accept, Authorization",
            ),
        ] {
            assert_eq!(self.header(name), Some(value), "{name} of {self:?}");
        }
        for name in ["access-control-allow-credentials", "set-cookie", "location"] {
            assert_eq!(self.header(name), None, "{self:?}");
        }
    }

    /// Expects no CORS headers: pages of other origins cannot read the response.
    #[track_caller]
    pub fn has_no_cors_headers(&self) {
        let mut names = self.headers.iter().map(|(name, _)| name);
        let open = names.find(|name| name.to_lowercase().starts_with("access-control-"));
        assert_eq!(open, None, "{self:?}");
    }
}
