//! Explains serde's messages to the administrator.

/// Rewrites a message of serde as "must be …", without the value, which serde quotes
/// and which may be a secret.
pub(super) fn explain(message: &str) -> String {
    if let Some((_, expected)) = message.rsplit_once(", expected ") {
        return format!("must be {}", expectation(expected));
    }
    match message {
        "invalid socket address syntax" => format!("must be {SOCKET_ADDRESS}"),
        own if own.starts_with("must ") => own.to_owned(),
        _ => "has a value of the wrong type; see config/default.toml".to_owned(),
    }
}

const SOCKET_ADDRESS: &str =
    "an IP address and a port, such as \"127.0.0.1:8090\" or \"[::]:8090\"";

fn expectation(expected: &str) -> String {
    match expected {
        "a boolean" => "true or false".to_owned(),
        // The last one is for an enum.
        "a string" | "path string" | "string only" => "a string in quotation marks".to_owned(),
        "a sequence" => "a list in square brackets, such as [\"one\", \"two\"]".to_owned(),
        "a map" => "a section or an inline table, such as { key = \"value\" }".to_owned(),
        "u16" => "a whole number from 1 to 65535".to_owned(),
        "u32" | "u64" | "usize" => "a whole number, not negative".to_owned(),
        "socket address" => SOCKET_ADDRESS.to_owned(),
        section if section.starts_with("struct ") => "a section".to_owned(),
        choices if choices.contains('`') => choices.replace('`', "\""),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::explain;

    #[test]
    fn message_names_expected_not_given_value() {
        for (message, explained) in [
            (
                "invalid type: string \"x, expected y\", expected u16",
                "must be a whole number from 1 to 65535",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "must be a whole number, not negative",
            ),
            (
                "invalid type: integer `5`, expected a string",
                "must be a string in quotation marks",
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
            (
                "some text with hunter2",
                "has a value of the wrong type; see config/default.toml",
            ),
        ] {
            assert_eq!(explain(message), explained);
        }
    }
}
