//! Conversion of whole files.

mod settings;

use std::fmt::Write as _;
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::config::Settings;

const KEY: &str = "ed25519 0 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

struct Case {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    default_section: DefaultSection,
    server_name: Option<ServerName>,
    peers: Vec<Peer>,
}

impl Case {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
            default_section: DefaultSection::Hidden,
            server_name: None,
            peers: Vec::new(),
        }
    }

    fn convert(&self, text: &str) -> Result<Converted, ConfError> {
        let context = ConversionContext {
            environment: &self.environment,
            folder: self.folder.path(),
            default_section: self.default_section,
        };
        let conf = SydentConf::parse(text, context)?;
        conf.convert(&Target {
            server_name: self.server_name.as_ref(),
            file: &self.folder.path().join("sydent.toml"),
            key_file: "sydent.key",
            database: "sqlite:sydent.sqlite",
            peers: &self.peers,
        })
    }
}

/// A minimal file with the sections and lines of `more` added.
fn with(more: &str) -> String {
    let [mut general, mut crypto] = ["server.name = id.example.test\n".to_owned(), String::new()];
    let mut others = String::new();
    for part in more.split("\n[") {
        let part = part.trim_start_matches('[');
        match part.split_once("]\n") {
            Some(("general", lines)) => general.push_str(lines),
            Some(("crypto", lines)) => crypto.push_str(lines),
            _ if part.is_empty() => {}
            _ => writeln!(others, "[{part}").unwrap(),
        }
        general.push('\n');
    }
    if crypto.is_empty() {
        crypto = format!("ed25519.signingkey = {KEY}\n");
    }
    format!("[general]\n{general}{others}\n[crypto]\n{crypto}")
}

/// A setting of the result as TOML, but a text without quotes.
fn setting(toml: &str, key: &str) -> String {
    let mut value = &toml::Value::Table(toml.parse().unwrap());
    let nothing = toml::Value::Boolean(false);
    for name in key.split('/') {
        value = value.get(name).unwrap_or(&nothing);
    }
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// OPS-07
#[test]
fn settings_without_counterpart_are_listed() {
    let text = with(
        "[general]\npidfile.path = a\nlog.path = b\nsentry_dsn = https://secret@c\nodd = d\n\
         [email]\nemail.subject = e\n[sms]\nsmsrule.default = reject\noriginators.0 = alpha:A\n\
         username = f\n[peer.other.test]\nbase_replication_url = https://g\n[strange]\nx = y\n",
    );
    let converted = Case::new().convert(&text).unwrap();
    let keys: Vec<_> = converted
        .without_counterpart
        .iter()
        .map(|(key, _)| key.as_str())
        .collect();
    assert_eq!(
        keys,
        [
            "[email] email.subject",
            "[general] log.path",
            "[general] odd",
            "[general] pidfile.path",
            "[general] sentry_dsn",
            "[peer.other.test] base_replication_url",
            "[sms] originators.0",
            "[sms] smsrule.default",
            "[sms] username",
            "[strange] x",
        ]
    );
    for key in keys {
        assert!(converted.toml.contains(&format!("# - {key}: ")), "{key}");
    }
    assert!(!converted.toml.contains("secret@c"));
}

/// OPS-07
#[test]
fn default_section_counts_as_in_sydent() {
    let text = format!(
        "[DEFAULT]\nserver.name = shared.test\nlog.level = INFO\nprometheus_port = 1\n\
         prometheus_addr = ::1\nbase = /srv\nunheard = of\n[general]\n[db]\ndb.file = %(base)s/x.db\n\
         [crypto]\ned25519.signingkey = {KEY}\n"
    );
    let mut case = Case::new();
    let error = case.convert(&text).err().unwrap();
    assert!(error.problem.contains("--server-name"), "{error}");
    let variable = ("SYDENT_SERVER_NAME".to_owned(), "variable.test".to_owned());
    case.environment = vec![variable];
    let converted = case.convert(&text).unwrap();
    assert_eq!(converted.server_name.as_str(), "variable.test");
    assert!(
        converted
            .toml
            .contains("# SYDENT_SERVER_NAME\nname = \"variable.test\"\n")
    );
    assert_eq!(
        setting(&converted.toml, "operations/listen"),
        "[\"[::1]:1\"]"
    );
    let keys: Vec<_> = converted
        .without_counterpart
        .iter()
        .map(|(key, _)| key.as_str())
        .collect();
    assert_eq!(keys, ["[DEFAULT] server.name", "[DEFAULT] unheard"]);
    case.default_section = DefaultSection::Counts;
    let converted = case.convert(&text).unwrap();
    assert_eq!(converted.server_name.as_str(), "shared.test");
    case.server_name = Some(ServerName::parse("flag.test").unwrap());
    let converted = case.convert(&text).unwrap();
    assert_eq!(converted.server_name.as_str(), "flag.test");
    let remark = &converted.remarks[0];
    assert!(
        remark.contains("flag.test") && remark.contains("shared.test"),
        "{remark}"
    );
}

/// OPS-07
#[test]
fn default_section_counts_unless_hidden() {
    let old = format!(
        "[DEFAULT]\nserver.name = shared.test\nenable_v1_access = false\n\
         email.smtphost = relay.test\ned25519.signingkey = {KEY}\n[general]\n"
    );
    let mut case = Case::new();
    case.default_section = DefaultSection::Unspecified;
    // Written by a release that knows only [DEFAULT].
    let converted = case.convert(&old).unwrap();
    assert_eq!(setting(&converted.toml, "v1/enabled"), "false");
    assert_eq!(setting(&converted.toml, "email/smtp/host"), "relay.test");
    assert!(!converted.remarks.iter().any(|it| it.contains("[DEFAULT]")));

    let harmless = format!("[DEFAULT]\nlog.level = DEBUG\n{}", with(""));
    let converted = case.convert(&harmless).unwrap();
    assert_eq!(setting(&converted.toml, "log/level"), "debug");
    assert!(converted.remarks.iter().any(|it| it.contains("log.level")));
    let same = format!("[DEFAULT]\nenable_v1_access = true\n{}", with(""));
    assert!(case.convert(&same).is_ok());

    for line in [
        "enable_v1_access = false",
        "homeserver_allow_list = a.test",
        "email.smtphost = relay.test",
        "email.tlsmode = STARTTLS",
        "internalapi.http.port = 8091",
        "ip.whitelist = 10.0.0.0/8",
    ] {
        let text = format!("[DEFAULT]\n{line}\n{}", with(""));
        case.default_section = DefaultSection::Unspecified;
        let error = case.convert(&text).err().unwrap();
        let (key, _) = line.split_once(' ').unwrap();
        assert!(error.problem.contains(key), "{error}");
        assert!(error.problem.contains("--no-default-section"), "{error}");
        case.default_section = DefaultSection::Hidden;
        assert!(case.convert(&text).is_ok(), "{line}");
    }
}

/// OPS-07
#[test]
fn templates_are_used_in_place() {
    let case = Case::new();
    let folder = case.folder.path();
    let mail = "From: {{ from }}\nTo: {{ to }}\nSubject: x\n\n{{ link }}\n";
    fs::create_dir_all(folder.join("res/house")).unwrap();
    fs::write(folder.join("res/house/verification_template.eml.j2"), mail).unwrap();
    fs::write(
        folder.join("old.eml"),
        "To: %(to)s\nSubject: x\n\n%(link)s\n",
    )
    .unwrap();
    let text = with(
        "[general]\nbrand.default = house\n[email]\nemail.template = old.eml\n\
         email.invite_template = none.eml\n",
    );
    let toml = case.convert(&text).unwrap().toml;
    let dir = folder.join("res").display().to_string();
    assert_eq!(setting(&toml, "templates/brands_dir"), dir);
    assert_eq!(setting(&toml, "templates/default_brand"), "house");
    let file = folder.join("old.eml").display().to_string();
    assert_eq!(setting(&toml, "templates/verification_mail"), file);
    assert_eq!(setting(&toml, "templates/invitation_mail"), "false");
    assert!(toml.contains("none.eml"), "{toml}");
    let toml = case.convert(&with("")).unwrap().toml;
    assert_eq!(setting(&toml, "templates/default_brand"), "false");
    fs::write(
        folder.join("res/house/verification_template.eml.j2"),
        "{{ broken",
    )
    .unwrap();
    let text = with("[general]\nbrand.default = house\n");
    let converted = case.convert(&text).unwrap();
    assert_eq!(setting(&converted.toml, "templates"), "false");
    let remarks = converted.remarks.join("\n");
    assert!(remarks.contains("[templates] is left out"), "{remarks}");
}

/// OPS-07
#[test]
fn secrets_are_detected_and_not_reported() {
    let case = Case::new();
    let plain = case.convert(&with("")).unwrap();
    assert!(!plain.is_secret);
    let key = case.convert(&with("[crypto]\ned25519.signingkey = ed25519 0 hunter2\n"));
    assert!(!key.err().unwrap().to_string().contains("hunter2"));
    for text in [
        "[email]\nemail.smtpusername = a\nemail.smtppassword = hunter2\n",
        "[sms]\nusername = a\npassword = hunter2\n",
    ] {
        let converted = case.convert(&with(text)).unwrap();
        assert!(converted.is_secret && converted.toml.contains("hunter2"));
        let messages = format!("{:?}{:?}", converted.remarks, converted.without_counterpart);
        assert!(!messages.contains("hunter2"), "{messages}");
    }
    let seed = KEY.rsplit(' ').next().unwrap();
    assert!(!plain.toml.contains(seed) && plain.signing_key.contains(seed));
}

/// OPS-07
#[test]
fn result_is_a_valid_configuration() {
    let case = Case::new();
    let toml = case.convert(&with("")).unwrap();
    fs::write(
        case.folder.path().join("sydent.key"),
        toml.signing_key.as_str(),
    )
    .unwrap();
    let file = case.folder.path().join("sydent.toml");
    let settings = Settings::parse(Some((&file, &toml.toml)), std::iter::empty()).unwrap();
    assert_eq!(
        settings.into_config().unwrap().server.name.as_str(),
        "id.example.test"
    );
}

/// OPS-07
#[test]
fn missing_trusted_proxies_are_reported() {
    let case = Case::new();
    let local = "clientapi.http.bind_address = ::1\n";
    for (lines, has_remark) in [
        (String::new(), true),
        ("obey_x_forwarded_for = true\n".to_owned(), true),
        (format!("{local}obey_x_forwarded_for = true\n"), false),
        (local.to_owned(), true),
    ] {
        let converted = case.convert(&with(&format!("[http]\n{lines}"))).unwrap();
        let remarks = converted.remarks.join("\n");
        assert_eq!(
            remarks.contains("http.trusted_proxies"),
            has_remark,
            "{lines}"
        );
    }
}

proptest! {
    /// OPS-07
    #[test]
    fn convert_never_panics(
        text in ".{0,40}",
        lines in "(server\\.name|log\\.level|ip\\.blacklist)[ =:%()s]{0,6}.{0,20}",
    ) {
        let case = Case::new();
        let _ = case.convert(&text);
        let _ = case.convert(&with(&format!("[http]\n{lines}\n[email]\n{lines}\n[sms]\n{lines}\n")));
        let _ = case.convert(&format!("[general]\n{lines}\n[crypto]\ned25519.signingkey = {KEY}\n"));
    }
}
