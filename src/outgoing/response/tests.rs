//! Responses of the world, and the same ones in pieces of any size.

use proptest::prelude::*;

use super::{Decoder, ResponseError};

/// What awc reads of a response that arrives in pieces of these sizes, after which
/// the connection ends.
fn decode_in(response: &[u8], sizes: &[usize]) -> Result<String, ResponseError> {
    let (mut decoder, mut output) = (Decoder::new(), Vec::new());
    let mut rest = response;
    let mut sizes = sizes.iter().copied().cycle();
    while !rest.is_empty() && !decoder.is_complete() {
        let size = sizes.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let (piece, later) = rest.split_at(size);
        decoder.push(piece, &mut output)?;
        rest = later;
    }
    if !decoder.is_complete() {
        decoder.finish()?;
    }
    Ok(String::from_utf8_lossy(&output).into_owned())
}

fn decode(response: &[u8]) -> Result<String, ResponseError> {
    decode_in(response, &[response.len()])
}

/// The status and the body.
fn read(response: &[u8]) -> (u16, String) {
    let decoded = decode(response).unwrap_or_else(|error| {
        panic!("{error} in {:?}", String::from_utf8_lossy(response));
    });
    let (head, body) = decoded.split_once("\r\n\r\n").unwrap();
    let status = head.strip_prefix("HTTP/1.0 ").unwrap();
    let status = status.get(..3).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn with_fields(fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}").into_bytes()
}

/// RFC 9112, section 6.3.
#[test]
fn body_ends_where_the_framing_says() {
    for (fields, sent, body) in [
        ("", "all of it", "all of it"),
        ("Connection: close\r\n", "all of it", "all of it"),
        ("Connection: keep-alive\r\n", "all of it", "all of it"),
        ("Content-Length: 3\r\n", "abcdef", "abc"),
        ("content-length:3\r\n", "abcdef", "abc"),
        ("Content-Length : 3\r\n", "abcdef", "abc"),
        ("Content-Length: 3, 3\r\n", "abcdef", "abc"),
        ("Content-Length: 3\r\nContent-Length: 003\r\n", "abc", "abc"),
        ("Content-Length: 0\r\n", "abc", ""),
        ("Transfer-Encoding: identity\r\n", "abc", "abc"),
        (
            "Transfer-Encoding: identity\r\nContent-Length: 2\r\n",
            "abc",
            "ab",
        ),
        ("Transfer-Encoding: chunked, gzip\r\n", "abc", "abc"),
        ("Upgrade: websocket\r\n", "abc", "abc"),
    ] {
        let found = read(&with_fields(fields, sent));
        assert_eq!(found, (200, body.to_owned()), "{fields}");
    }
    for status in [204, 304] {
        let response = format!("HTTP/1.1 {status} None\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(read(response.as_bytes()), (status, String::new()));
    }
}

/// RFC 9112, section 7.1.
#[test]
fn chunked_bodies_are_decoded() {
    for (fields, sent, body) in [
        (
            "Transfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "abc",
        ),
        (
            "Transfer-Encoding: Chunked\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "abc",
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "abc",
        ),
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "abc",
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            "1\r\na\r\n0\r\n\r\n",
            "a",
        ),
        (
            "Transfer-Encoding:\r\n\tchunked\r\n",
            "1\r\na\r\n0\r\n\r\n",
            "a",
        ),
        (
            "Transfer-Encoding: chunked\r\n",
            "0A;x=\"y\"\r\n0123456789\r\n1  \r\na\r\n000\r\nTrailer: x\r\n\r\n",
            "0123456789a",
        ),
        // Line ends without CR; no line after the last chunk.
        ("Transfer-Encoding: chunked\r\n", "2\nab\n1\nc\n0\n", "abc"),
        ("Transfer-Encoding: chunked\r\n", "0\r\n", ""),
    ] {
        let found = read(&with_fields(fields, sent));
        assert_eq!(found, (200, body.to_owned()), "{fields} {sent}");
    }
}

#[test]
fn odd_heads_are_understood() {
    let many = "X-Field: value\r\n".repeat(900);
    let large = format!("Set-Cookie: {}\r\n", "x".repeat(100_000));
    for head in [
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\nA: b\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 Voil\u{e0}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: \u{fc}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\nb@d name: x\r\nX-Folded: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n X: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX:\r\n: y\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 100\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\
         Link: </x>; rel=preload\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        &format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        &format!("HTTP/1.1 200 OK\r\n{large}\r\n"),
    ] {
        let found = read(format!("{head}body").as_bytes());
        assert_eq!(found, (200, "body".to_owned()), "{head}");
    }
    // A reason that is not UTF-8.
    let latin = b"HTTP/1.1 503 Dienst nicht verf\xfcgbar\r\n\r\n";
    assert_eq!(read(latin), (503, String::new()));
}

#[test]
fn used_fields_are_passed_on() {
    let response = with_fields(
        "Cache-Control: a\r\nServer: x\r\nLOCATION: /a\r\n b\r\ncache-control: b\r\n\
         Content-Length: 4\r\n",
        "body",
    );
    let expected = "HTTP/1.0 200\r\ncache-control: a\r\nlocation: /a   b\r\n\
                    cache-control: b\r\n\r\nbody";
    assert_eq!(decode(&response).as_deref(), Ok(expected));
    // They have a limit, too, below that of awc.
    let many = "Cache-Control: 0123456789\r\n".repeat(4000);
    let decoded = decode(&with_fields(&many, "")).unwrap();
    assert!(decoded.len() < 64 * 1024, "{}", decoded.len());
}

#[test]
fn broken_responses_are_errors() {
    use ResponseError::{
        HeadTooLarge, Incomplete, InvalidChunk, InvalidLength, NoResponse, NotHttp,
        SwitchesProtocols,
    };
    let chunked = |body: &str| with_fields("Transfer-Encoding: chunked\r\n", body);
    let endless = |line: &str| format!("HTTP/1.1 200 OK\r\n{}", line.repeat(100_000));
    for (response, error) in [
        (Vec::new(), NoResponse),
        (b"HTTP/1.1 200 OK\r\n".to_vec(), Incomplete),
        (b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), Incomplete),
        (with_fields("Content-Length: 4\r\n", "abc"), Incomplete),
        (chunked("3\r\nab"), Incomplete),
        (chunked("3\r\nabc\r\n"), Incomplete),
        (chunked(""), Incomplete),
        (chunked("\r\n"), InvalidChunk),
        (chunked("x\r\n"), InvalidChunk),
        (chunked("-1\r\n"), InvalidChunk),
        (chunked("3\r\nabcd\r\n"), InvalidChunk),
        (chunked("11111111111111111\r\n"), InvalidChunk),
        (chunked(&"0".repeat(5000)), InvalidChunk),
        (b"SSH-2.0-x\r\n\r\n".to_vec(), NotHttp),
        (b"HTTP/2 200\r\n\r\n".to_vec(), NotHttp),
        (b"HTTP/1.1 20\r\n\r\n".to_vec(), NotHttp),
        (b"HTTP/1.1 099 Low\r\n\r\n".to_vec(), NotHttp),
        (
            b"HTTP/1.1 101 Switching\r\n\r\n".to_vec(),
            SwitchesProtocols,
        ),
        (with_fields("Content-Length: x\r\n", ""), InvalidLength),
        (with_fields("Content-Length: +1\r\n", ""), InvalidLength),
        (with_fields("Content-Length:\r\n", ""), InvalidLength),
        (with_fields("Content-Length: 1, 2\r\n", ""), InvalidLength),
        (
            with_fields("Content-Length: 1\r\nContent-Length: 2\r\n", ""),
            InvalidLength,
        ),
        (
            with_fields("Content-Length: 99999999999999999999\r\n", ""),
            InvalidLength,
        ),
        (endless("a: b\r\n").into_bytes(), HeadTooLarge),
        (
            "HTTP/1.1 103\r\n\r\n".repeat(100_000).into_bytes(),
            HeadTooLarge,
        ),
        ("\r\n".repeat(200_000).into_bytes(), HeadTooLarge),
    ] {
        let found = decode(&response).map(drop);
        let start = String::from_utf8_lossy(&response[..response.len().min(80)]);
        assert_eq!(found, Err(error), "{start}");
    }
}

/// Parts of responses, good and bad.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let interim = prop_oneof![
        Just(""),
        Just("\r\n"),
        Just("HTTP/1.1 100 Continue\r\n\r\n"),
        Just("HTTP/1.1 103\nLink: x\n\n"),
    ];
    let head = prop_oneof![
        Just("HTTP/1.1 200 OK\r\n"),
        Just("HTTP/1.0 404\r\n"),
        Just("HTTP/1.1 204 None\n"),
        Just("HTTP/1.1 2\r\n"),
    ];
    let field = prop_oneof![
        Just("Content-Length: 7\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("Location: /x\n"),
        Just("X: y\r\n z\r\n"),
        Just("\u{fc}\r\n"),
    ];
    let body = prop_oneof![
        Just("0123456789".to_owned()),
        Just("3\r\nabc\r\n4;x\r\n\r\n\r\n\r\n0\r\n\r\nmore".to_owned()),
        Just("2\nab\n0\n".to_owned()),
        Just(String::new()),
        "[0-9a-f\r\n;]{0,40}",
    ];
    let fields = proptest::collection::vec(field, 0..4);
    (interim, head, fields, body).prop_map(|(interim, head, fields, body)| {
        format!("{interim}{head}{}\r\n{body}", fields.concat()).into_bytes()
    })
}

proptest! {
    #[test]
    fn pieces_give_the_same_as_the_whole(
        response in responses(),
        sizes in proptest::collection::vec(1_usize..9, 1..20),
    ) {
        prop_assert_eq!(decode_in(&response, &sizes), decode(&response));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
        let mut response = b"HTTP/1.1 200 OK\r\n".to_vec();
        response.extend(&bytes);
        let _ = decode(&response);
        let _ = decode(&bytes);
    }

    #[test]
    fn any_body_survives_any_framing(body in "[ -~\r\n]{0,300}", size in 1_usize..50) {
        let chunk = |chunk: &[u8]| {
            format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk))
        };
        let chunks: Vec<String> = body.as_bytes().chunks(size).map(chunk).collect();
        let chunks = chunks.concat();
        let length = body.len();
        for (fields, sent) in [
            (String::new(), body.clone()),
            (format!("Content-Length: {length}\r\n"), format!("{body}more")),
            ("Transfer-Encoding: chunked\r\n".to_owned(), format!("{chunks}0\r\n\r\n")),
        ] {
            let found = read(&with_fields(&fields, &sent));
            prop_assert_eq!(found, (200, body.clone()));
        }
    }
}

/// OPS-02
#[test]
fn responses_take_linear_time() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (head, piece) in [
        (CHUNKED, "1;a=b\r\nx\r\n"),
        (CHUNKED, ";"),
        ("HTTP/1.1 200 OK\r\n", "a: b\r\n"),
        ("HTTP/1.1 200 OK\r\na: ", "b"),
        ("", "\r"),
        ("", "\n"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\n\r\n", "x"),
    ] {
        let make = |count: usize| format!("{head}{}", piece.repeat(count));
        crate::linear_tests::expect_linear("a response", make, |text| {
            let (mut decoder, mut output) = (Decoder::new(), Vec::new());
            for part in text.as_bytes().chunks(16) {
                if decoder.push(part, &mut output).is_err() {
                    break;
                }
            }
        });
    }
}

/// RFC 9112, section 9.3.
#[test]
fn few_responses_leave_the_connection_open() {
    let leaves_open = |response: &str| {
        let mut decoder = Decoder::new();
        decoder.push(response.as_bytes(), &mut Vec::new()).unwrap();
        decoder.leaves_open()
    };
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    ] {
        assert!(leaves_open(response), "{response}");
    }
    for response in [
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: a, close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ] {
        assert!(!leaves_open(response), "{response}");
    }
}
