//! Lookup hashes and peppers (identity service API, "Hash algorithms").

use std::{fmt, iter};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::threepid::ThreePid;
use super::{Invalid, base64, email};

/// The pepper: 1 to 255 ASCII letters and digits (LKP-02). It is hashed with
/// every address, so a table of all hashes is useless for other servers and after
/// the next rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pepper(String);

impl Pepper {
    /// Parses a pepper.
    ///
    /// # Errors
    /// It is empty, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_alphanumeric = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if (1..=255).contains(&text.len()) && is_alphanumeric {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be 1 to 255 ASCII letters and digits"))
        }
    }

    /// Creates a pepper of 32 hexadecimal digits from random bits.
    #[must_use]
    pub fn from_random(random: u128) -> Self {
        Self(format!("{random:032x}"))
    }

    /// The pepper. It is public.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How long the former pepper is answered after a rotation, ms: clients that asked for
/// the pepper just before it use that one.
pub const FORMER_PEPPER_MS: i64 = 10 * 60 * 1000;

/// The format of the entries of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Algorithm {
    /// Hashes as [`sha256_hash`] computes them (LKP-06).
    Sha256,
    /// `<address> <medium>` in plain text (LKP-07).
    Plain,
}

parse_from_string!(Algorithm);

impl From<Algorithm> for &'static str {
    fn from(algorithm: Algorithm) -> Self {
        algorithm.as_str()
    }
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Plain];
    /// Why an algorithm is rejected, also if the configuration disables it.
    pub const UNKNOWN: Invalid = Invalid("not one of those listed by hash_details");

    /// Parses the name of an algorithm.
    ///
    /// # Errors
    /// There is no such algorithm.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or(Self::UNKNOWN)
    }

    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Plain => "none",
        }
    }
}

/// The entries of a lookup. `Debug` shows only their number.
pub enum Entries {
    /// Texts with the format of a hash.
    Hashed(Vec<String>),
    /// 3PIDs, each with the text that the client sent.
    Plain(Vec<(String, ThreePid)>),
}

/// More bytes than an address needs in the JSON of a lookup: 254 bytes, of which two
/// can be written as `\u00e9`, with its medium and punctuation.
const MAX_ENTRY_BYTES: usize = 800;
/// More than the other fields of a lookup need.
const MAX_OTHER_BYTES: usize = 4096;

/// The largest body of a lookup of that many addresses, in bytes.
#[must_use]
pub fn max_bytes(addresses: usize) -> usize {
    addresses
        .saturating_mul(MAX_ENTRY_BYTES)
        .saturating_add(MAX_OTHER_BYTES)
}

/// The most values in the body of a lookup of that many addresses. In the old version of
/// the API, each is an array of two.
#[must_use]
pub fn max_values(addresses: usize) -> usize {
    addresses
        .saturating_mul(VALUES_OF_ENTRY)
        .saturating_add(MAX_OTHER_VALUES)
}

const VALUES_OF_ENTRY: usize = 4;
const MAX_OTHER_VALUES: usize = 1000;

impl Entries {
    /// Parses the entries and leaves out invalid ones: nothing can be bound to
    /// them (LKP-08).
    #[must_use]
    pub fn parse(algorithm: Algorithm, entries: Vec<String>) -> Self {
        match algorithm {
            Algorithm::Sha256 => {
                let mut hashes = entries;
                hashes.retain(|entry| is_hash(entry));
                // In the order of the index, so that those of a part are on few of its pages.
                hashes.sort_unstable();
                Self::Hashed(hashes)
            }
            Algorithm::Plain => Self::Plain(
                entries
                    .into_iter()
                    .filter_map(|entry| parse_plain_entry(&entry).map(|threepid| (entry, threepid)))
                    .collect(),
            ),
        }
    }
}

impl Entries {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Hashed(hashes) => hashes.len(),
            Self::Plain(threepids) => threepids.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Parts of at most so many entries, at least one part. `size` must not be 0.
    #[must_use]
    pub fn into_parts(self, size: usize) -> Vec<Self> {
        match self {
            Self::Hashed(hashes) => parts(hashes, size).map(Self::Hashed).collect(),
            Self::Plain(threepids) => parts(threepids, size).map(Self::Plain).collect(),
        }
    }
}

fn parts<T>(entries: Vec<T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    let count = entries.len().div_ceil(size).max(1);
    let mut rest = entries.into_iter();
    // Not split off: each part would keep the room of all that follow.
    iter::repeat_with(move || rest.by_ref().take(size).collect()).take(count)
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hashed(hashes) => write!(f, "Hashed({} …)", hashes.len()),
            Self::Plain(threepids) => write!(f, "Plain({} …)", threepids.len()),
        }
    }
}

/// The `sha256` lookup hash of a 3PID: unpadded URL-safe base64 of the digest
/// of `<address> <medium> <pepper>`.
#[must_use]
pub fn sha256_hash(threepid: &ThreePid, pepper: &Pepper) -> String {
    hash(threepid.address(), threepid.medium().as_str(), pepper)
}

/// [`sha256_hash`] of a 3PID that is already in canonical form.
#[must_use]
pub fn hash(address: &str, medium: &str, pepper: &Pepper) -> String {
    let mut digest = Sha256::new();
    for part in [address, " ", medium, " ", pepper.as_str()] {
        digest.update(part);
    }
    base64::encode_url_safe(digest.finalize().as_slice())
}

/// The hashes by which a 3PID is found.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashes {
    /// The hash of its canonical address.
    pub canonical: String,
    /// Another form of its address that people type, and the hash of that.
    pub other: Option<(String, String)>,
}

impl Hashes {
    /// Computes the hashes of a 3PID.
    #[must_use]
    pub fn new(threepid: &ThreePid, pepper: &Pepper) -> Self {
        Self::with_form(threepid, threepid.other_form(), pepper)
    }

    /// Computes the hashes of a 3PID that was written as `written`.
    #[must_use]
    pub fn of_written(threepid: &ThreePid, written: &str, pepper: &Pepper) -> Self {
        let folded = email::fold(written);
        let form = (folded != threepid.address()).then(|| folded.into_owned());
        Self::with_form(threepid, form.or_else(|| threepid.other_form()), pepper)
    }

    fn with_form(threepid: &ThreePid, form: Option<String>, pepper: &Pepper) -> Self {
        let medium = threepid.medium().as_str();
        Self {
            canonical: sha256_hash(threepid, pepper),
            other: form.map(|form| {
                let hash = hash(&form, medium, pepper);
                (form, hash)
            }),
        }
    }
}

/// Whether the text has the format of a [`sha256_hash`] (LKP-08).
fn is_hash(text: &str) -> bool {
    text.len() == 43
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Parses and folds a plain-text entry; `None` if it is not a 3PID (LKP-08,
/// LKP-21).
fn parse_plain_entry(text: &str) -> Option<ThreePid> {
    let (address, medium) = text.rsplit_once(' ')?;
    ThreePid::parse(medium, address).ok()
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
