//! Where messages of HTTP/1.1 end.

/// More than any head of a test.
const MAX_HEAD: usize = 1 << 20;

/// The head of a request or a response.
pub struct Head {
    pub bytes: Vec<u8>,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Head {
    /// How long the head is that the bytes begin with, if it is complete.
    pub fn length(bytes: &[u8]) -> Option<usize> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        Self::may_begin(bytes).then_some(end + 4)
    }

    /// Whether a head may begin with these bytes.
    pub fn may_begin(bytes: &[u8]) -> bool {
        bytes.first().is_none_or(u8::is_ascii_uppercase) && bytes.len() <= MAX_HEAD
    }

    /// The body of a request; `None` if it should be left to the server.
    pub fn request_body(&self) -> Option<Body> {
        let (first, _) = self.lines()?;
        if !first.ends_with(" HTTP/1.1") || first.split(' ').count() != 3 {
            return None;
        }
        if ["expect", "upgrade"].iter().any(|name| self.has(name)) {
            return None;
        }
        self.body(Body::Length(0))
    }

    /// The body of the response to a request; `None` for an invalid one.
    pub fn response_body(&self, request: &Self) -> Option<Body> {
        if request.bytes.starts_with(b"HEAD ") || matches!(self.status()?, 204 | 304) {
            return Some(Body::Length(0));
        }
        self.body(Body::UntilClose)
    }

    /// Whether another head follows.
    pub fn is_interim(&self) -> bool {
        self.status().is_some_and(|status| status < 200)
    }

    /// Whether the connection is closed after the message.
    pub fn closes(&self) -> bool {
        let close = |value: &String| value.eq_ignore_ascii_case("close");
        self.values("connection").iter().any(close) || self.bytes.starts_with(b"HTTP/1.0 ")
    }

    fn body(&self, without: Body) -> Option<Body> {
        let lengths = self.values("content-length");
        let codings = self.values("transfer-encoding");
        match (&lengths[..], &codings[..]) {
            ([], []) => Some(without),
            ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().ok().map(Body::Length)
            }
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Some(Body::Chunked),
            _ => None,
        }
    }

    fn status(&self) -> Option<u16> {
        let (first, _) = self.lines()?;
        first.split(' ').nth(1)?.parse().ok()
    }

    fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    /// The values of a header.
    fn values(&self, name: &str) -> Vec<String> {
        let lines = self.lines().map(|(_, lines)| lines).unwrap_or_default();
        let fields = lines.iter().filter_map(|line| line.split_once(':'));
        let named = fields.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim().to_owned()).collect()
    }

    /// The first line and the others.
    fn lines(&self) -> Option<(String, Vec<String>)> {
        let text = String::from_utf8_lossy(&self.bytes);
        let mut lines = text.split("\r\n").map(str::to_owned);
        Some((lines.next()?, lines.collect()))
    }
}

#[test]
fn framing_leaves_doubts_to_the_server() {
    let body = |head: &str| {
        let bytes = head.replace('\n', "\r\n").into_bytes();
        Head { bytes }.request_body()
    };
    for (head, expected) in [
        ("GET / HTTP/1.1\n\n", Some(Body::Length(0))),
        (
            "POST / HTTP/1.1\nContent-Length: 7\n\n",
            Some(Body::Length(7)),
        ),
        (
            "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n",
            Some(Body::Chunked),
        ),
        ("GET / HTTP/1.0\n\n", None),
        ("GET /a b HTTP/1.1\n\n", None),
        ("POST / HTTP/1.1\nContent-Length: +7\n\n", None),
        (
            "POST / HTTP/1.1\nContent-Length: 7\ncontent-length: 8\n\n",
            None,
        ),
        (
            "POST / HTTP/1.1\nContent-Length: 7\nTransfer-Encoding: chunked\n\n",
            None,
        ),
        (
            "POST / HTTP/1.1\nContent-Length: 7\nExpect: 100-continue\n\n",
            None,
        ),
    ] {
        assert_eq!(body(head), expected, "{head}");
    }
}
