//! Randomness: the one place that asks the operating system for it.
//!
//! Tokens, codes and keys are made here and handed on as arguments, so that
//! everything below can be tested with values of the test's choice.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

/// The operating system gave no random bytes. Nothing that needs a secret can
/// be done then; the request or the start fails.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random number generator failed")]
pub struct RandomError(#[from] rand::rngs::SysError);

/// Fills `buffer` with random bytes.
///
/// # Errors
/// When the operating system's generator fails; `buffer` is then unspecified.
pub fn fill(buffer: &mut [u8]) -> Result<(), RandomError> {
    Ok(SysRng.try_fill_bytes(buffer)?)
}

/// Random ASCII letters and digits, each of the 62 equally likely: about 5.95
/// bits a character.
///
/// # Errors
/// When the operating system's generator fails.
pub fn alphanumeric(length: usize) -> Result<String, RandomError> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    let mut pool = Zeroizing::new([0_u8; 64]);
    while text.len() < length {
        fill(pool.as_mut())?;
        // Six bits give 0..64; the two values without a letter are drawn again,
        // because folding them back would favour two letters.
        let letters = pool
            .iter()
            .filter_map(|byte| LETTERS.get(usize::from(byte & 63)));
        let missing = length - text.len();
        text.extend(letters.take(missing).map(|&letter| char::from(letter)));
    }
    Ok(text)
}

/// Six random digits, each of the million codes equally likely: what people type
/// off a phone.
///
/// # Errors
/// When the operating system's generator fails.
pub fn digits() -> Result<String, RandomError> {
    const CODES: u32 = 1_000_000;
    // The last numbers would make some codes likelier than others.
    const END: u32 = u32::MAX - u32::MAX % CODES;
    let mut bytes = Zeroizing::new([0_u8; 4]);
    loop {
        fill(bytes.as_mut())?;
        let drawn = u32::from_le_bytes(*bytes);
        if drawn < END {
            return Ok(format!("{:06}", drawn % CODES));
        }
    }
}

/// A number from 0 up to, and without, 1, for jitter. Where the operating system
/// gives no randomness it is 0: a pause without jitter is still a pause.
#[must_use]
pub fn fraction() -> f64 {
    let mut bytes = [0_u8; 4];
    fill(&mut bytes).map_or(0.0, |()| {
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    })
}

/// So many random bytes in unpadded URL-safe base64: `A-Z a-z 0-9 - _`.
///
/// # Errors
/// When the operating system's generator fails.
pub fn url_safe(bytes: usize) -> Result<String, RandomError> {
    let mut raw = Zeroizing::new(vec![0_u8; bytes]);
    fill(&mut raw)?;
    Ok(URL_SAFE_NO_PAD.encode(raw.as_slice()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn texts_have_the_length_and_the_letters_that_were_asked_for() {
        for length in [0, 1, 6, 32, 63, 64, 65, 1000] {
            let text = alphanumeric(length).unwrap();
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
        for (bytes, length) in [(0, 0), (1, 2), (32, 43), (48, 64)] {
            assert_eq!(url_safe(bytes).unwrap().len(), length);
        }
    }

    #[test]
    fn every_letter_occurs_and_no_text_twice() {
        let long: BTreeSet<char> = alphanumeric(10_000).unwrap().chars().collect();
        assert_eq!(long.len(), 62);
        let texts: BTreeSet<String> = (0..1000).map(|_| alphanumeric(16).unwrap()).collect();
        assert_eq!(texts.len(), 1000);
    }

    #[test]
    fn ses_05_codes_are_six_digits_and_use_the_whole_range() {
        let codes: Vec<String> = (0..10_000).map(|_| digits().unwrap()).collect();
        for code in &codes {
            assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
        }
        for place in 0..6 {
            let seen: BTreeSet<u8> = codes.iter().map(|code| code.as_bytes()[place]).collect();
            assert_eq!(seen.len(), 10);
        }
        // Of 10,000 draws out of a million about 50 come twice.
        assert!(codes.iter().collect::<BTreeSet<_>>().len() > 9_800);
    }

    #[test]
    fn fill_writes_every_byte() {
        let mut seen = [0_u8; 300];
        for _ in 0..20 {
            let mut buffer = [0_u8; 300];
            fill(&mut buffer).unwrap();
            seen.iter_mut()
                .zip(buffer)
                .for_each(|(seen, byte)| *seen |= byte);
        }
        assert!(seen.iter().all(|&byte| byte != 0));
    }
}
