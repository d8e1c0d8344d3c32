//! Sydent's defaults.

/// Section, key in lower case, and value of each setting that has a default.
pub(super) const DEFAULTS: &[(&str, &str, &str)] = &[
    ("general", "server.name", ""),
    ("general", "log.path", ""),
    ("general", "log.level", "INFO"),
    ("general", "pidfile.path", "sydent.pid"),
    ("general", "terms.path", ""),
    ("general", "address_lookup_limit", "10000"),
    ("general", "templates.path", "res"),
    ("general", "brand.default", "matrix-org"),
    ("general", "enable_v1_associations", "true"),
    ("general", "delete_tokens_on_bind", "true"),
    ("general", "ip.blacklist", ""),
    ("general", "ip.whitelist", ""),
    ("general", "homeserver_allow_list", ""),
    ("general", "enable_v1_access", "true"),
    ("db", "db.file", "sydent.db"),
    ("http", "clientapi.http.bind_address", "::"),
    ("http", "clientapi.http.port", "8090"),
    ("http", "internalapi.http.bind_address", "::1"),
    ("http", "internalapi.http.port", ""),
    ("http", "replication.https.certfile", ""),
    ("http", "replication.https.cacert", ""),
    ("http", "replication.https.bind_address", "::"),
    ("http", "replication.https.port", "4434"),
    ("http", "obey_x_forwarded_for", "False"),
    ("http", "federation.verifycerts", "True"),
    ("http", "client_http_base", ""),
    (
        "email",
        "email.from",
        "Sydent Validation <noreply@{hostname}>",
    ),
    ("email", "email.subject", "Your Validation Token"),
    (
        "email",
        "email.invite.subject",
        "%(sender_display_name)s has invited you to chat",
    ),
    (
        "email",
        "email.invite.subject_space",
        "%(sender_display_name)s has invited you to a space",
    ),
    ("email", "email.smtphost", "localhost"),
    ("email", "email.smtpport", "25"),
    ("email", "email.smtpusername", ""),
    ("email", "email.smtppassword", ""),
    ("email", "email.hostname", ""),
    ("email", "email.tlsmode", "0"),
    (
        "email",
        "email.default_web_client_location",
        "https://app.element.io",
    ),
    (
        "email",
        "email.third_party_invite_username_obfuscate_characters",
        "3",
    ),
    (
        "email",
        "email.third_party_invite_domain_obfuscate_characters",
        "3",
    ),
    ("sms", "bodytemplate", "Your code is {token}"),
    ("sms", "username", ""),
    ("sms", "password", ""),
    ("crypto", "ed25519.signingkey", ""),
];

/// The environment variables that replace defaults: variable, section, key.
pub(super) const VARIABLES: &[(&str, &str, &str)] = &[
    ("SYDENT_SERVER_NAME", "general", "server.name"),
    ("SYDENT_PID_FILE", "general", "pidfile.path"),
    ("SYDENT_DB_PATH", "db", "db.file"),
];
