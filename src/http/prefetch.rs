//! Requests that a program sends before a person opens a link (EML-27).

use actix_web::http::header::HeaderMap;

/// The headers in which browsers and mail programs announce it: `Sec-Purpose` of the
/// Fetch standard, and those that were there before it.
const HEADERS: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/// What they say.
const PURPOSES: [&str; 4] = ["prefetch", "prerender", "preview", "instant"];

/// Whether the page is fetched in advance and perhaps never shown.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    let values = HEADERS.iter().flat_map(|name| headers.get_all(*name));
    let mut purposes = values.flat_map(|value| {
        value
            .as_bytes()
            .split(|byte| b";, ".contains(byte))
            .map(<[u8]>::trim_ascii)
    });
    purposes.any(|purpose| {
        PURPOSES
            .iter()
            .any(|known| purpose.eq_ignore_ascii_case(known.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// EML-27
    #[test]
    fn announced_requests_are_recognized() {
        for (name, value, expected) in [
            ("Sec-Purpose", "prefetch", true),
            ("Sec-Purpose", "prefetch;prerender", true),
            ("Sec-Purpose", "prefetch; anonymous-client-ip", true),
            ("Purpose", "Prefetch", true),
            ("X-Purpose", "preview", true),
            ("X-Moz", "prefetch", true),
            ("Sec-Purpose", "", false),
            ("Sec-Fetch-Dest", "prefetch", false),
            ("Purpose", "prefetching", false),
        ] {
            let request = TestRequest::get().insert_header((name, value));
            let found = is_prefetch(request.to_http_request().headers());
            assert_eq!(found, expected, "{name}: {value}");
        }
    }
}
