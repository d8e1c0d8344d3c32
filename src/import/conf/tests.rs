//! Whole files, and what becomes of each setting.

use std::fs;

use super::*;
use crate::config::Settings;

const KEY: &str = "ed25519 0 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

struct Case {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    default_section: bool,
    server_name: Option<ServerName>,
    peers: Vec<Peer>,
}

impl Case {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
            default_section: false,
            server_name: None,
            peers: Vec::new(),
        }
    }

    fn convert(&self, text: &str) -> Result<Converted, ConfError> {
        let circumstances = Circumstances {
            environment: &self.environment,
            folder: self.folder.path(),
            default_section: self.default_section,
        };
        let conf = SydentConf::read(text, circumstances)?;
        conf.convert(&Target {
            server_name: self.server_name.as_ref(),
            file: &self.folder.path().join("sydent.toml"),
            key_file: "sydent.key",
            database: "sqlite:sydent.sqlite",
            peers: &self.peers,
        })
    }
}

/// A minimal file and what `more` says besides.
fn with(more: &str) -> String {
    let [mut general, mut crypto] = ["server.name = id.example.test\n".to_owned(), String::new()];
    let mut others = String::new();
    for part in more.split("\n[") {
        let part = part.trim_start_matches('[');
        match part.split_once("]\n") {
            Some(("general", lines)) => general.push_str(lines),
            Some(("crypto", lines)) => crypto.push_str(lines),
            _ if part.is_empty() => {}
            _ => others.push_str(&format!("[{part}\n")),
        }
        general.push('\n');
    }
    if crypto.is_empty() {
        crypto = format!("ed25519.signingkey = {KEY}\n");
    }
    format!("[general]\n{general}{others}\n[crypto]\n{crypto}")
}

/// A setting of the result as it is written, without quotes around a text.
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

#[test]
fn ops_07_each_setting_becomes_ours() {
    for (text, key, value) in [
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
    ] {
        let toml = Case::new()
            .convert(&with(text))
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            setting(&toml.toml, key),
            value,
            "{text}: {key}\n{}",
            toml.toml
        );
    }
}

#[test]
fn ops_07_what_sydent_or_this_server_cannot_do_with_is_refused() {
    for (text, error) in [
        (
            "[general]\nserver.name = again\n",
            "has a key that is there already",
        ),
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
            "needs enable_v1_access = false",
        ),
        (
            "[general]\nenable_v1_access = x\nhomeserver_allow_list = https://a.test\n",
            "nobody could register",
        ),
        ("[general]\nip.blacklist = somewhere\n", "must be networks"),
        ("[general]\nlog.level = LOUD\n", "must be DEBUG"),
        ("[general]\nterms.path = none.yaml\n", "terms.file"),
        ("[email]\nemail.from = nobody\n", "must be the mail address"),
        (
            "[email]\nemail.smtppassword = 5%\n",
            "[email] email.smtppassword has a %",
        ),
        (
            "[email]\nemail.ratelimit_sender.rate_hz = 0\n",
            "must be a number above 0",
        ),
        ("[sms]\nsmsrule.44 = deny\n", "must be allow or reject"),
        ("[sms]\noriginators.44 = fax:1\n", "names no sender"),
        (
            "[crypto]\ned25519.signingkey = x\n",
            "[crypto] ed25519.signingkey",
        ),
        (
            "[crypto]\ned25519.signingkey =\n",
            "no Sydent has run with this file",
        ),
    ] {
        let Err(refusal) = Case::new().convert(&with(text)) else {
            panic!("{text} is taken");
        };
        assert!(refusal.to_string().contains(error), "{text}: {refusal}");
    }
}

#[test]
fn ops_07_what_has_no_counterpart_is_listed() {
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

#[test]
fn ops_07_the_default_section_counts_as_it_does_for_sydent() {
    let text = format!(
        "[DEFAULT]\nserver.name = shared.test\nlog.level = INFO\nprometheus_port = 1\n\
         prometheus_addr = ::1\nbase = /srv\nunheard = of\n[general]\n[db]\ndb.file = %(base)s/x.db\n\
         [crypto]\ned25519.signingkey = {KEY}\n"
    );
    let mut case = Case::new();
    let refusal = case.convert(&text).err().unwrap();
    assert!(refusal.sentence.contains("--server-name"), "{refusal}");
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
    case.default_section = true;
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

#[test]
fn ops_07_templates_are_used_where_they_are() {
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
    let converted = case.convert(&text).unwrap();
    assert_eq!(setting(&converted.toml, "templates"), "false");
    let told = converted.remarks.join("\n");
    assert!(told.contains("[templates] is left out"), "{told}");
}

#[test]
fn ops_07_a_secret_is_known_as_one_and_never_told() {
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
        let told = format!("{:?}{:?}", converted.remarks, converted.without_counterpart);
        assert!(!told.contains("hunter2"), "{told}");
    }
    let seed = KEY.rsplit(' ').next().unwrap();
    assert!(!plain.toml.contains(seed) && plain.signing_key.contains(seed));
}

#[test]
fn ops_07_the_result_is_a_configuration() {
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
