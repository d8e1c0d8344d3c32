//! Codes as people type and paste them.

/// The digit zero of every script that has decimal digits (`General_Category=Decimal_Number`
/// of Unicode 17). The other nine follow it: Unicode's stability policy says so.
#[rustfmt::skip]
const ZEROS: [u32; 77] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
    0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50,
    0x11da0, 0x11de0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce,
    0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// The code that a person meant.
///
/// People type the digits of their own keyboard, group them as the message does, and
/// paste a line end, quotes or the full stop of the sentence with it; programs wrap
/// numbers in direction marks. If nothing but decimal digits is left without all that,
/// these are the code, in ASCII. Another text, such as the token of an email, is
/// only freed of what stands around it.
#[must_use]
pub fn typed_code(text: &str) -> String {
    let digits: Option<String> = text
        .chars()
        .filter(|c| !is_separator(*c) && !is_around(*c))
        .map(decimal_digit)
        .collect();
    match digits {
        Some(digits) if !digits.is_empty() => digits,
        _ => text
            .trim_matches(|c: char| is_invisible(c) || is_around(c))
            .to_owned(),
    }
}

/// The ASCII digit of the same value.
fn decimal_digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let value = ZEROS
        .iter()
        .filter_map(|zero| code.checked_sub(*zero))
        .find(|value| *value < 10)?;
    char::from_digit(value, 10)
}

/// What stands between the digits of a code.
fn is_separator(c: char) -> bool {
    is_invisible(c) || is_hyphen(c) || matches!(c, '.' | '\u{b7}' | '\u{2024}')
}

/// White space, line ends, and characters that only control how others are shown.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{20e3}')
}

/// A hyphen, a dash or a minus sign.
fn is_hyphen(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{58a}' | '\u{5be}' | '\u{1806}' | '\u{2010}'
            ..='\u{2015}'
                | '\u{207b}'
                | '\u{208b}'
                | '\u{2212}'
                | '\u{2e3a}'
                | '\u{2e3b}'
                | '\u{301c}'
                | '\u{3030}'
                | '\u{30a0}'
                | '\u{30fc}'
                | '\u{fe58}'
                | '\u{fe63}'
                | '\u{ff0d}'
                | '\u{ff70}'
    )
}

/// Quotes, brackets and the end of a sentence, of which no code has any.
fn is_around(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '\u{b4}' | '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}'
        | '\u{2039}' | '\u{203a}' | '\u{300c}'..='\u{300f}' | '\u{ff02}' | '\u{ff07}'
        | '(' | ')' | '[' | ']' | '<' | '>' | '{' | '}' | '\u{ff08}' | '\u{ff09}' | '*' | '#'
        | '.' | ',' | ';' | ':' | '!' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{3001}'
        | '\u{ff0c}' | '\u{60c}' | '\u{61b}' | '\u{6d4}' | '\u{964}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// SES-06
    #[test]
    fn digits_of_every_script_are_the_code() {
        for typed in [
            "123456",
            "١٢٣٤٥٦",
            "۱۲۳۴۵۶",
            "१२३४५६",
            "১২৩৪৫৬",
            "๑๒๓๔๕๖",
            "１２３４５６",
            "𝟏𝟐𝟑𝟒𝟓𝟔",
            "𝟷𝟸𝟹𝟺𝟻𝟼",
            "𞥑𞥒𞥓𞥔𞥕𞥖",
            "12۳۴56",
            "1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣",
        ] {
            assert_eq!(typed_code(typed), "123456", "{typed}");
        }
    }

    /// SES-06
    #[test]
    fn separators_and_surroundings_are_removed() {
        for typed in [
            " 123456 ",
            "123 456",
            "1 2 3 4 5 6",
            "123\u{a0}456",
            "123\u{202f}456",
            "123\u{3000}456",
            "123456\n",
            "123456\r\n",
            "\t123456",
            "123-456",
            "123\u{2010}456",
            "123\u{2011}456",
            "123–456",
            "123—456",
            "123−456",
            "123．456",
            "123.456",
            "123\u{ad}456",
            "123\u{200b}456",
            "\u{202d}123456\u{202c}",
            "\u{2066}123456\u{2069}",
            "\u{200e}123456\u{200f}",
            "\u{feff}123456",
            "\"123456\"",
            "'123456'",
            "“123456”",
            "„123456“",
            "«123456»",
            "「123456」",
            "123456.",
            "123456。",
            "(123456)",
            "<123456>",
            "`123456`",
            "123456\0",
        ] {
            assert_eq!(typed_code(typed), "123456", "{typed:?}");
        }
    }

    /// SES-06
    #[test]
    fn letters_are_not_changed() {
        for (typed, code) in [
            ("aBc-12.3_x", "aBc-12.3_x"),
            (" aBc123\r\n", "aBc123"),
            ("\"aBc123\"", "aBc123"),
            ("aBc123.", "aBc123"),
            ("abc 123", "abc 123"),
            ("a١b", "a١b"),
            ("①②③", "①②③"),
            ("½", "½"),
            ("一二三", "一二三"),
            ("+123456", "+123456"),
            ("12/34", "12/34"),
            ("", ""),
            (" - ", "-"),
        ] {
            assert_eq!(typed_code(typed), code, "{typed:?}");
        }
    }

    proptest! {
        /// SES-04, SES-06
        #[test]
        fn generated_codes_are_not_changed(code in "[0-9]{6}|[a-zA-Z0-9]{32}") {
            prop_assert_eq!(typed_code(&code), code);
        }

        /// SES-06
        #[test]
        fn typed_code_is_stable(text in ".{0,20}|[0-9 .\"-]{0,9}") {
            let once = typed_code(&text);
            prop_assert_eq!(typed_code(&once), once);
        }
    }
}
