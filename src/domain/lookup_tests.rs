//! Lookup hashes, peppers and the entries of a lookup.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// LKP-06, IDN-03
#[test]
fn other_forms_have_a_hash_too() {
    let pepper = Pepper::parse("pepper").unwrap();
    let hash = |form: &str| Some((form.to_owned(), hash(form, "email", &pepper)));
    let threepid = |address| ThreePid::parse("email", address).unwrap();
    let punycode = "a@xn--bcher-kva.example";
    let international = threepid(punycode);
    assert_eq!(Hashes::new(&international, &pepper).other, hash(punycode));
    let of_written = |written| Hashes::of_written(&international, written, &pepper).other;
    assert_eq!(of_written("A@XN--bcher-kva.example"), hash(punycode));
    assert_eq!(of_written("A@Bücher.example"), hash(punycode));
    let decomposed = "a@bu\u{308}cher.example";
    assert_eq!(of_written(decomposed), hash(decomposed));
    assert_eq!(Hashes::new(&threepid("a@b.c"), &pepper).other, None);
}

/// LKP-06
#[test]
fn hashes_match_the_vectors() {
    for (address, medium, expected) in [
        (
            "alice@example.com",
            "email",
            "4kenr7N9drpCJ4AfalmlGQVsOn3o2RHjkADUpXJWZUc",
        ),
        (
            "bob@example.com",
            "email",
            "LJwSazmv46n0hlMlsb_iYxI0_HXEqy_yj6Jm636cdT8",
        ),
        (
            "18005552067",
            "msisdn",
            "nlo35_T5fzSGZzJApqu8lgIudJvmOQtDaHtr-I4rU7I",
        ),
        (
            "carl@example.com",
            "email",
            "jDh2YLwYJg3vg9pEn3kaaXAP9jx-LlcotoH51Zgb9MA",
        ),
        (
            "12345678910",
            "msisdn",
            "S11EvvwnUWBDZtI4MTRKgVuiRx76Z9HnkbyRlWkBqJs",
        ),
        (
            "denny@example.com",
            "email",
            "2tZto1arl2fUYtF6tQPJND69il3xke9OBlgFgnUt2ww",
        ),
        (
            "Strauß@Example.com",
            "email",
            "Wvo9OL_UvrDZsRecvnhshdTeilXXGbhk0J5l5rX55Ok",
        ),
        (
            "447700900001",
            "msisdn",
            "dF473qZAKqcTbTZct7YzrjGHYgV1YM1hdw68D7pSskg",
        ),
    ] {
        let threepid = ThreePid::parse(medium, address).unwrap();
        assert_eq!(
            sha256_hash(&threepid, &Pepper::parse("matrixrocks").unwrap()),
            expected
        );
    }
}

/// LKP-06
#[test]
fn hash_does_not_fold_the_address() {
    let pepper = Pepper::parse("matrixrocks").unwrap();
    let hash = hash("strauß@example.com", "email", &pepper);
    assert_eq!(hash, "1FBgMvqsmu6y8fjKGhVb8Ejq0aQknLThQ7hF57hDwQE");
    assert!(is_hash(&hash));
}

/// LKP-02
#[test]
fn pepper_grammar() {
    for good in ["a", "matrixrocks", "0Az", &"x".repeat(255)] {
        assert_eq!(Pepper::parse(good).unwrap().as_str(), good);
    }
    for random in [0, 1, u128::MAX] {
        let pepper = Pepper::from_random(random);
        assert_eq!(pepper.as_str().len(), 32);
        assert_eq!(Pepper::parse(pepper.as_str()), Ok(pepper));
    }
    for bad in ["", " ", "a b", "a\n", "é", "a-b", &"x".repeat(256)] {
        assert!(Pepper::parse(bad).is_err(), "{bad}");
    }
}

/// LKP-07, LKP-08, LKP-21
#[test]
fn plain_entry_is_an_address_and_a_medium() {
    for (entry, address) in [
        ("Alice@Example.com email", "alice@example.com"),
        ("447700900001 msisdn", "447700900001"),
    ] {
        assert_eq!(parse_plain_entry(entry).unwrap().address(), address);
    }
    for bad in [
        "",
        " ",
        "alice@example.com",
        "alice@example.com email ",
        "email alice@example.com",
        "alice@example.com Email",
        "alice@example.com msisdn",
    ] {
        assert_eq!(parse_plain_entry(bad), None, "{bad}");
    }
}

proptest! {
    /// LKP-08
    #[test]
    fn plain_entry_never_panics(text: String) {
        let _ = (parse_plain_entry(&text), is_hash(&text));
    }

    /// No entry is lost, none twice, the order stays, and no part takes more room than it needs.
    #[test]
    fn parts_together_are_the_whole(hashes in vec("[a-z]{1,3}", 0..40), size in 1_usize..12) {
        let parts = Entries::Hashed(hashes.clone()).into_parts(size);
        prop_assert_eq!(parts.len(), hashes.len().div_ceil(size).max(1));
        for part in &parts {
            let Entries::Hashed(part) = part else {
                panic!("another kind of entries");
            };
            prop_assert!(part.len() <= size && part.capacity() <= size.max(4));
        }
        let joined: Vec<String> = parts
            .into_iter()
            .flat_map(|part| match part {
                Entries::Hashed(hashes) => hashes,
                Entries::Plain(_) => Vec::new(),
            })
            .collect();
        prop_assert_eq!(joined, hashes);
    }
}
