//! The import of a configuration, compared with what Sydent reads from the file.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::harness::sydent_conf::{METRICS, PORTS, import, setting, small};
use crate::harness::{
    Api, CommandOutput, KEY_FILE, SERVER_NAME, TestProcess, V1, V2, fresh_address, mode,
};
use crate::python::{RealSydent, mail_server, sydent_reads};

/// OPS-07
#[actix_web::test]
async fn file_generated_by_sydent_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("sydent.conf");
    let variables = [("SYDENT_SERVER_NAME", SERVER_NAME)];
    let read = sydent_reads(&conf, &variables);
    assert_eq!(read["general"]["server_name"], SERVER_NAME);
    let text = fs::read_to_string(&conf).unwrap();
    let text = text.replace("[http]\n", &format!("[http]\n{PORTS}"));
    let text = text.replace("[general]\n", &format!("[general]\n{METRICS}"));
    fs::write(&conf, text).unwrap();

    let output = CommandOutput::run(folder.path(), "import sydent --conf-only");
    // Sydent 2.6.1 itself overlooks the [DEFAULT] section that it has written.
    assert_eq!(output.code, 0);
    assert!(output.out.contains("sets server.name"), "{}", output.out);
    let hidden = CommandOutput::run(
        folder.path(),
        "import sydent --conf-only --no-default-section --force",
    );
    assert!(hidden.err.contains("--server-name"), "{}", hidden.err);
    let output = import(
        folder.path(),
        "--conf-only --no-default-section --force",
        &variables,
    );
    assert!(output.out.contains("no data"), "{}", output.out);
    assert_eq!(setting(folder.path(), "server/name"), SERVER_NAME);
    assert_eq!(setting(folder.path(), "email/smtp/port"), 25);
    let server = TestProcess::start_in(folder);
    assert_eq!(server.api().get(V2).await.ok(), json!({}));
    assert_eq!(server.operations().get("/ready").await.status, 200);
}

/// OPS-07
#[actix_web::test]
async fn imported_server_replaces_the_old_one() {
    let mut old = RealSydent::start(|conf| {
        let general = conf.get_mut("general").unwrap();
        general.insert("prometheus_addr".to_owned(), "127.0.0.1".to_owned());
        general.insert("prometheus_port".to_owned(), "0".to_owned());
    })
    .await;
    let address = fresh_address("moved");
    let bound = old
        .internal()
        .internal_bind("email", &address, "@moved:hs.test")
        .await;
    assert_eq!(bound.status, 200);
    let answers = async |api: Api| {
        [
            api.lookup("email", &address).await.ok()["mxid"].clone(),
            api.get(&format!("{V1}/pubkey/ed25519:0")).await.ok(),
            api.terms().await.ok()["policies"].clone(),
        ]
    };
    let before = answers(old.api()).await;
    let folder = tempfile::tempdir().unwrap();
    let conf = old.configuration();
    let written = fs::read(&conf).unwrap();
    import(folder.path(), &format!("--conf {}", conf.display()), &[]);
    assert!(fs::read(&conf).unwrap() == written);
    old.stop();
    let new = TestProcess::start_in(folder);
    assert_eq!(format!("http://{}", new.client), old.url());
    let api = new.api();
    assert_eq!(answers(new.api()).await, before);
    let session = api.on(V1).request_token(&address, "secret", 1).await.ok();
    assert!(session["sid"].is_string());
    let mail = mail_server().mail_to(&address).await;
    assert_eq!(mail.header("Subject"), "Is this you?");
}

/// A file with every setting, in the unusual syntax that Python accepts.
fn full(folder: &Path) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    fs::create_dir_all(folder.join("res/house")).unwrap();
    for name in ["verify.eml", "invite.eml"] {
        fs::write(folder.join(name), "To: %(to)s\nSubject: x\n\n%(token)s\n").unwrap();
    }
    fs::write(folder.join("page.html"), "<p>%(message)s</p>").unwrap();
    let terms = "master_version: '3'\ndocs:\n  privacy:\n    version: '1'\n    langs:\n      en: \
        { name: Privacy, url: 'https://old.example.test/privacy' }\n";
    fs::write(folder.join("terms.yaml"), terms).unwrap();
    format!(
        "[DEFAULT]\nbase = {base}\nbroken = 5%\n; a comment\n[general]\nServer.Name : {SERVER_NAME}\n\
         log.level = DEBUG\nlog.path =\npidfile.path = %(base)s/pid\nterms.path = %(base)s/terms.yaml\n\
         address_lookup_limit = 1_0\ntemplates.path = %(base)s/res\nbrand.default = house\n{METRICS}\
         delete_tokens_on_bind = false\nip.blacklist = 10.0.0.0/8, 192.168.0.0/16\n\
         ip.whitelist = 10.1.0.0/16\nhomeserver_allow_list = a.test,  b.test\nenable_v1_access = no\n\
         sentry_dsn = https://x@sentry.test/1\n\
         [db]\ndb.file = %(base)s/sydent.db\n\
         [http]\n{PORTS}obey_x_forwarded_for = yes\nfederation.verifycerts = off\n\
         client_http_base = https://old.example.test\nverify_response_template = {page}\n\
         [email]\nemail.template = {verify}\nemail.invite_template = {invite}\n\
         email.from = Old <noreply@old.example.test>\nemail.invite.subject = %(sender)s: 100%% %(x)s\n\
         email.invite.subject_space: a space\nemail.smtphost = mail.test\nemail.smtpport = 465\n\
         email.smtpusername = old\nemail.smtppassword = p%%(base)s ; # \"\\\nemail.hostname = mx.test\n\
         email.tlsmode = SSL\nemail.default_web_client_location = https://chat.test\n\
         email.third_party_invite_username_obfuscate_characters = 4\n\
         email.third_party_invite_domain_obfuscate_characters = 5\n\
         email.third_party_invite_homeserver_blocklist =\n  # none\n  bad.test\n\n  worse.test\n\
         email.third_party_invite_room_blocklist = !bad:hs.test\n\
         email.third_party_invite_keyword_blocklist =\n    free money\n    tea\n\
         email.ratelimit_sender.burst = 7\nemail.ratelimit_sender.rate_hz = 0.25\n\
         [sms]\nbodyTemplate = Code {{token}}\nusername = om\npassword = secret\n\
         originators.44 = long:447700900000, alpha:Old\noriginators.default = alpha:Old\n\
         smsrule.7 = reject\nsmsrule.44 = allow\nmsisdn.ratelimit.burst = 8\n\
         msisdn.ratelimit.rate_hz = 0.5\ncountry.ratelimit.burst = 9\ncountry.ratelimit.rate_hz = 4\n\
         [crypto]\ned25519.signingkey = {key}\n[peer.other.test]\nbase_replication_url = https://x\n",
        base = folder.display(),
        page = at("page.html"),
        verify = at("verify.eml"),
        invite = at("invite.eml"),
        key = KEY_FILE.trim(),
    )
}

/// Settings of Sydent, and what they are called here.
const SAME: &[(&str, &str)] = &[
    ("general/server_name", "server/name"),
    ("general/address_lookup_limit", "lookup/max_addresses"),
    ("general/enable_v1_access", "v1/enabled"),
    ("general/default_brand", "templates/default_brand"),
    ("general/templates_path", "templates/brands_dir"),
    ("general/terms_path", "terms/file"),
    (
        "general/homeserver_allow_list",
        "federation/allow_homeservers",
    ),
    (
        "http/verify_federation_certs",
        "federation/verify_certificates",
    ),
    ("http/server_http_url_base", "server/public_base_url"),
    ("http/verify_response_template", "templates/verify_response"),
    ("email/template", "templates/verification_mail"),
    ("email/invite_template", "templates/invitation_mail"),
    ("email/sender", "email/from"),
    ("email/smtp_server", "email/smtp/host"),
    ("email/smtp_username", "email/smtp/username"),
    ("email/smtp_password", "email/smtp/password"),
    ("email/host_name", "email/smtp/hello_name"),
    ("email/default_web_client_location", "invites/web_client"),
    (
        "email/username_obfuscate_characters",
        "invites/show_local_part",
    ),
    ("email/domain_obfuscate_characters", "invites/show_domain"),
    (
        "email/third_party_invite_homeserver_blocklist",
        "invites/blocked_homeservers",
    ),
    (
        "email/third_party_invite_room_blocklist",
        "invites/blocked_rooms",
    ),
    (
        "email/third_party_invite_keyword_blocklist",
        "invites/blocked_keywords",
    ),
    (
        "email/email_sender_ratelimit_burst",
        "limits/invites_per_sender/burst",
    ),
    ("sms/body_template", "sms/body"),
    ("sms/api_username", "sms/providers/openmarket/username"),
    ("sms/api_password", "sms/providers/openmarket/password"),
    ("sms/smsRules", "sms/rules"),
    ("sms/msisdn_ratelimit_burst", "limits/sms_per_number/burst"),
    (
        "sms/country_ratelimit_burst",
        "limits/sms_per_calling_code/burst",
    ),
];

/// OPS-07
#[actix_web::test]
async fn imported_values_equal_those_sydent_reads() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("sydent.conf");
    fs::write(&conf, full(folder.path())).unwrap();
    let read = sydent_reads(&conf, &[]);
    let output = import(folder.path(), "--conf-only", &[]);
    for (theirs, ours) in SAME {
        let read = read.pointer(&format!("/{theirs}")).unwrap();
        assert!(!read.is_null(), "{theirs}");
        assert_eq!(&setting(folder.path(), ours), read, "{theirs}");
    }
    for (ours, value) in [
        ("email/smtp/encryption", json!("tls")),
        (
            "invites/subject_room",
            json!("{{ sender }}: 100% {{ x | default(\"\") }}"),
        ),
        ("invites/keep_delivered", json!(true)),
        ("limits/invites_per_sender/every", json!("4s")),
        ("limits/sms_per_number/every", json!("2s")),
        ("limits/sms_per_calling_code/every", json!("250ms")),
        ("federation/allow_ranges", json!(["10.1.0.0/16"])),
        (
            "sms/originators",
            json!({"44": ["long:447700900000", "alpha:Old"], "default": ["alpha:Old"]}),
        ),
        ("log/level", json!("debug")),
    ] {
        assert_eq!(setting(folder.path(), ours), value, "{ours}");
    }
    assert_eq!(mode(&folder.path().join("sydent.toml")), 0o600);
    let key = KEY_FILE.trim().rsplit(' ').next().unwrap();
    for secret in ["(base)s ; #", key, "sentry.test"] {
        assert!(!output.out.contains(secret), "{}", output.out);
    }
    for without in [
        "pidfile.path",
        "sentry_dsn",
        "[DEFAULT] broken",
        "[peer.other.test]",
    ] {
        assert!(output.out.contains(without), "{without}: {}", output.out);
    }

    let server = TestProcess::start_in(folder);
    assert_eq!(server.api().get(V2).await.ok(), json!({}));
    server
        .api()
        .lookup("email", "a@b.test")
        .await
        .refused(403, "M_FORBIDDEN");
    let terms = server.api().terms().await.ok();
    assert_eq!(terms["policies"]["privacy"]["version"], "1");
    let bound = server
        .internal()
        .internal_bind("email", "a@b.test", "@a:b.test")
        .await;
    assert_eq!(bound.status, 200);
}

/// OPS-07
#[test]
fn default_section_is_ignored_as_in_sydent() {
    let folder = small("");
    let conf = folder.path().join("sydent.conf");
    let text = fs::read_to_string(&conf).unwrap();
    let default = "[DEFAULT]\nlog.level = DEBUG\nprometheus_port = 9\nprometheus_addr = ::1\n";
    fs::write(&conf, format!("{default}{text}")).unwrap();
    let read = sydent_reads(&conf, &[]);
    assert_eq!(read["general"]["log_level"], "INFO");
    assert_eq!(read["general"]["prometheus_port"], 9);
    let output = import(folder.path(), "--conf-only --no-default-section", &[]);
    assert!(
        output.out.contains("[DEFAULT] log.level: "),
        "{}",
        output.out
    );
    assert_eq!(setting(folder.path(), "log/level"), "info");
    assert_eq!(setting(folder.path(), "operations/listen")[0], "[::1]:9");
    for flag in ["", "--default-section"] {
        let flags = format!("--conf-only --force {flag}");
        import(folder.path(), flags.trim(), &[]);
        assert_eq!(setting(folder.path(), "log/level"), "debug");
    }
}
