//! The policies that people agree to before they use this server (section 5 of
//! the conformance list), and when somebody has agreed to enough of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Invalid;

/// Every policy that is in force; none by default, which asks nothing of
/// anybody (TOS-11).
///
/// It is read from the form that Sydent's terms file has: an optional
/// `master_version`, and `docs`, which has a `version` and `langs` by the id of
/// each policy. Reading checks everything, so what exists can be served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// A switch to ask everybody again, though no URL has changed; see
    /// [`Terms::known`].
    #[serde(default)]
    master_version: Option<Text>,
    #[serde(rename = "docs")]
    policies: BTreeMap<Text, Policy>,
}

/// A policy in one version and several languages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    version: Text,
    langs: Translations,
}

/// A policy in each of its languages; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<Language, Document>")]
struct Translations(BTreeMap<Language, Document>);

/// A policy in one language.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    name: Text,
    url: DocumentUrl,
}

/// Text that people or programs see: not empty, at most 255 bytes, no control
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Text(String);

/// A language code such as `en` or `pt-BR`. It stands beside the key `version`
/// in what clients see, so it can never be that (TOS-01).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Language(String);

/// Where a person reads the policy: an absolute http or https URL of at most
/// 2,000 bytes, kept to the letter, since it is compared with what clients send
/// back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct DocumentUrl(String);

impl TryFrom<String> for Text {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        if (1..=255).contains(&text.len()) && !text.contains(char::is_control) {
            Ok(Self(text))
        } else {
            Err(Invalid("a text of 1 to 255 bytes is needed here"))
        }
    }
}

impl TryFrom<String> for Language {
    type Error = Invalid;

    fn try_from(code: String) -> Result<Self, Invalid> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_code = (2..=35).contains(&code.len()) && code.bytes().all(good);
        if is_code && code != "version" {
            Ok(Self(code))
        } else {
            Err(Invalid("a language code such as \"en\" is needed here"))
        }
    }
}

impl TryFrom<String> for DocumentUrl {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        const WRONG: Invalid = Invalid("a whole https:// URL is needed here");
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if text.len() > 2000 || text.contains(odd) {
            return Err(WRONG);
        }
        let url = url::Url::parse(&text).map_err(|_not_a_url| WRONG)?;
        if matches!(url.scheme(), "https" | "http") {
            Ok(Self(text))
        } else {
            Err(WRONG)
        }
    }
}

impl TryFrom<BTreeMap<Language, Document>> for Translations {
    type Error = Invalid;

    fn try_from(languages: BTreeMap<Language, Document>) -> Result<Self, Invalid> {
        if languages.is_empty() {
            // Nobody could ever agree to it.
            return Err(Invalid("a policy needs at least one language"));
        }
        Ok(Self(languages))
    }
}

impl Document {
    /// The name that people read.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name.0
    }

    /// Where people read it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url.0
    }
}

impl Policy {
    /// The version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version.0
    }

    /// The policy in each language, by its code.
    pub fn languages(&self) -> impl Iterator<Item = (&str, &Document)> {
        let languages = self.langs.0.iter();
        languages.map(|(code, document)| (code.0.as_str(), document))
    }

    fn urls(&self) -> impl Iterator<Item = &str> {
        self.langs
            .0
            .values()
            .map(|document| document.url.0.as_str())
    }
}

impl Terms {
    /// The policies by ID.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &Policy)> {
        let policies = self.policies.iter();
        policies.map(|(id, policy)| (id.0.as_str(), policy))
    }

    /// Whether there is nothing to accept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether that is enough: of each policy one of its present URLs, in any
    /// language (TOS-05, TOS-07), and the master version if there is one.
    /// `accepted` is what [`Terms::known`] returned at any time.
    #[must_use]
    pub fn are_accepted(&self, accepted: &[impl AsRef<str>]) -> bool {
        let accepted: BTreeSet<&str> = accepted.iter().map(AsRef::as_ref).collect();
        let agreed = |policy: &Policy| policy.urls().any(|url| accepted.contains(url));
        let asked_again = self.master_mark();
        self.is_empty()
            || (self.policies.values().all(agreed)
                && asked_again.is_none_or(|mark| accepted.contains(mark.as_str())))
    }

    /// Those of the URLs that are in force, each once: what is worth being
    /// remembered of an acceptance (TOS-09). When there are any and the terms
    /// have a master version, a mark for that version is among them, so that a
    /// new version asks everybody to accept something once more.
    #[must_use]
    pub fn known<'a>(&self, urls: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let current: BTreeSet<&str> = self.policies.values().flat_map(Policy::urls).collect();
        let given: BTreeSet<&str> = urls.into_iter().collect();
        let known = given.intersection(&current).map(|&url| url.to_owned());
        let mut known: Vec<String> = known.collect();
        if !known.is_empty() {
            known.extend(self.master_mark());
        }
        known
    }

    /// No URL begins like this.
    fn master_mark(&self) -> Option<String> {
        let version = self.master_version.as_ref()?;
        Some(format!("master_version {}", version.0))
    }

    /// A sentence for each URL that stands for two policies: who accepts one
    /// has then accepted the other (TOS-02).
    #[must_use]
    pub fn shared_urls(&self) -> Vec<String> {
        let mut owners: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (id, policy) in &self.policies {
            for url in policy.urls() {
                owners.entry(url).or_default().insert(&id.0);
            }
        }
        owners.retain(|_, policies| policies.len() > 1);
        let sentence = |(url, policies): (&str, BTreeSet<&str>)| {
            let policies: Vec<&str> = policies.into_iter().collect();
            let policies = policies.join(", ");
            format!("{url} is the URL of {policies}: accepting one accepts the others")
        };
        owners.into_iter().map(sentence).collect()
    }

    /// A sentence for each policy that has a new version under a URL of the old
    /// one: who accepted that URL is not asked again (TOS-02).
    #[must_use]
    pub fn kept_urls(&self, before: &Self) -> Vec<String> {
        let kept = |(id, policy): (&Text, &Policy)| {
            let old = before.policies.get(id)?;
            let old_urls: BTreeSet<&str> = old.urls().collect();
            let url = policy.urls().find(|url| old_urls.contains(url))?;
            (policy.version != old.version).then(|| {
                let id = &id.0;
                format!("{id} has a new version at {url}: who accepted the old one is not asked")
            })
        };
        self.policies.iter().filter_map(kept).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Terms, serde_json::Error> {
        serde_json::from_value(value)
    }

    fn document(url: &str) -> Value {
        json!({ "name": "A policy", "url": url })
    }

    fn policy(version: &str, langs: &Value) -> Value {
        json!({ "version": version, "langs": langs })
    }

    /// Two policies, one of them in two languages.
    fn two() -> Terms {
        let privacy = json!({ "en": document("https://a/p-en"), "fr": document("https://a/p-fr") });
        let terms = json!({ "en": document("https://a/t-en") });
        let docs = json!({ "privacy": policy("1.2", &privacy), "terms": policy("5", &terms) });
        read(json!({ "docs": docs })).unwrap()
    }

    #[test]
    fn tos_05_07_11_one_url_of_each_policy_is_enough() {
        let terms = two();
        for (accepted, enough) in [
            (&["https://a/p-en", "https://a/t-en"][..], true),
            (&["https://a/t-en", "https://a/p-fr", "https://a/old"], true),
            (&["https://a/p-en", "https://a/p-fr"], false),
            (&["https://a/t-en"], false),
            (&[], false),
        ] {
            assert_eq!(terms.are_accepted(accepted), enough, "{accepted:?}");
        }
        assert!(Terms::default().are_accepted(&[""; 0]));
    }

    #[test]
    fn tos_09_only_urls_in_force_are_remembered() {
        let given = ["https://a/p-fr", "https://evil/", "", "https://a/p-fr"];
        assert_eq!(two().known(given), ["https://a/p-fr"]);
        assert!(two().known(["https://A/p-fr"]).is_empty());
    }

    #[test]
    fn tos_07_a_new_master_version_asks_again() {
        let langs = json!({ "en": document("https://a/1") });
        let of_version = |version: &str| {
            let docs = json!({ "terms": policy("1", &langs) });
            read(json!({ "master_version": version, "docs": docs })).unwrap()
        };
        let (one, two) = (of_version("1"), of_version("2"));
        let mut accepted = one.known(["https://a/1"]);
        assert!(one.are_accepted(&accepted));
        assert!(!two.are_accepted(&accepted));
        assert!(two.known(["https://other/"]).is_empty());
        accepted.extend(two.known(["https://a/1"]));
        assert!(two.are_accepted(&accepted));
        let nothing = read(json!({ "master_version": "1", "docs": {} })).unwrap();
        assert!(nothing.are_accepted(&[""; 0]));
    }

    #[test]
    fn tos_02_urls_that_stand_for_two_things() {
        let terms = |version: &str| {
            let both = json!({ "en": document("https://a/1"), "de": document("https://a/1") });
            let other = json!({ "en": document("https://a/2") });
            let docs = json!({
                "a": policy(version, &both), "b": policy("1", &both), "c": policy("1", &other),
            });
            read(json!({ "docs": docs })).unwrap()
        };
        let shared = terms("1").shared_urls();
        assert_eq!(shared.len(), 1);
        assert!(shared[0].starts_with("https://a/1 is the URL of a, b"));
        assert!(two().shared_urls().is_empty());

        let kept = terms("2").kept_urls(&terms("1"));
        assert_eq!(kept.len(), 1);
        assert!(kept[0].starts_with("a has a new version"));
        assert!(two().kept_urls(&terms("1")).is_empty());
    }

    #[test]
    fn what_cannot_be_served_is_not_read() {
        let good = json!({ "en": document("https://a/1") });
        let of = |policy: Value| read(json!({ "docs": { "terms": policy } }));
        assert!(of(policy("1", &good)).is_ok());
        for bad in [
            policy("", &good),
            policy("1\n", &good),
            policy("1", &json!({})),
            policy("1", &json!({ "version": document("https://a/1") })),
            policy("1", &json!({ "e": document("https://a/1") })),
            policy("1", &json!({ "en": document("/relative") })),
            policy("1", &json!({ "en": document("javascript:alert(1)") })),
            policy("1", &json!({ "en": document("https://a/ b") })),
            policy("1", &json!({ "en": { "name": "", "url": "https://a/" } })),
            policy(
                "1",
                &json!({ "en": { "name": "A", "url": "https://a/", "x": 1 } }),
            ),
            json!({ "version": 1, "langs": good }),
            json!({ "langs": good }),
        ] {
            assert!(of(bad.clone()).is_err(), "{bad}");
        }
        assert!(read(json!({ "docs": { "": policy("1", &good) } })).is_err());
        assert!(read(json!({ "master_version": "1" })).is_err());
        assert!(read(json!({ "docs": {}, "extra": 1 })).is_err());
    }

    proptest! {
        #[test]
        fn tos_04_acceptance_accumulates(first: Vec<u8>, second: Vec<u8>) {
            let url = |byte: &u8| ["https://a/p-en", "https://a/p-fr", "https://a/t-en", "x"]
                [usize::from(*byte) % 4];
            let terms = two();
            let mut remembered = terms.known(first.iter().map(url));
            let before = terms.are_accepted(&remembered);
            remembered.extend(terms.known(second.iter().map(url)));
            let together = terms.known(first.iter().chain(&second).map(url));
            prop_assert_eq!(terms.are_accepted(&remembered), terms.are_accepted(&together));
            prop_assert!(!before || terms.are_accepted(&remembered));
        }
    }
}
