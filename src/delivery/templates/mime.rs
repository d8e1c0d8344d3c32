//! Line ends and encodings of mails.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of text in one encoded word. With its delimiters that makes 64 characters, so the name of
/// the header fits before it in a line of 76 (RFC 2047, section 2).
const BYTES_PER_WORD: usize = 39;

/// Writes every line end as CRLF, and one at the end of the text (RFC 5321, section 2.3.8).
pub(super) fn with_crlf(text: &str) -> String {
    let mut mail = String::with_capacity(text.len() + text.len() / 32 + 2);
    // Whole lines at once: a mail has some thousand characters.
    let mut after_cr = false;
    for line in text.split_inclusive(['\r', '\n']) {
        let is_rest_of_line_end = after_cr && line == "\n";
        after_cr = line.ends_with('\r');
        if is_rest_of_line_end {
            continue;
        }
        match line.strip_suffix(['\r', '\n']) {
            Some(content) => {
                mail.push_str(content);
                mail.push_str("\r\n");
            }
            None => mail.push_str(line),
        }
    }
    if !mail.ends_with("\r\n") {
        mail.push_str("\r\n");
    }
    mail
}

/// Encodes a body to ASCII with no line over 76 characters (RFC 2045, section 6.7).
pub(super) fn quoted_printable(text: &str) -> String {
    let has_final_line_end = text.ends_with(['\r', '\n']);
    let text = with_crlf(text);
    let text = if has_final_line_end {
        &text
    } else {
        text.strip_suffix("\r\n").unwrap_or(&text)
    };
    quoted_printable::encode_to_str(text)
}

/// Encodes the text of a header if it is not ASCII (RFC 2047). Of `Name <address>` only the name
/// may be encoded; an address stays unchanged.
pub(super) fn encoded_words(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    match text.rsplit_once('<') {
        Some((name, address)) if name.is_ascii() => format!("{name}<{address}"),
        Some((name, address)) => format!("{}\n <{address}", words(&unquoted(name.trim()))),
        None if text.contains('@') => text.to_owned(),
        None => words(text),
    }
}

/// Encodes the text of a subject. Text that contains the beginning of an encoded word is encoded
/// too, or the name of a room could be displayed as a different text.
pub(super) fn subject(text: &str) -> String {
    if text.is_ascii() && !text.contains("=?") {
        return text.to_owned();
    }
    words(text)
}

fn words(text: &str) -> String {
    let mut parts = vec![String::new()];
    for c in text.chars() {
        match parts.last_mut() {
            Some(part) if part.len() + c.len_utf8() <= BYTES_PER_WORD => part.push(c),
            _ => parts.push(c.to_string()),
        }
    }
    parts
        .iter()
        .map(|part| format!("=?utf-8?B?{}?=", STANDARD.encode(part)))
        .collect::<Vec<_>>()
        .join("\n ")
}

/// The content of a quoted string: encoded words are not allowed inside quotes.
fn unquoted(name: &str) -> String {
    let Some(inner) = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    else {
        return name.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{encoded_words, quoted_printable, subject, with_crlf};

    #[test]
    fn every_line_end_becomes_crlf() {
        assert_eq!(
            with_crlf("a\nb\r\nc\rd\n\r\n\re"),
            "a\r\nb\r\nc\r\nd\r\n\r\n\r\ne\r\n"
        );
        assert_eq!(with_crlf("<<<token>>>"), "<<<token>>>\r\n");
        assert_eq!(with_crlf("done\n"), "done\r\n");
    }

    #[test]
    fn quoted_printable_is_short_ascii_and_decodes() {
        let text = format!(
            "{} ü = \n.\nFrom me \n{}\t",
            "x".repeat(200),
            "é".repeat(60)
        );
        let encoded = quoted_printable(&text);
        assert!(encoded.is_ascii());
        assert!(
            encoded
                .split("\r\n")
                .all(|line| line.len() <= 76 && !line.ends_with([' ', '\t']))
        );
        let decoded =
            ::quoted_printable::decode(&encoded, ::quoted_printable::ParseMode::Strict).unwrap();
        assert_eq!(
            String::from_utf8(decoded).unwrap(),
            text.replace('\n', "\r\n")
        );
        assert_eq!(quoted_printable("a\n"), "a\r\n");
        assert_eq!(quoted_printable(""), "");
    }

    /// MSG-03
    #[test]
    fn encoded_word_in_a_subject_is_escaped() {
        assert_eq!(subject("Tea <at> five"), "Tea <at> five");
        for text in ["=?utf-8?Q?x?=", "Tea à 5 <b@c.example>"] {
            let header = format!("Subject: {}\r\n\r\n", subject(text).replace('\n', "\r\n"));
            let mail = mail_parser::MessageParser::default()
                .parse(&header)
                .unwrap();
            assert_eq!(mail.subject(), Some(text));
        }
    }

    #[test]
    fn only_non_ascii_header_values_are_encoded() {
        let ascii = "Identity <id@example.org>";
        assert_eq!(encoded_words(ascii), ascii);
        assert_eq!(
            encoded_words("\"A, B\" <é@example.org>"),
            "\"A, B\" <é@example.org>"
        );
        assert_eq!(encoded_words("é@example.org"), "é@example.org");
        assert_eq!(
            encoded_words("\"Grüße, \\\"wir\\\"\" <id@example.org>"),
            "=?utf-8?B?R3LDvMOfZSwgIndpciI=?=\n <id@example.org>"
        );
        let long = encoded_words(&"ü€𝄞".repeat(40));
        assert!(long.lines().all(|line| line.len() <= 65), "{long}");
        let header = format!("Subject: {}\r\n\r\n", long.replace('\n', "\r\n"));
        let mail = mail_parser::MessageParser::default()
            .parse(header.as_bytes())
            .unwrap();
        assert_eq!(mail.subject(), Some("ü€𝄞".repeat(40).as_str()));
    }
}
