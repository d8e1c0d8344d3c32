//! Random values from the operating system; the only place that reads them.
//!
//! Tokens, codes and keys are generated here and passed as arguments, so that tests can
//! choose them.

use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

/// The operating system returned no random bytes. The request or the start fails.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random number generator failed")]
pub struct RandomError(#[from] rand::rngs::SysError);

/// Fills `buffer` with random bytes.
///
/// # Errors
/// When the operating system's generator fails; `buffer` is then unspecified.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), RandomError> {
    Ok(SysRng.try_fill_bytes(buffer)?)
}

/// A random key.
///
/// # Errors
/// When the operating system's generator fails.
pub(crate) fn key() -> Result<[u8; 32], RandomError> {
    let mut bytes = [0; 32];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Random ASCII letters and digits, each of the 62 equally likely: about 5.95
/// bits a character.
///
/// # Errors
/// When the operating system's generator fails.
pub(crate) fn alphanumeric(length: usize) -> Result<String, RandomError> {
    const CHARACTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    let mut pool = Zeroizing::new([0_u8; 64]);
    while text.len() < length {
        fill(pool.as_mut())?;
        // Six bits are 0..64. The two values without a character are skipped: mapping
        // them to characters would make those more likely.
        let characters = pool
            .iter()
            .filter_map(|byte| CHARACTERS.get(usize::from(byte & 63)));
        let missing = length - text.len();
        text.extend(characters.take(missing).map(|&byte| char::from(byte)));
    }
    Ok(text)
}

/// Six random digits, each of the million codes equally likely: a code that is short
/// enough to type.
///
/// # Errors
/// When the operating system's generator fails.
pub(crate) fn digits() -> Result<String, RandomError> {
    const CODES: u32 = 1_000_000;
    // The numbers from here on would make some codes more likely than others.
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

/// A random number in `0.0..1.0`, for jitter; 0 if the operating system's generator
/// fails, since a delay without jitter is still a delay.
#[must_use]
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0_u8; 4];
    fill(&mut bytes).map_or(0.0, |()| {
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn strings_have_the_given_length_and_alphabet() {
        for length in [0, 1, 6, 32, 63, 64, 65, 1000] {
            let text = alphanumeric(length).unwrap();
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn every_character_occurs_and_strings_differ() {
        let long: BTreeSet<char> = alphanumeric(10_000).unwrap().chars().collect();
        assert_eq!(long.len(), 62);
        let texts: BTreeSet<String> = (0..1000).map(|_| alphanumeric(16).unwrap()).collect();
        assert_eq!(texts.len(), 1000);
    }

    /// SES-05
    #[test]
    fn codes_are_six_digits_over_the_whole_range() {
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
