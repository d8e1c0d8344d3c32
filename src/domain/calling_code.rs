//! Rules and choices that differ by country calling code.

use std::collections::BTreeMap;

/// A value for each calling code, and one for all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByCallingCode<T> {
    /// For the calling codes that have none of their own.
    pub default: T,
    /// By calling code, such as 44.
    pub by_code: BTreeMap<u16, T>,
}

impl<T> ByCallingCode<T> {
    /// What holds for numbers with that calling code; `None` is a number whose
    /// code is unknown.
    pub fn of(&self, code: Option<u16>) -> &T {
        code.and_then(|code| self.by_code.get(&code))
            .unwrap_or(&self.default)
    }

    /// Every value.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.by_code.values().chain([&self.default])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_without_a_value_has_the_default() {
        let both = ByCallingCode {
            default: "rest",
            by_code: BTreeMap::from([(44, "britain")]),
        };
        for (code, value) in [(Some(44), "britain"), (Some(1), "rest"), (None, "rest")] {
            assert_eq!(*both.of(code), value);
        }
        assert_eq!(both.values().count(), 2);
    }
}
