//! What stays of a stranger's text, and what mail programs would make a link of.

use proptest::prelude::*;

use super::*;

/// INV-21
#[test]
fn joiners_stay_inside_words() {
    for (text, shown) in [
        (
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            None,
        ),
        ("\u{915}\u{94d}\u{200d}\u{937}", None),
        ("\u{1f469}\u{200d}\u{1f4bb}", None),
        ("\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} home", None),
        ("\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}", None),
        ("Auf\u{200c}lage", None),
        ("\u{200c}Tea\u{200d}", Some("Tea")),
        ("Tea \u{200c}time", Some("Tea time")),
        ("Tea\u{200c} time", Some("Tea time")),
        ("a\u{200c}\u{200c}\u{200d}b", Some("a\u{200c}b")),
        ("a\u{200b}\u{200c}b", Some("a\u{200c}b")),
        ("a\u{202e}b\u{2066}c\u{200f}", Some("abc")),
    ] {
        assert_eq!(
            one_line(text).as_deref(),
            Some(shown.unwrap_or(text)),
            "{text:?}"
        );
    }
    for nothing in ["", " \n", "\u{200c}", "\u{200d} \u{200b}\u{202e}"] {
        assert_eq!(one_line(nothing), None, "{nothing:?}");
    }
    assert_eq!(shorten("ab\u{200c}cd", 4, 3), "ab…");
    assert_eq!(without_joiners("vi\u{200c}ag\u{200d}ra"), "viagra");
}

/// MSG-07
#[test]
fn links_are_defanged() {
    for (text, tame) in [
        ("https://evil.example/x", "https[:]//evil[.]example/x"),
        ("http://localhost", "http[:]//localhost"),
        ("http://1.2.3.4/", "http[:]//1.2.3.4/"),
        ("https:/evil.com", "https[:]/evil[.]com"),
        ("https：／／evil.com", "https[:]／／evil[.]com"),
        ("go to www.evil.example.", "go to www[.]evil[.]example."),
        ("www.x", "www[.]x"),
        ("evil.example/path", "evil[.]example/path"),
        ("(evil.com)", "(evil[.]com)"),
        ("evil.com:8080", "evil[.]com:8080"),
        ("evil.com…", "evil[.]com…"),
        ("evil.com—now", "evil[.]com—now"),
        ("see evil.com, now", "see evil[.]com, now"),
        ("EVIL.COM", "EVIL[.]COM"),
        ("evil.co.uk", "evil[.]co[.]uk"),
        ("user@host.org", "user@host[.]org"),
        ("@bob:a.example", "@bob:a[.]example"),
        ("evil。example", "evil[.]example"),
        ("evil．com", "evil[.]com"),
        ("bücher.de", "bücher[.]de"),
        ("пример.рф", "пример[.]рф"),
        ("例子.中国", "例子[.]中国"),
        ("उदाहरण.भारत", "उदाहरण[.]भारत"),
        ("xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd[.]xn--p1ai"),
        ("ev\u{200c}il.com", "ev\u{200c}il[.]com"),
        ("evil.c\u{200c}om", "evil[.]c\u{200c}om"),
        ("evil.com.Node", "evil[.]com[.]Node"),
        // These are top-level domains, and mail programs do link to them.
        ("README.md", "README[.]md"),
        ("ASP.NET", "ASP[.]NET"),
        ("will.i.am", "will[.]i[.]am"),
        ("files.zip", "files[.]zip"),
    ] {
        assert_eq!(defang(text), tame);
    }
}

/// MSG-07
#[test]
fn what_no_program_links_is_not_defanged() {
    for text in [
        "J.R.R. Tolkien",
        "Node.js",
        "Vue.js & Three.js",
        "v1.2",
        "Version 2.5",
        "1.2.3.4",
        "Dr. Strange",
        "Dr.Strange",
        "etc.and",
        "e.g.",
        "a.k.a.",
        "U.S.A.",
        "P.S. I love you",
        "R.E.M.",
        "St.Pauli",
        "Tea…",
        "Hello...world",
        "wait..what",
        "3.14",
        "10:30",
        "AC/DC",
        "A: B",
        "ratio 1:2",
        "и т.д.",
        "第1。次",
        "www",
        "www.",
        ".com",
        "com",
        "",
    ] {
        assert_eq!(defang(text), text);
    }
}

proptest! {
    /// INV-03
    #[test]
    fn shown_line_is_stable_and_trimmed(text in "[a\u{200c}\u{200d}\u{202e} \n.]{0,12}|.{0,20}") {
        if let Some(line) = one_line(&text) {
            prop_assert_eq!(one_line(&line), Some(line.clone()));
            prop_assert!(!line.starts_with(JOINERS) && !line.ends_with(JOINERS));
        }
    }

    /// MSG-07
    #[test]
    fn no_link_is_left(text in "(https?[:：]//)?([a-z]{1,4}[.。]){0,3}(com|example|рф)[/: ]?.{0,9}|.{0,30}") {
        let tame = defang(&text);
        prop_assert!(!tame.contains("://"));
        prop_assert_eq!(defang(&tame), tame.clone());
        prop_assert!(!tame.contains(".com") || tame.contains("[.]com") || !is_linked(&tame));
    }
}
