//! Conversion of single settings.

use super::{Case, setting, with};

/// OPS-07
#[test]
fn every_setting_is_converted() {
    let case = Case::new();
    for (text, key, value) in SERVER.iter().chain(MESSAGES) {
        let converted = case.convert(&with(text));
        let toml = converted
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .toml;
        assert_eq!(setting(&toml, key), *value, "{text}: {key}\n{toml}");
    }
}

/// Lines of a `sydent.conf`, a setting of this server, and its value.
type Row = (&'static str, &'static str, &'static str);

const SERVER: &[Row] = &[
    ("", "server/name", "id.example.test"),
    ("", "server/signing_key_file", "sydent.key"),
    ("", "server/public_base_url", "https://id.example.test"),
    (
        "[http]\nclient_http_base = https://a.test/\n",
        "server/public_base_url",
        "https://a.test",
    ),
    (
        "[http]\nclient_http_base = a.test/x\n",
        "server/public_base_url",
        "https://a.test/x",
    ),
    (
        "[http]\nclient_http_base = http://a.test\n",
        "server/allow_plain_http",
        "true",
    ),
    (
        "[http]\nclient_http_base = ?\n",
        "server/public_base_url",
        "https://id.example.test",
    ),
    ("", "http/listen", "[\"[::]:8090\"]"),
    (
        "[http]\nclientapi.http.bind_address =\nclientapi.http.port = 80_80\n",
        "http/listen",
        "[\"0.0.0.0:8080\"]",
    ),
    ("", "http/trusted_proxies", "[]"),
    (
        "[http]\nobey_x_forwarded_for = on\n",
        "http/trusted_proxies",
        "[\"127.0.0.0/8\", \"::1/128\"]",
    ),
    ("", "internal/listen", "[]"),
    (
        "[http]\ninternalapi.http.port = 1\n",
        "internal/listen",
        "[\"[::1]:1\"]",
    ),
    (
        "[http]\ninternalapi.http.port = 1\ninternalapi.http.bind_address = 0.0.0.0\n",
        "internal/allow_non_loopback",
        "true",
    ),
    (
        "[general]\nprometheus_port = 1\nprometheus_addr =\n",
        "operations/listen",
        "[\"0.0.0.0:1\"]",
    ),
    ("[general]\nprometheus_port = 1\n", "operations", "false"),
    ("", "v1/enabled", "true"),
    (
        "[general]\nenable_v1_access = FALSE\n",
        "v1/enabled",
        "false",
    ),
    ("[general]\nenable_v1_access = yes\n", "v1/enabled", "false"),
    (
        "[general]\nenable_v1_associations = false\n",
        "v1/bind",
        "false",
    ),
    (
        "[general]\naddress_lookup_limit = 7\n",
        "lookup/max_addresses",
        "7",
    ),
    (
        "[general]\naddress_lookup_limit = 1000000\n",
        "lookup/max_addresses",
        "100000",
    ),
    ("[general]\nlog.level = WARNING\n", "log/level", "warn"),
    (
        "[general]\ndelete_tokens_on_bind = false\n",
        "invites/keep_delivered",
        "true",
    ),
    ("", "invites/keep_delivered", "false"),
    (
        "[general]\nenable_v1_access = false\nhomeserver_allow_list = a.test, b.test:8448\n",
        "federation/allow_homeservers",
        "[\"a.test\", \"b.test:8448\"]",
    ),
    (
        "[general]\nip.whitelist = 10.0.0.0/8,::1\n",
        "federation/allow_ranges",
        "[\"10.0.0.0/8\", \"::1/128\"]",
    ),
    (
        "[general]\nip.blacklist = 10.0.0.0/8\nip.whitelist = 10.0.0.0/9\n",
        "federation/block_ranges",
        "[\"10.128.0.0/9\"]",
    ),
    (
        "[http]\nfederation.verifycerts = 0\n",
        "federation/verify_certificates",
        "false",
    ),
];

const MESSAGES: &[Row] = &[
    ("", "email/transport", "smtp"),
    (
        "",
        "email/from",
        "Sydent Validation <noreply@id.example.test>",
    ),
    (
        "[email]\nemail.hostname = mx.test\n",
        "email/from",
        "Sydent Validation <noreply@mx.test>",
    ),
    (
        "[email]\nemail.hostname = mx.test\n",
        "email/smtp/hello_name",
        "mx.test",
    ),
    ("", "email/smtp/host", "localhost"),
    ("", "email/smtp/port", "25"),
    ("", "email/smtp/encryption", "none"),
    (
        "[email]\nemail.tlsmode = SSL\n",
        "email/smtp/encryption",
        "tls",
    ),
    (
        "[email]\nemail.tlsmode = TLS\n",
        "email/smtp/encryption",
        "tls",
    ),
    (
        "[email]\nemail.tlsmode = STARTTLS\n",
        "email/smtp/encryption",
        "starttls",
    ),
    (
        "[email]\nemail.smtphost = mx.test\nemail.smtpusername = a\nemail.smtppassword = 5%%\n",
        "email/smtp/encryption",
        "starttls",
    ),
    (
        "[email]\nemail.smtpusername = a\nemail.smtppassword = 5%%\n",
        "email/smtp/password",
        "5%",
    ),
    (
        "[email]\nemail.smtpusername = a\n",
        "email/smtp/username",
        "false",
    ),
    (
        "",
        "invites/subject_room",
        "{{ sender_display_name }} has invited you to chat",
    ),
    (
        "",
        "invites/subject_space",
        "{{ sender_display_name }} has invited you to a space",
    ),
    (
        "[email]\nemail.third_party_invite_domain_obfuscate_characters = 9\n",
        "invites/show_domain",
        "9",
    ),
    (
        "[email]\nemail.third_party_invite_username_obfuscate_characters = -1\n",
        "invites/show_local_part",
        "0",
    ),
    (
        "[email]\nemail.default_web_client_location = https://c.test\n",
        "invites/web_client",
        "https://c.test",
    ),
    (
        "[email]\nemail.default_web_client_location = c.test\n",
        "invites/web_client",
        "false",
    ),
    (
        "[email]\nemail.third_party_invite_homeserver_blocklist =\n a.test\n *.b\n",
        "invites/blocked_homeservers",
        "[\"a.test\"]",
    ),
    (
        "[email]\nemail.third_party_invite_room_blocklist =\n !a:b.test\n",
        "invites/blocked_rooms",
        "[\"!a:b.test\"]",
    ),
    (
        "[email]\nemail.third_party_invite_keyword_blocklist =\n Tea\n\n Free money\n",
        "invites/blocked_keywords",
        "[\"Tea\", \"Free money\"]",
    ),
    ("", "limits/invites_per_sender/every", "5m"),
    (
        "[email]\nemail.ratelimit_sender.burst = 9\nemail.ratelimit_sender.rate_hz = 0.5\n",
        "limits/invites_per_sender/every",
        "2s",
    ),
    ("", "sms/body", "Your code is {token}"),
    (
        "[sms]\nbodyTemplate = {{{token}}}\n",
        "sms/body",
        "{{token}}",
    ),
    ("", "sms/providers", "false"),
    (
        "[sms]\nusername = a\npassword = b\n",
        "sms/providers/openmarket/kind",
        "openmarket",
    ),
    ("", "sms/originators/default", "[\"alpha:Matrix\"]"),
    (
        "[sms]\noriginators.44 = long:447700900000, alpha:A\n",
        "sms/originators/44",
        "[\"long:447700900000\", \"alpha:A\"]",
    ),
    ("[sms]\nsmsrule.44 = reject\n", "sms/rules/44", "reject"),
    (
        "[sms]\nmsisdn.ratelimit.burst = 9\n",
        "limits/sms_per_number/burst",
        "9",
    ),
    (
        "[sms]\ncountry.ratelimit.rate_hz = 2\n",
        "limits/sms_per_calling_code/every",
        "500ms",
    ),
];

/// OPS-07
#[test]
fn invalid_or_unsupported_settings_are_rejected() {
    for (text, expected) in [
        ("[general]\nserver.name = again\n", "repeats an earlier key"),
        (
            "[http]\nclientapi.http.port = x\n",
            "[http] clientapi.http.port must be a whole number",
        ),
        (
            "[http]\nclientapi.http.bind_address = id.test\n",
            "must be an IP address",
        ),
        (
            "[http]\nobey_x_forwarded_for = maybe\n",
            "must be true or false",
        ),
        (
            "[general]\nhomeserver_allow_list = a.test\n",
            "requires enable_v1_access = false",
        ),
        (
            "[general]\nenable_v1_access = x\nhomeserver_allow_list = https://a.test\n",
            "nobody could register",
        ),
        ("[general]\nip.blacklist = somewhere\n", "must be networks"),
        ("[general]\nlog.level = LOUD\n", "must be DEBUG"),
        ("[general]\nterms.path = none.yaml\n", "terms.file"),
        ("[email]\nemail.from = nobody\n", "must be an email address"),
        (
            "[email]\nemail.smtppassword = 5%\n",
            "[email] email.smtppassword has a %",
        ),
        (
            "[email]\nemail.ratelimit_sender.rate_hz = 0\n",
            "must be a number above 0",
        ),
        ("[sms]\nsmsrule.44 = deny\n", "must be allow or reject"),
        ("[sms]\noriginators.44 = fax:1\n", "has no valid sender"),
        (
            "[crypto]\ned25519.signingkey = x\n",
            "[crypto] ed25519.signingkey",
        ),
        (
            "[crypto]\ned25519.signingkey =\n",
            "never started with this file",
        ),
    ] {
        let Err(error) = Case::new().convert(&with(text)) else {
            panic!("{text} is accepted");
        };
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}
