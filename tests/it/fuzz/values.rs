//! Unexpected values of fields.

/// Texts to send in the place of a JSON value.
pub fn json_values() -> Vec<String> {
    let mut values: Vec<String> = [
        "0",
        "-1",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "1.5",
        "1e308",
        "1e999",
        "-0.0",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[null]",
        r#"[["a"]]"#,
        "[[1, 2]]",
        r#"[["email", null]]"#,
        r#"[["email", {"a": 1}]]"#,
        r#"{"a": {"b": []}}"#,
        r#""""#,
        r#"" ""#,
        r#""\u0000""#,
        r#""a\u0000b@example.com""#,
        r#"[["email", "\u0000"]]"#,
        r#"[["\u0000", "a@example.com"]]"#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\u0001\u001f\u007f""#,
        r#""\r\n\t""#,
        r#""\u202e\u200b\ufeff""#,
        r#""\ud83d\ude00""#,
        r#""{{7*7}}%s${x}<script>""#,
        "NaN",
        "undefined",
        "'x'",
        "\"\u{1}\"",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push(format!("\"{}\"", "x".repeat(1 << 20)));
    values.push(format!("\"{}\"", "x".repeat(300_000)));
    values.push(format!(
        "\"@{}:{}\"",
        "x".repeat(100_000),
        "y".repeat(100_000)
    ));
    values.push(format!("\"{}\"", "\u{1F600}".repeat(60_000)));
    values.push(format!("{}{}", "[".repeat(5000), "]".repeat(5000)));
    values.push(format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000)));
    values.push(format!("[{}1]", "1,".repeat(100_000)));
    values.push("9".repeat(10_000));
    values
}

/// Encoded values for a form or a query string.
pub fn encoded_values() -> Vec<String> {
    let mut values: Vec<String> = [
        "",
        "0",
        "-1",
        "1.5",
        "true",
        "null",
        "[]",
        "%00",
        "a%00b%40example.com",
        "%ff",
        "%c3%28",
        "%ed%a0%80",
        "%",
        "%zz",
        "%01%1f%7f",
        "%0d%0aSet-Cookie:%20x",
        "+",
        "%2B",
        "%u0041",
        "%f0%9f%98%80",
        "%e2%80%ae",
        "a=b",
        "{{7*7}}",
        "..%2f..%2fetc%2fpasswd",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push("x".repeat(40_000));
    values.push("%f0%9f%98%80".repeat(3000));
    values
}
