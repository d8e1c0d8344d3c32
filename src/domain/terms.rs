//! The policies that users must accept before they use this server (section 5 of
//! the conformance list), and whether a user has accepted them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Invalid;

/// The current policies. By default there are none, and users need not accept
/// anything (TOS-11).
///
/// The format is that of Sydent's terms file: an optional `master_version`, and
/// `docs`, an object with a `version` and `langs` for each policy id.
/// Deserializing validates everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// A new value requires all users to accept again, although no URL has
    /// changed; see [`Terms::filter_current`].
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

/// A policy in each of its languages, at least one.
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

/// A text of 1 to 255 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Text(String);

/// A language code such as `en` or `pt-BR`. In the response it is a key beside
/// `version`, so it must not be `version` (TOS-01).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Language(String);

/// The URL of a policy document: an absolute http or https URL of at most 2,000
/// bytes. It is stored unchanged, because clients send it back to accept it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct DocumentUrl(String);

/// The text without the line end of a YAML block, such as `name: >`.
fn without_line_end(text: &str) -> &str {
    text.trim_end_matches(['\n', '\r'])
}

impl TryFrom<String> for Text {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let text = without_line_end(&text);
        if text.contains(char::is_control) {
            Err(Invalid("must be a text in one line"))
        } else if (1..=255).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be a text of 1 to 255 bytes"))
        }
    }
}

impl TryFrom<String> for Language {
    type Error = Invalid;

    fn try_from(code: String) -> Result<Self, Invalid> {
        let is_code = (2..=35).contains(&code.len())
            && code
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if is_code && code != "version" {
            Ok(Self(code))
        } else {
            Err(Invalid("must be a language code such as \"en\""))
        }
    }
}

impl TryFrom<String> for DocumentUrl {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        const WRONG: Invalid = Invalid("must be an absolute https:// URL");
        let text = without_line_end(&text);
        if text.len() > 2000 || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(WRONG);
        }
        let url = url::Url::parse(text).map_err(|_not_a_url| WRONG)?;
        let is_web = matches!(url.scheme(), "https" | "http");
        is_web.then(|| Self(text.to_owned())).ok_or(WRONG)
    }
}

impl TryFrom<BTreeMap<Language, Document>> for Translations {
    type Error = Invalid;

    fn try_from(languages: BTreeMap<Language, Document>) -> Result<Self, Invalid> {
        if languages.is_empty() {
            // Otherwise no user could accept it.
            return Err(Invalid("a policy needs at least one language"));
        }
        Ok(Self(languages))
    }
}

impl Document {
    /// The name to display.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name.0
    }

    /// The URL of the document.
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

    /// The documents of the policy by language code.
    pub fn languages(&self) -> impl Iterator<Item = (&str, &Document)> {
        self.langs
            .0
            .iter()
            .map(|(code, document)| (code.0.as_str(), document))
    }

    fn urls(&self) -> impl Iterator<Item = &str> {
        self.langs
            .0
            .values()
            .map(|document| document.url.0.as_str())
    }

    /// A URL that this version has in common with an older one.
    fn reused_url(&self, old: &Self) -> Option<&str> {
        let old_urls: BTreeSet<&str> = old.urls().collect();
        self.urls()
            .find(|url| self.version != old.version && old_urls.contains(url))
    }
}

impl Terms {
    /// The policies by id.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &Policy)> {
        self.policies
            .iter()
            .map(|(id, policy)| (id.0.as_str(), policy))
    }

    /// Whether there is no policy to accept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether all policies are accepted: one current URL of each, in any language
    /// (TOS-05, TOS-07), and the master version if there is one. `accepted` is the
    /// union of the results of [`Terms::filter_current`].
    #[must_use]
    pub fn are_accepted(&self, accepted: &[impl AsRef<str>]) -> bool {
        let accepted: BTreeSet<&str> = accepted.iter().map(AsRef::as_ref).collect();
        let is_accepted = |policy: &Policy| policy.urls().any(|url| accepted.contains(url));
        self.is_empty()
            || (self.policies.values().all(is_accepted)
                && self
                    .master_version_mark()
                    .is_none_or(|mark| accepted.contains(mark.as_str())))
    }

    /// Filters the URLs to current ones, each once: these are stored when a user
    /// accepts (TOS-09). If there are any and the terms have a master version, the
    /// result includes a mark for that version, so a new version requires every
    /// user to accept again.
    #[must_use]
    pub fn filter_current<'a>(&self, urls: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let current: BTreeSet<&str> = self.policies.values().flat_map(Policy::urls).collect();
        let given: BTreeSet<&str> = urls.into_iter().collect();
        let mut accepted: Vec<String> = given
            .intersection(&current)
            .map(|&url| url.to_owned())
            .collect();
        if !accepted.is_empty() {
            accepted.extend(self.master_version_mark());
        }
        accepted
    }

    /// The mark of the master version among accepted URLs. No URL
    /// begins like it.
    fn master_version_mark(&self) -> Option<String> {
        let version = self.master_version.as_ref()?;
        Some(format!("master_version {}", version.0))
    }

    /// A warning for each URL that two policies share: accepting one of them accepts
    /// the other (TOS-02).
    #[must_use]
    pub fn shared_urls(&self) -> Vec<String> {
        let mut by_url: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (id, policy) in &self.policies {
            for url in policy.urls() {
                by_url.entry(url).or_default().insert(&id.0);
            }
        }
        by_url
            .into_iter()
            .filter(|(_, policies)| policies.len() > 1)
            .map(|(url, policies)| {
                let policies = policies.into_iter().collect::<Vec<_>>().join(", ");
                format!("{url} is the URL of {policies}: accepting one accepts the others")
            })
            .collect()
    }

    /// A warning for each policy whose new version has a URL of the old version:
    /// users who accepted that URL are not asked again (TOS-02).
    #[must_use]
    pub fn reused_urls(&self, before: &Self) -> Vec<String> {
        self.policies
            .iter()
            .filter_map(|(id, policy)| {
                let old = before.policies.get(id)?;
                let url = policy.reused_url(old)?;
                Some(format!(
                    "{} has a new version at the old URL {url}: users who accepted it are not asked again",
                    id.0
                ))
            })
            .collect()
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

    /// TOS-05, TOS-07, TOS-11
    #[test]
    fn one_url_of_each_policy_is_enough() {
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

    /// TOS-09
    #[test]
    fn only_current_urls_are_remembered() {
        let given = ["https://a/p-fr", "https://evil/", "", "https://a/p-fr"];
        assert_eq!(two().filter_current(given), ["https://a/p-fr"]);
        assert!(two().filter_current(["https://A/p-fr"]).is_empty());
    }

    /// TOS-07
    #[test]
    fn new_master_version_needs_new_acceptance() {
        let langs = json!({ "en": document("https://a/1") });
        let of_version = |version: &str| {
            let docs = json!({ "terms": policy("1", &langs) });
            read(json!({ "master_version": version, "docs": docs })).unwrap()
        };
        let (one, two) = (of_version("1"), of_version("2"));
        let mut accepted = one.filter_current(["https://a/1"]);
        assert!(one.are_accepted(&accepted));
        assert!(!two.are_accepted(&accepted));
        assert!(two.filter_current(["https://other/"]).is_empty());
        accepted.extend(two.filter_current(["https://a/1"]));
        assert!(two.are_accepted(&accepted));
        let nothing = read(json!({ "master_version": "1", "docs": {} })).unwrap();
        assert!(nothing.are_accepted(&[""; 0]));
    }

    /// TOS-02
    #[test]
    fn shared_and_unchanged_urls_are_reported() {
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

        let kept = terms("2").reused_urls(&terms("1"));
        assert_eq!(kept.len(), 1);
        assert!(kept[0].starts_with("a has a new version"));
        assert!(two().reused_urls(&terms("1")).is_empty());
    }

    #[test]
    fn invalid_terms_are_rejected() {
        let good = json!({ "en": document("https://a/1") });
        let of = |policy: Value| read(json!({ "docs": { "terms": policy } }));
        assert!(of(policy("1", &good)).is_ok());
        for bad in [
            policy("", &good),
            policy("1\n2", &good),
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
        /// TOS-04
        #[test]
        fn acceptance_accumulates(first: Vec<u8>, second: Vec<u8>) {
            let url = |byte: &u8| ["https://a/p-en", "https://a/p-fr", "https://a/t-en", "x"]
                [usize::from(*byte) % 4];
            let terms = two();
            let mut remembered = terms.filter_current(first.iter().map(url));
            let before = terms.are_accepted(&remembered);
            remembered.extend(terms.filter_current(second.iter().map(url)));
            let together = terms.filter_current(first.iter().chain(&second).map(url));
            prop_assert_eq!(terms.are_accepted(&remembered), terms.are_accepted(&together));
            prop_assert!(!before || terms.are_accepted(&remembered));
        }
    }
}
