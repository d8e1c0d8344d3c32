//! Whole configurations, from text to [`Config`](super::Config).

mod mesh;
mod reference;
mod refusals;

use std::fs;
use std::iter;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn read(text: &str) -> Settings {
    Settings::parse(Some((Path::new("a.toml"), text)), iter::empty()).unwrap()
}

/// A folder with a key file, and the minimum of a configuration.
struct Folder(TempDir);

const LEAST: &str = "server.name = 'example.org'\n\
    server.public_base_url = 'https://id.example.org'\n\
    server.signing_key_file = 'signing.key'\n\
    database.url = 'sqlite:sydent.db'\n";

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = "ed25519 a_Xy12 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1\n";
        fs::write(folder.path().join("signing.key"), key).unwrap();
        Self(folder)
    }

    fn load(&self, text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let file = self.0.path().join("sydent.toml");
        fs::write(&file, text).unwrap();
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let loaded = Settings::load(Some(&file), variables.into_iter());
        let inside = format!("{}/", self.0.path().display());
        loaded
            .and_then(Settings::into_config)
            .map_err(|Problems(problems)| {
                problems
                    .iter()
                    .map(|problem| problem.to_string().replace(&inside, ""))
                    .collect()
            })
    }
}

#[test]
fn writers_of_zero_fit_the_machine() {
    let folder = Folder::new();
    let writers = |more: &str| {
        let config = folder.load(&format!("{LEAST}{more}"), &[]).unwrap();
        config.database.writers
    };
    assert!((4..=8).contains(&writers("")));
    assert_eq!(writers("database.writers = 0"), writers(""));
    assert_eq!(writers("database.writers = 3"), 3);
}

#[test]
fn minimal_configuration_is_accepted() {
    let folder = Folder::new();
    let config = folder.load(LEAST, &[]).unwrap();
    assert_eq!(
        config.server.public_base_url.as_str(),
        "https://id.example.org"
    );
    assert_eq!(
        config.server.signing_key_file,
        folder.0.path().join("signing.key")
    );
    assert_eq!(
        config.database.url,
        DatabaseUrl::Sqlite(folder.0.path().join("sydent.db"))
    );
    assert!(matches!(config.email.transport, MailTransport::None));
    assert_eq!(config.http, HttpSettings::default());
}

#[test]
fn all_problems_are_reported_at_once() {
    let folder = Folder::new();
    let text = "[server]\n\
        nmae = 'example.org'\n\
        public_base_url = 'http://id.example.org'\n\
        signing_key_file = 'none.key'\n\
        [http]\n\
        listen = ['[::]:8090',\n\
        'nonsense',\n\
        '1.2.3.4:5',\n\
        'more']\n\
        workers = -1\n\
        [emial.smtp]\n\
        host = 'a'\n\
        [email.smtp]\n\
        port = 70000\n\
        timeout = 30\n\
        [log]\n\
        level = 'loud'\n";
    let variables = [
        ("SYDENT__DATABASE__URL", "hunter2"),
        ("SYDENT__EMAIL__SMTP__PRT", "25"),
        ("SYDENT__V1__ENABLED", "maybe"),
        ("SYDENT__SYDENT__SERVER__NAME", "example.org"),
    ];
    let found = folder.load(text, &variables).unwrap_err();
    let expected = [
        "sydent.toml:1: server.name: is missing",
        "sydent.toml:2: server.nmae: is not a setting; did you mean server.name?",
        "sydent.toml:3: server.public_base_url: must start with https://",
        "sydent.toml:4: server.signing_key_file: cannot read none.key: the file does not exist",
        "sydent.toml:7: http.listen[1]: must be an IP address and a port",
        "sydent.toml:9: http.listen[3]: must be an IP address and a port",
        "sydent.toml:10: http.workers: must be a whole number, not negative",
        "sydent.toml:11: emial: is not a setting; did you mean email?",
        "sydent.toml:14: email.smtp.port: must be a whole number from 1 to 65535",
        "sydent.toml:15: email.smtp.timeout: must be a time with a unit",
        "sydent.toml:17: log.level: must be one of \"error\", \"warn\"",
        "SYDENT__DATABASE__URL: must start with sqlite: or postgres://",
        "SYDENT__EMAIL__SMTP__PRT: is not a setting; did you mean SYDENT__EMAIL__SMTP__PORT?",
        "SYDENT__SYDENT__SERVER__NAME: is not a setting; did you mean SYDENT__SERVER__NAME?",
        "SYDENT__V1__ENABLED: must be true or false",
    ];
    let shown = found.join("\n");
    assert_eq!(found.len(), expected.len(), "{shown}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{expected} is not in\n{shown}");
    }
    assert!(!shown.contains("hunter2"));
}

#[test]
fn smtp_settings_are_loaded_completely() {
    let folder = Folder::new();
    fs::write(folder.0.path().join("password"), "correct horse \n").unwrap();
    let ca = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    fs::write(folder.0.path().join("ca.pem"), ca.cert.pem()).unwrap();
    let text = format!(
        "{LEAST}[email]\nfrom = 'Ids <a@b.example>'\ntransport = 'smtp'\n[email.smtp]\n\
         host = 'mail.example'\nencryption = 'tls'\nusername = 'u'\npassword_file = 'password'\n\
         ca_file = 'ca.pem'\n"
    );
    let variables = [
        ("SYDENT__EMAIL__SMTP__HOST", "other.example"),
        ("SYDENT__EMAIL__SMTP__USERNAME", "12"),
        ("SYDENT__HTTP__LISTEN", "['127.0.0.1:0']"),
        ("SYDENT__V1__ENABLED", "false"),
    ];
    let config = folder.load(&text, &variables).unwrap();
    let MailTransport::Smtp(smtp) = &config.email.transport else {
        panic!("the transport is smtp");
    };
    let login = smtp.credentials.as_ref().unwrap();
    assert_eq!((smtp.host.as_str(), smtp.port), ("other.example", 465));
    assert_eq!(
        (login.username.as_str(), login.password.expose()),
        ("12", "correct horse ")
    );
    assert_eq!(smtp.extra_authorities, [ca.cert.der().clone()]);
    assert_eq!(smtp.hello_name.to_string(), "example.org");
    assert_eq!(config.http.listen, ["127.0.0.1:0".parse().unwrap()]);
    assert!(!config.v1.enabled);
    assert!(!format!("{config:?}").contains("correct horse"));
}

#[test]
fn warnings_do_not_prevent_startup() {
    let folder = Folder::new();
    let text =
        format!("{LEAST}server.allow_plain_http = true\nhttp.trusted_proxies = ['0.0.0.0/0']\n");
    let text = text.replace("https://", "http://");
    let config = folder.load(&text, &[]).unwrap();
    let warned: Vec<&str> = config
        .warnings
        .iter()
        .map(|warning| warning.key.as_str())
        .collect();
    for key in [
        "server.public_base_url",
        "http.trusted_proxies",
        "email.transport",
    ] {
        assert!(warned.contains(&key), "{warned:?}");
    }
}

/// OPS-04
#[test]
fn https_without_a_trusted_proxy_is_warned_about() {
    let folder = Folder::new();
    let warned = |more: &str| {
        let config = folder.load(&format!("{LEAST}{more}"), &[]).unwrap();
        let mut warnings = config.warnings.iter();
        warnings.any(|warning| warning.key == "http.trusted_proxies")
    };
    assert!(warned(""));
    assert!(!warned("http.trusted_proxies = ['127.0.0.1', '::1']"));
}

#[cfg(unix)]
#[test]
fn world_readable_key_file_causes_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        let key = folder.0.path().join("signing.key");
        fs::set_permissions(key, fs::Permissions::from_mode(mode)).unwrap();
        let config = folder.load(LEAST, &[]).unwrap();
        let about_key = config
            .warnings
            .iter()
            .any(|warning| warning.key == "server.signing_key_file");
        assert_eq!(about_key, warned, "{mode:o}");
    }
}

#[cfg(unix)]
#[test]
fn world_readable_database_causes_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let file = folder.0.path().join("sydent.db");
    fs::write(&file, "").unwrap();
    for (mode, warned) in [(0o600, false), (0o644, true)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let config = folder.load(LEAST, &[]).unwrap();
        let mut warnings = config.warnings.iter();
        let about_it = warnings.any(|warning| warning.key == "database.url");
        assert_eq!(about_it, warned, "{mode:o}");
    }
}

/// Every file with a secret, and the setting that names it or contains it.
#[cfg(unix)]
#[test]
fn strict_permissions_refuse_readable_secrets() {
    use std::os::unix::fs::PermissionsExt;
    const PASSWORDS: &str = "email.smtp.username = 'u'\nemail.smtp.password_file = 'smtp'\n\
        email.transport = 'smtp'\nemail.from = 'a@example.org'\nv1.secret_file = 'v1'\n";
    let strict = "server.strict_permissions = true\n";
    for (file, more, key) in [
        ("signing.key", "", "server.signing_key_file"),
        ("sydent.db", "", "database.url"),
        ("smtp", PASSWORDS, "email.smtp.password_file"),
        ("v1", PASSWORDS, "v1.secret_file"),
        (
            "sydent.toml",
            "v1.secret = '0123456789abcdef'\n",
            "v1.secret",
        ),
    ] {
        let folder = Folder::new();
        for (name, text) in [
            ("smtp", "pw"),
            ("v1", "0123456789abcdef"),
            ("sydent.db", ""),
        ] {
            fs::write(folder.0.path().join(name), text).unwrap();
        }
        let set = |mode: u32, name: &str| {
            let path = folder.0.path().join(name);
            if !path.exists() {
                fs::write(&path, "").unwrap();
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for name in ["signing.key", "sydent.db", "smtp", "v1", "sydent.toml"] {
            set(0o600, name);
        }
        let lenient = format!("{LEAST}{more}");
        let strict = format!("{strict}{lenient}");
        assert!(folder.load(&strict, &[]).is_ok(), "{key}");
        set(0o644, file);
        let config = folder.load(&lenient, &[]).unwrap();
        assert!(config.warnings.iter().any(|it| it.key == key), "{key}");
        let problems = folder.load(&strict, &[]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(key), "{problems:?}");
        assert!(problems[0].contains("chmod 600"), "{problems:?}");
    }
}

#[test]
fn settings_are_shown_without_secrets() {
    let text = "database.url = 'postgres://id:hunter2@db/x'\nemail.smtp.password = 'hunter2'\n";
    let settings = read(text);
    let shown = format!("{}{settings:?}", toml::to_string(&settings).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("postgres://id:[secret]@db/x"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parse_never_panics_and_errors_have_problems(
        text in "([a-z\\[\\]._='\"\n 0-9{},#-]|http|listen|email|smtp|true){0,60}",
        name in "(A|EMAIL|SMTP|HTTP|LISTEN|PORT|V1|ENABLED|__|_|\\.|\\[0\\]|é){0,5}",
        value in "([\\[\\]{}='\", \n0-9]|true|enabled|a|\\PC){0,12}",
    ) {
        let variables = [(format!("SYDENT__{name}"), value)];
        let loaded = Settings::parse(Some((Path::new("a.toml"), &text)), variables.into_iter());
        if let Err(problems) = loaded {
            prop_assert!(!problems.0.is_empty());
        }
    }
}
