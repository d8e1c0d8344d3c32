//! Settings that differ by country calling code.

use std::collections::BTreeMap;

/// A value for some calling codes, and a default for all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByCallingCode<T> {
    /// The value for calling codes that are not in `by_code`.
    pub default: T,
    /// Values by calling code, such as 44.
    pub by_code: BTreeMap<u16, T>,
}

impl<T> ByCallingCode<T> {
    /// The value for a calling code; `None` is an unknown code.
    pub fn get(&self, code: Option<u16>) -> &T {
        code.and_then(|code| self.by_code.get(&code))
            .unwrap_or(&self.default)
    }

    /// All values, the default included.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.by_code.values().chain([&self.default])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlisted_code_has_the_default() {
        let both = ByCallingCode {
            default: "rest",
            by_code: BTreeMap::from([(44, "britain")]),
        };
        for (code, value) in [(Some(44), "britain"), (Some(1), "rest"), (None, "rest")] {
            assert_eq!(*both.get(code), value);
        }
        assert_eq!(both.values().count(), 2);
    }
}
