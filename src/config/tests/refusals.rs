//! OPS-08: the problems that prevent a start, one setting at a time.

use std::fs;

use super::{Folder, LEAST};

/// The setting that is reported, and the lines with the problem, separated by `; `.
const REFUSED: &str = "
server.name | server.name = 'a b'
server.public_base_url | server.public_base_url = 'http://id.example.org'
server.public_base_url | server.public_base_url = 'https://id.example.org/?a'
server.signing_key_file | server.signing_key_file = 'bad.key'
server.signing_key_file | server.signing_key_file = 'empty'
server.signing_key_file | server.signing_key_file = '.'
server.public_base_url | server.public_base_url = 'https://id.example.org/_matrix/identity'
server.public_base_url | server.public_base_url = 'https://id.example.org/_matrix/identity/v2/'
server.public_base_url | server.public_base_url = 'https://id.example.org/#a'
server.aliases[0] | server.aliases = ['https://id.example.org']
server.aliases[1] | server.aliases = ['a.example:1/b', 'a.example?b']
database.url | database.url = 'sydent.db'
database.url | database.url = 'sqlite:file:sydent.db'
database.url | database.url = 'postgres://id:pa@ss@h/x'
database.url | database.url = 'postgres://id:1/2@h/x'
database.url | database.url = 'sqlite:missing/sydent.db'
database.url | database.url = 'sqlite:.'
database.url | database.url = 'sqlite:db/sydent.db'
database.url | database.url = 'sqlite:link'
database.url_file | database.url_file = 'db'
database.replica_url | database.replica_url = 'postgres://u@standby/x'
database.replica_url | database.url = 'postgres://u@h/x'; database.replica_url = 'sqlite:x.db'
database.replica_url | database.url = 'postgres://u@h/x'; database.replica_url = 'mysql://u@h/x'
database.replica_url | database.url = 'postgres://u@h/x'; database.replica_url = 'postgres://u@h/x'
database.replica_url | database.url = 'postgres://u@h/x'; database.replica_url = 'postgres://u@a,b/x'
database.replica_url | database.url = 'postgres://u@h/x'; database.replica_url = 'postgres://a:b@c@d/x'
database.replica_url_file | database.replica_url_file = 'missing'
database.replica_url_file | database.replica_url_file = 'db'; database.replica_url = 'postgres://u@h/x'
database.replica_max_staleness | database.replica_max_staleness = '999ms'
database.replica_max_staleness | database.replica_max_staleness = '6m'
database.readers | database.readers = 0
http.listen | http.listen = []
http.max_body_bytes | http.max_body_bytes = 10
http.request_timeout | http.request_timeout = '1h'
http.shutdown_delay | http.shutdown_delay = '11m'
delivery.answer_within | http.request_timeout = '2s'
internal.listen | internal.listen = ['0.0.0.0:8091']
operations.listen | operations.listen = ['[::1]:8090']
operations.listen | operations.listen = ['127.0.0.1:1', '127.0.0.1:1']
validation.max_wrong_tokens | validation.max_wrong_tokens = 0
accounts.keep_unused_tokens | accounts.keep_unused_tokens = '1h'
v1.secret | v1.secret = 'hunter2'
v1.secret_file | v1.secret_file = 'missing'
v1.allowed_networks | v1.allowed_networks = ['0.0.0.0/0']
validation.next_link_schemes[0] | validation.next_link_schemes = ['data']
lookup.max_addresses | lookup.max_addresses = 0
limits.lookup_per_client.burst | limits.lookup_per_client.burst = 9999
limits.lookup_per_account.burst | limits.lookup_per_account.burst = 9999
lookup.rotate_pepper_every | lookup.rotate_pepper_every = '59m'
limits.new_addresses_per_account.burst | limits.new_addresses_per_account.burst = 9999
limits.new_addresses_per_client.per_day | limits.new_addresses_per_client.per_day = 0
limits.new_addresses_per_homeserver.burst | limits.new_addresses_per_homeserver.burst = 100000001
limits.bind_per_session.every | limits.bind_per_session.every = '0s'
limits.bind_per_client.burst | limits.bind_per_client.burst = 1000001
limits.bind_per_client_with_account.burst | limits.bind_per_client_with_account.burst = 1000001
limits.bind_per_account.every | limits.bind_per_account.every = '0s'
limits.onbind_per_homeserver.every | limits.onbind_per_homeserver.every = '0s'
retention.expired_sessions | retention.expired_sessions = '367d'
retention.pending_invites | retention.pending_invites = '59m'
retention.ephemeral_keys | retention.ephemeral_keys = '364d'
retention.ephemeral_keys | retention.pending_invites = '0s'
retention.unconfirmed_erasures | retention.unconfirmed_erasures = '0s'
delivery.pause_after_failures | delivery.pause_after_failures = 1001
delivery.pause_max | delivery.pause_max = '0s'
log.personal_data | log.personal_data = 'all'
limits.email_per_client_with_account.burst | limits.email_per_client_with_account.burst = 1000001
limits.email_per_homeserver.every | limits.email_per_homeserver.every = '0s'
limits.email_per_delegating_homeserver.every | limits.email_per_delegating_homeserver.every = '0s'
limits.email_total.burst | limits.email_total.burst = 1000001
limits.message_per_client_and_address.every | limits.message_per_client_and_address.every = '0s'
limits.sms_per_client_with_account.burst | limits.sms_per_client_with_account.burst = 1000001
limits.sms_per_homeserver.every | limits.sms_per_homeserver.every = '0s'
limits.sms_per_delegating_homeserver.every | limits.sms_per_delegating_homeserver.every = '0s'
limits.sms_per_day | limits.sms_per_day = 100000001
limits.delegating_homeservers[0] | limits.delegating_homeservers = ['matrix.example.org']
limits.email_per_client.burst | limits.email_per_client.burst = 1000001
limits.register_per_client.every | limits.register_per_client.every = '0s'
limits.register_per_client_and_homeserver.every | limits.register_per_client_and_homeserver.every = '0s'
limits.register_per_homeserver.burst | limits.register_per_homeserver.burst = 1000001
limits.unbind_per_client.burst | limits.unbind_per_client.burst = 1000001
limits.unbind_per_homeserver.every | limits.unbind_per_homeserver.every = '0s'
limits.email_per_address.every | limits.email_per_address.every = '0s'
limits.invites_per_sender.burst | limits.invites_per_sender.burst = 1000001
limits.submit_per_client.every | limits.submit_per_client.every = '0s'
limits.signatures_per_client.every | limits.signatures_per_client.every = '0s'
invites.show_local_part | invites.show_local_part = 65
invites.web_client | invites.web_client = 'app.example'
replication.max_clock_skew | replication.max_clock_skew = '10m'
invites.web_clients[1] | invites.web_clients = ['https://a.example', 'https://b.example/#/']
invites.subject_room | invites.subject_room = ''
invites.subject_space | invites.subject_space = ''
invites.blocked_homeservers[0] | invites.blocked_homeservers = ['a b']
invites.blocked_rooms[0] | invites.blocked_rooms = ['']
invites.blocked_keywords[1] | invites.blocked_keywords = ['a', ' ']
delivery.onbind_give_up | delivery.onbind_give_up = '1s'
templates.brands_dir | templates.brands_dir = 'missing'
templates.default_brand | templates.default_brand = 'a'
templates.default_brand | templates.default_brand = '..'; templates.brands_dir = '.'
templates.default_brand | templates.default_brand = 'a'; templates.brands_dir = '.'
templates.verification_mail | templates.verification_mail = 'missing'
templates.invitation_mail | templates.invitation_mail = '.'
templates.verify_response | templates.verify_response = 'missing'
terms.file | terms.file = 'missing'
terms.file | terms.file = 'password'
email.from | email.from = 'nobody'
email.from | email.transport = 'file'
email.file.dir | email.from = 'a@b.example'; email.transport = 'file'; email.file.dir = 'db'
email.file.dir | email.from = 'a@b.example'; email.transport = 'file'; email.file.dir = 'db/mail'
email.sendmail.command | email.from = 'a@b.example'; email.transport = 'sendmail'; email.sendmail.command = 'x'
email.concurrency | email.concurrency = 0
delivery.lease | delivery.lease = '9s'
delivery.retry_max | delivery.retry_first = '1h'
delivery.poll_every | delivery.poll_every = '0s'
federation.ca_file | federation.ca_file = 'missing'
federation.ca_file | federation.ca_file = 'password'
federation.proxy | federation.proxy = 'https://proxy.example'
federation.timeout | federation.timeout = '2m'
federation.concurrency | federation.concurrency = 0
federation.allow_ranges[0] | federation.allow_ranges = ['10.0.0.0/33']
federation.block_ranges[0] | federation.block_ranges = ['everything']
federation.dns_servers[0] | federation.dns_servers = ['127.0.0.1']
federation.allow_homeservers | federation.allow_homeservers = ['example.org']
federation.allow_homeservers[0] | v1.enabled = false; federation.allow_homeservers = ['https://example.org']
federation.allow_homeservers | v1.enabled = false; federation.allow_homeservers = ['a.example']; federation.deny_homeservers = ['*.example']
federation.deny_homeservers[0] | federation.deny_homeservers = ['a b']
federation.hosts.a b | federation.hosts = { 'a b' = '127.0.0.1:1' }
federation.hosts.a | federation.hosts = { a = '127.0.0.1' }
";

/// The same with a peer.
const REFUSED_WITH_PEER: &str = "
replication.listen | replication.listen = 'localhost:4434'
replication.listen | replication.listen = '[::1]:8090'
replication.certificate | replication.certificate = 'missing'
replication.certificate | replication.certificate = 'password'
replication.private_key | replication.private_key = 'missing'
replication.private_key | replication.private_key = 'password'
replication.private_key | replication.private_key = 'other.pem'
replication.client_ca | replication.client_ca = 'password'
replication.push_every | replication.push_every = '1ms'
replication.peers.example.org | replication.peers.'example.org'.public_key = 'XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI'
replication.peers.a b | replication.peers.'a b' = { url = 'https://a.example', public_key = 'XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI' }
replication.peers.a.example.url | replication.peers.'a.example'.url = 'http://a.example'
replication.peers.a.example.url | replication.peers.'a.example'.url = 'https://a.example/_matrix/identity'
replication.peers.a.example.ca_file | replication.peers.'a.example'.ca_file = 'password'
replication.peers.a.example.public_key | replication.peers.'a.example'.public_key = 'a'
replication.peers.b.example.public_key | replication.peers.'b.example'.url = 'https://b.example'
";

const PEER: &str = "replication.certificate = 'mesh.pem'
replication.private_key = 'mesh.pem'
replication.peers.'a.example'.url = 'https://a.example'
replication.peers.'a.example'.public_key = 'XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI'
";

/// The same with a relay on another machine.
const REFUSED_WITH_SMTP: &str = "
email.smtp.password | email.smtp.username = 'a'
email.smtp.username | email.smtp.password = 'a'
email.smtp.password_file | email.smtp.username = 'a'; email.smtp.password_file = 'missing'
email.smtp.password_file | email.smtp.username = 'a'; email.smtp.password_file = 'empty'
email.smtp.password_file | email.smtp.username = 'a'; email.smtp.password = 'a'; email.smtp.password_file = 'password'
email.smtp.encryption | email.smtp.username = 'a'; email.smtp.password = 'a'; email.smtp.encryption = 'none'
email.smtp.ca_file | email.smtp.ca_file = 'missing'
email.smtp.ca_file | email.smtp.ca_file = 'password'
email.smtp.hello_name | email.smtp.hello_name = 'a b'
email.smtp.hello_name | email.smtp.hello_name = 'a.example:25'
email.smtp.port | email.smtp.port = 0
";

/// The same with three SMS providers.
const REFUSED_WITH_SMS: &str = "
sms.body | sms.body = 'no code'
sms.body | sms.body = '{token} {colour}'
sms.body | sms.body = \"\\u0007{token}\"
sms.concurrency | sms.concurrency = 0
sms.providers.x.kind | sms.providers.x.timeout = '5s'
sms.providers.x.username | sms.providers.x.kind = 'openmarket'; sms.providers.x.password = 'p'
sms.providers.x.password | sms.providers.x.kind = 'twilio'; sms.providers.x.username = 'u'
sms.providers.x.password_file | sms.providers.x.kind = 'twilio'; sms.providers.x.username = 'u'; sms.providers.x.password_file = 'missing'
sms.providers.x.ca_file | sms.providers.x.kind = 'twilio'; sms.providers.x.username = 'u'; sms.providers.x.password = 'p'; sms.providers.x.ca_file = 'password'
sms.providers.x.dir | sms.providers.x.kind = 'file'
sms.providers.x.url | sms.providers.x.kind = 'file'; sms.providers.x.dir = 'd'; sms.providers.x.url = 'https://a.example'
sms.providers.mail.timeout | sms.providers.mail.timeout = '0s'
sms.providers.gate.url | sms.providers.gate.url = 'http://a.example/'
sms.providers.gate.url | sms.providers.gate.url = 'ftp://a.example/'
sms.providers.gate.url | sms.providers.gate.url = 'https://{to}/'
sms.providers.gate.url | sms.providers.gate.url = 'https://{to}?a'
sms.providers.gate.url | sms.providers.gate.url = 'https://a.example/{colour}'
sms.providers.gate.body | sms.providers.gate.body = '{}'
sms.providers.gate.body | sms.providers.gate.body = '{\"a\": {to}, \"b\": \"{text}\"}'
sms.providers.gate.body | sms.providers.gate.body = '\"{to} {text} {colour}\"'
sms.providers.gate.body | sms.providers.gate.method = 'GET'
sms.providers.gate.headers.host | sms.providers.gate.headers.host = 'a'
sms.providers.gate.headers.x | sms.providers.gate.headers.x = '{text}'
sms.providers.gate.accepted_statuses[0] | sms.providers.gate.accepted_statuses = ['2xx']
sms.routes.default | sms.routes.1 = ['gate']; sms.routes.default = []
sms.routes.44[1] | sms.routes.44 = ['gate', 'none']
sms.routes.044 | sms.routes.044 = ['gate']
sms.routes.999 | sms.routes.999 = ['gate']
sms.originators.44[0] | sms.originators.44 = ['Example']
sms.originators.default | sms.routes.default = ['tw']
sms.rules.uk | sms.rules.uk = 'allow'
validation.max_wrong_sms_tokens | validation.max_wrong_sms_tokens = 0
limits.sms_per_number.every | limits.sms_per_number.every = '0s'
";

const SMS: &str = "sms.routes.default = ['gate']
sms.providers.gate.kind = 'gateway'
sms.providers.gate.url = 'https://sms.example/'
sms.providers.gate.body = '\"{to} {text}\"'
sms.providers.mail.kind = 'file'
sms.providers.mail.dir = 'texts'
sms.providers.tw.kind = 'twilio'
sms.providers.tw.username = 'u'
sms.providers.tw.password = 'p'
";

const SMTP: &str = "email.from = 'a@b.example'
email.transport = 'smtp'
email.smtp.host = 'mail.example'
";

/// OPS-08
#[test]
fn invalid_configuration_is_rejected() {
    let folder = Folder::new();
    let files = [
        ("empty", "\n"),
        ("password", "p\n"),
        ("bad.key", "ed25519 0 x"),
        ("db", "a.db"),
    ];
    for (name, content) in files {
        fs::write(folder.0.path().join(name), content).unwrap();
    }
    std::os::unix::fs::symlink("nowhere", folder.0.path().join("link")).unwrap();
    for file in ["mesh.pem", "other.pem"] {
        let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
        let content = made.cert.pem() + &made.signing_key.serialize_pem();
        fs::write(folder.0.path().join(file), content).unwrap();
    }
    assert!(folder.load(&format!("{LEAST}{PEER}"), &[]).is_ok());
    for (rows, before) in [
        (REFUSED, ""),
        (REFUSED_WITH_PEER, PEER),
        (REFUSED_WITH_SMTP, SMTP),
        (REFUSED_WITH_SMS, SMS),
    ] {
        for row in rows.trim().lines() {
            let (key, wrong) = row.split_once(" | ").unwrap();
            let wrong = wrong.replace("; ", "\n");
            let overridden =
                |line: &&str| !wrong.contains(line.split_inclusive('=').next().unwrap());
            let least: Vec<&str> = LEAST.lines().filter(overridden).collect();
            let before: Vec<&str> = before.lines().filter(overridden).collect();
            let (least, before) = (least.join("\n"), before.join("\n"));
            let text = format!("{least}\n{before}\n{wrong}\n");
            let found = folder.load(&text, &[]).expect_err(row);
            assert_eq!(found.len(), 1, "{row}: {found:?}");
            assert!(
                found
                    .iter()
                    .all(|problem| problem.contains(&format!(" {key}: "))),
                "{row}: {found:?}"
            );
        }
    }
}

/// OPS-08
#[test]
fn missing_required_settings_are_reported() {
    let found = Folder::new().load("", &[]).unwrap_err().join("\n");
    for key in [
        "server.name",
        "server.public_base_url",
        "server.signing_key_file",
        "database.url",
    ] {
        assert!(found.contains(&format!("{key}: is missing: ")), "{found}");
    }
}
