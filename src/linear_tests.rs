//! Parsers of what strangers send take time in proportion to its length.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value};

use crate::domain::email::CanonicalEmail;
use crate::domain::homeservers::HomeserverPattern;
use crate::domain::ids::{KeyId, Mxid, ServerName};
use crate::domain::lookup::{Algorithm, Entries};
use crate::domain::msisdn::CanonicalMsisdn;
use crate::domain::next_link::{NextLink, NextLinkRules};
use crate::domain::phone::PhoneNumber;
use crate::domain::secret::{ClientSecret, Sid, Token};
use crate::domain::stored_link::StoredLink;
use crate::domain::x_matrix::XMatrix;
use crate::domain::{base64, canonical_json, own_names, request_auth, shown_text, typed_code};

/// Long enough that the clock measures it well.
const LONG: Duration = Duration::from_millis(2);
/// The longest input, in pieces. Longer ones would measure how memory is copied.
const MOST_PIECES: usize = 1 << 15;

/// Expects that four times the input takes less than ten times as long; a quadratic
/// time would be sixteen times. `make` makes an input of so many pieces. The shortest
/// of several runs counts, since other processes can only make one longer.
pub(crate) fn expect_linear<T>(what: &str, make: impl Fn(usize) -> T, run: impl Fn(T)) {
    let shortest = |pieces: usize, runs: usize| {
        let time = |_| {
            let input = make(pieces);
            let started = cpu_time();
            run(input);
            cpu_time().saturating_sub(started)
        };
        (0..runs).map(time).min().unwrap()
    };
    let mut pieces = 256;
    while pieces < MOST_PIECES && shortest(pieces, 1) < LONG {
        pieces *= 2;
    }
    let mut measured = Vec::new();
    for _ in 0..5 {
        let (one, four) = (shortest(pieces, 4), shortest(4 * pieces, 3));
        // What takes little time is mostly the system, which gives large memory piece by piece.
        if four < 10 * one.max(LONG / 2) {
            return;
        }
        measured.push((one, four));
    }
    panic!("{what} is not linear: {pieces} pieces and four times as many took {measured:?}");
}

/// What this thread has had of a processor.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

/// The same for texts that begin and end with something and repeat a piece.
fn expect_linear_texts(what: &str, texts: &[[&str; 3]], run: impl Fn(&str)) {
    for [begin, piece, end] in texts {
        let make = |pieces: usize| format!("{begin}{}{end}", piece.repeat(pieces));
        let what = format!("{what} of {begin}{piece}…{end}");
        expect_linear(&what, make, |text| run(&text));
    }
}

/// Texts that look like several of the things that are parsed.
const TEXTS: &[[&str; 3]] = &[
    ["", "a", ""],
    ["", "@", ""],
    ["a@", "b.", "example"],
    ["a@", "xn--a.", "example"],
    ["", "ß", "@example.org"],
    ["", ".", ""],
    ["", "[:", "]:1"],
    ["@a:", "1:", ""],
    ["https://", "a.", "b/"],
    ["https://a/?", "%41&", "#"],
    ["+44", "0", ""],
    ["", "\u{200d}", "x"],
    ["x", " \u{200d}", "x"],
    ["", "evil.example://", ""],
    ["", "\"\\", "\""],
    ["", "_-", "=="],
];

/// OPS-02
#[test]
fn names_and_addresses_take_linear_time() {
    expect_linear_texts("an email address", TEXTS, |text| {
        let _ = CanonicalEmail::parse(text).map(|email| email.ascii_form());
    });
    expect_linear_texts("a server name", TEXTS, |text| {
        let _ = ServerName::parse(text).map(|name| name.port());
        let _ = HomeserverPattern::parse("*.a.example").map(|pattern| pattern.matches(text));
        let _ = KeyId::parse(text);
    });
    expect_linear_texts("a user", TEXTS, |text| {
        let _ = Mxid::parse(text).map(|mxid| mxid.server_name().len());
    });
    expect_linear_texts("a phone number", TEXTS, |text| {
        let _ = CanonicalMsisdn::parse(text);
        let _ = PhoneNumber::parse("GB", text);
        let _ = PhoneNumber::parse(text, "07700900123");
    });
    let rules = NextLinkRules {
        schemes: vec!["https".to_owned()],
        hosts: vec!["a.b".to_owned()],
        own_hosts: vec!["c.d".to_owned()],
    };
    let secret = ClientSecret::parse("a=").unwrap();
    expect_linear_texts("a link", TEXTS, |text| {
        let _ = NextLink::parse(text, &rules);
        let _ = StoredLink::new(text, &secret).restore(&secret);
    });
}

/// OPS-02
#[test]
fn secrets_and_shown_texts_take_linear_time() {
    let own = own_names::OwnNames::new(["id.example.org".to_owned()]);
    expect_linear_texts("a secret", TEXTS, |text| {
        let _ = (
            Sid::parse(text),
            Token::parse(text),
            ClientSecret::parse(text),
        );
        let _ = (base64::decode(text), base64::decode_key(text));
        let _ = (typed_code::typed_code(text), own.contains(text));
    });
    expect_linear_texts("a shown text", TEXTS, |text| {
        let _ = shown_text::one_line(text).map(|line| shown_text::defang(&line));
        let _ = shown_text::without_joiners(text);
        let _ = shown_text::shorten(text, 100, 50);
    });
}

/// NET-21, OPS-02
#[test]
fn signed_requests_take_linear_time() {
    expect_linear_texts(
        "an X-Matrix header",
        &[
            ["X-Matrix ", ",", ""],
            ["X-Matrix origin=a", ",a=b", ""],
            ["X-Matrix ", "origin=a,", ""],
            ["X-Matrix origin=\"", "\\\"", "\""],
            ["X-Matrix ", " ", "x"],
            [" ", " ", "X-Matrix"],
        ],
        |text| {
            let _ = (XMatrix::has_scheme(text), XMatrix::parse(text));
        },
    );
    let object = |pieces: usize| -> Map<String, Value> {
        let fields = (0..pieces).map(|number| (format!("k{number}"), Value::from(number)));
        fields.collect()
    };
    expect_linear("canonical JSON", object, |object| {
        let _ = canonical_json::encode_object(&object);
    });
    expect_linear_texts("a signed URI", TEXTS, |text| {
        let _ = request_auth::signed_uris(text, text, "/prefix");
    });
}

/// LKP-08, OPS-02
#[test]
fn lookup_entries_take_linear_time() {
    for entry in ["", "a@example.com email", "447700900123 msisdn", "a"] {
        for algorithm in [Algorithm::Sha256, Algorithm::Plain] {
            let make = |pieces: usize| vec![entry.to_owned(); pieces / 16];
            expect_linear("entries of a lookup", make, |entries| {
                let _ = Entries::parse(algorithm, entries);
            });
        }
    }
}
