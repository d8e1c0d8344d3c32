//! Every field of every route.

use crate::harness::Listener;

/// A listener, a route and its fields with valid values, as JSON.
pub type Form = (
    Listener,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const THREEPID: &[(&str, &str)] = &[
    ("medium", r#""email""#),
    ("address", r#""a@example.com""#),
    ("mxid", r#""@a:example.org""#),
];

const INVITE: &[(&str, &str)] = &[
    ("medium", r#""email""#),
    ("address", "EMAIL"),
    ("room_id", r#""!r:example.org""#),
    ("sender", r#""@a:example.org""#),
    ("room_alias", r#""""#),
    ("room_avatar_url", r#""""#),
    ("room_join_rules", r#""invite""#),
    ("room_name", r#""Tea""#),
    ("room_type", r#""m.space""#),
    ("sender_display_name", r#""Bob""#),
    ("sender_avatar_url", r#""""#),
    ("org.matrix.web_client_location", r#""https://app.example""#),
    ("brand", r#""default""#),
    ("further", r#""x""#),
];

const SIGN: &[(&str, &str)] = &[
    ("mxid", r#""@a:example.org""#),
    ("token", r#""x""#),
    (
        "private_key",
        r#""YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1""#,
    ),
];

pub const POSTS: &[Form] = &[
    (
        Listener::Client,
        "/_matrix/identity/v2/account/register",
        &[
            ("access_token", r#""x""#),
            ("token_type", r#""Bearer""#),
            ("matrix_server_name", r#""a.test""#),
            ("expires_in", "3600"),
        ],
    ),
    (
        Listener::Client,
        "/_matrix/identity/v2/terms",
        &[("user_accepts", r#"["https://example.org/terms"]"#)],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/validate/email/requestToken",
        &[
            ("client_secret", r#""secret""#),
            ("email", "EMAIL"),
            ("send_attempt", "1"),
            ("next_link", r#""https://app.example/""#),
            ("brand", r#""default""#),
        ],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/validate/email/submitToken",
        &[
            ("sid", r#""x""#),
            ("client_secret", r#""secret""#),
            ("token", r#""x""#),
        ],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/validate/msisdn/requestToken",
        &[
            ("client_secret", r#""secret""#),
            ("country", r#""GB""#),
            ("phone_number", r#""07700900001""#),
            ("send_attempt", "1"),
            ("next_link", r#""https://app.example/""#),
        ],
    ),
    (
        Listener::Client,
        "/_matrix/identity/v2/validate/msisdn/submitToken",
        &[
            ("sid", r#""x""#),
            ("client_secret", r#""secret""#),
            ("token", r#""123456""#),
        ],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/3pid/bind",
        &[
            ("sid", r#""x""#),
            ("client_secret", r#""secret""#),
            ("mxid", r#""@a:example.org""#),
        ],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/bulk_lookup",
        &[("threepids", r#"[["email", "a@example.com"]]"#)],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/3pid/unbind",
        &[
            ("mxid", r#""@a:example.org""#),
            (
                "threepid",
                r#"{"medium": "email", "address": "a@example.com"}"#,
            ),
            ("sid", r#""x""#),
            ("client_secret", r#""secret""#),
        ],
    ),
    (
        Listener::Client,
        "/_matrix/identity/v2/lookup",
        &[
            ("algorithm", r#""none""#),
            ("pepper", r#""matrixrocks""#),
            ("addresses", r#"["a@example.com email"]"#),
        ],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/store-invite",
        INVITE,
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/sign-ed25519",
        SIGN,
    ),
    (
        Listener::Internal,
        "/_matrix/identity/internal/bind",
        THREEPID,
    ),
    (
        Listener::Internal,
        "/_matrix/identity/internal/unbind",
        THREEPID,
    ),
];

pub const GETS: [(Listener, &str, &[&str]); 10] = [
    (
        Listener::Client,
        "/_matrix/identity/api/v1/lookup",
        &["medium", "address"],
    ),
    (
        Listener::Internal,
        "/_matrix/identity/internal/lookup",
        &["medium", "address"],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/3pid/getValidated3pid",
        &["sid", "client_secret"],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/pubkey/isvalid",
        &["public_key"],
    ),
    (
        Listener::Client,
        "/_matrix/identity/v2/pubkey/isvalid",
        &["public_key"],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/pubkey/ephemeral/isvalid",
        &["public_key"],
    ),
    (
        Listener::Client,
        "/_matrix/identity/v2/pubkey/ephemeral/isvalid",
        &["public_key"],
    ),
    (
        Listener::Client,
        "/_matrix/identity/api/v1/validate/email/submitToken",
        SUBMIT,
    ),
    (
        Listener::Client,
        "/_matrix/identity/v2/validate/email/submitToken",
        SUBMIT,
    ),
    (
        Listener::Client,
        "/_matrix/identity/v2/validate/msisdn/submitToken",
        SUBMIT,
    ),
];
const SUBMIT: &[&str] = &["sid", "client_secret", "token", "brand"];
