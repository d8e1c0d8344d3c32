//! serde's messages as sentences for the person who wrote the setting.

/// Turns a message of serde's into "must be …". The value, which serde quotes
/// and which may be a secret, is left out.
pub(super) fn sentence(message: &str) -> String {
    if let Some((_, expected)) = message.rsplit_once(", expected ") {
        return format!("must be {}", wanted(expected));
    }
    match message {
        "invalid socket address syntax" => {
            "must be an IP address and a port, such as \"127.0.0.1:8090\" or \"[::]:8090\"".into()
        }
        "invalid IP address syntax" => {
            "must be a network such as \"10.0.0.0/8\" or \"192.0.2.1/32\"".into()
        }
        own if own.starts_with("must ") => own.to_owned(),
        _ => "has a value of the wrong kind".to_owned(),
    }
}

fn wanted(expected: &str) -> String {
    match expected {
        "a boolean" => "true or false".to_owned(),
        "a string" | "path string" => "text in quotation marks".to_owned(),
        "a sequence" => "a list in square brackets, such as [\"one\", \"two\"]".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" | "u64" | "usize" => "a whole number, not negative".to_owned(),
        "socket address" => "an IP address and a port in quotation marks".to_owned(),
        "IPv4 or IPv6 network address" => "a network such as \"10.0.0.0/8\"".to_owned(),
        section if section.starts_with("struct ") => "a section".to_owned(),
        choices if choices.contains('`') => choices.replace('`', "\""),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn sentences_say_what_to_write_and_not_what_was_written() {
        for (message, said) in [
            (
                "invalid type: string \"x, expected y\", expected u16",
                "must be a whole number from 0 to 65535",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "must be a whole number, not negative",
            ),
            (
                "invalid type: integer `5`, expected a string",
                "must be text in quotation marks",
            ),
            (
                "invalid type: integer `5`, expected struct HttpSettings",
                "must be a section",
            ),
            (
                "unknown variant `x`, expected one of `a`, `b`",
                "must be one of \"a\", \"b\"",
            ),
            (
                "unknown variant `x`, expected `a` or `b`",
                "must be \"a\" or \"b\"",
            ),
            ("must be a server name", "must be a server name"),
            ("some text with hunter2", "has a value of the wrong kind"),
        ] {
            assert_eq!(sentence(message), said);
        }
    }
}
