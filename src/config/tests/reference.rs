//! `config/default.toml` against the types.

use toml::Table;

use super::read;
use crate::config::reference::{DEFAULT_TOML, uncommented};
use crate::config::*;

fn keys(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in table {
        match value.as_table() {
            Some(section) => {
                found.extend(keys(section).iter().map(|key| format!("{name}.{key}")));
            }
            None => found.push(name.clone()),
        }
    }
    found
}

#[test]
fn manual_states_the_defaults() {
    let documented = Table::try_from(read(DEFAULT_TOML)).unwrap();
    assert_eq!(documented, Table::try_from(Settings::default()).unwrap());
}

#[test]
fn manual_lists_exactly_the_existing_settings() {
    let documented = Table::try_from(read(&uncommented())).unwrap();
    assert_eq!(keys(&documented), keys(&Table::try_from(filled()).unwrap()));
}

fn replication() -> ReplicationSettings {
    let peer = PeerSettings {
        url: Some("a".to_owned()),
        public_key: Some("a".to_owned()),
        ca_file: Some("a".into()),
    };
    ReplicationSettings {
        certificate: Some("a".into()),
        private_key: Some("a".into()),
        client_ca: Some("a".into()),
        peers: [("other.example.org".to_owned(), peer)].into(),
        ..ReplicationSettings::default()
    }
}

fn sms() -> SmsSettings {
    let text = || "a".to_owned();
    let secret = || Some(Secret::from(text()));
    let provider = ProviderSettings {
        kind: Some(ProviderKind::Gateway),
        url: Some(text()),
        username: Some(text()),
        password: secret(),
        password_file: Some("a".into()),
        ca_file: Some("a".into()),
        messaging_service: Some(text()),
        headers: [("x".to_owned(), Secret::from(text()))].into(),
        body: Some(text()),
        dir: Some("a".into()),
        ..ProviderSettings::default()
    };
    let by_code = |value: &str| [("default".to_owned(), vec![value.to_owned()])].into();
    SmsSettings {
        providers: [("example".to_owned(), provider)].into(),
        routes: by_code("example"),
        originators: by_code("alpha:Example"),
        rules: [("default".to_owned(), Rule::Allow)].into(),
        ..SmsSettings::default()
    }
}

/// Settings in which every field is set: a new field does not compile here until it is
/// added, and then `config/default.toml` must contain it.
fn filled() -> Settings {
    let some_text = || Some("a".to_owned());
    Settings {
        server: ServerSettings {
            aliases: Vec::new(),
            strict_permissions: false,
            name: "a".parse().ok(),
            public_base_url: some_text(),
            allow_plain_http: true,
            signing_key_file: Some("a".into()),
        },
        database: DatabaseSettings {
            url: Some(SecretUrl::from("a".to_owned())),
            url_file: Some("a".into()),
            replica_url: Some(SecretUrl::from("a".to_owned())),
            replica_url_file: Some("a".into()),
            ..DatabaseSettings::default()
        },
        templates: TemplateSettings {
            brands_dir: Some("a".into()),
            default_brand: some_text(),
            verification_mail: Some("a".into()),
            invitation_mail: Some("a".into()),
            verify_response: Some("a".into()),
        },
        terms: TermSettings {
            file: Some("a".into()),
        },
        email: EmailSettings {
            from: some_text(),
            smtp: SmtpSettings {
                port: Some(1),
                username: some_text(),
                password: Some(Secret::from("a".to_owned())),
                password_file: Some("a".into()),
                ca_file: Some("a".into()),
                hello_name: some_text(),
                ..SmtpSettings::default()
            },
            ..EmailSettings::default()
        },
        sms: sms(),
        federation: FederationSettings {
            ca_file: Some("a".into()),
            proxy: Some(SecretUrl::from("a".to_owned())),
            ..FederationSettings::default()
        },
        replication: replication(),
        v1: V1Settings {
            secret: Some(Secret::from("a".to_owned())),
            secret_file: Some("a".into()),
            ..V1Settings::default()
        },
        ..Settings::default()
    }
}
