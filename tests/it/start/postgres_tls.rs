//! TLS to PostgreSQL.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::harness::{CommandOutput, TestCa, TestDatabase, TlsPostgres};

use super::{Setup, chmod};

/// `config check` with this URL: whether the database was accepted, and the output.
fn check(url: &str) -> (bool, String) {
    check_with(url, &[])
}

/// The same with only these environment variables.
fn check_with(url: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let setup = Setup::with_database(&TestDatabase::existing(url));
    let command = "config check -c sydent.toml";
    let check = CommandOutput::run_with(setup.folder.path(), command, variables);
    (
        check.code == 0 && !check.err.contains("database.url"),
        check.err,
    )
}

/// Expects that the certificate and the server are accepted.
fn accepted(url: &str) {
    let (is_accepted, output) = check(url);
    assert!(is_accepted, "{url}: {output}");
}

/// Expects this reason why not.
fn fails(url: &str, reason: &str) {
    let (is_accepted, output) = check(url);
    assert!(!is_accepted && output.contains(reason), "{url}: {output}");
    assert!(
        !output.contains("closed the connection unexpectedly"),
        "{output}"
    );
}

#[test]
fn server_works_over_tls() {
    let Some(postgres) = TlsPostgres::start() else {
        return;
    };
    let plain = "pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE NOT ssl AND backend_type = \
                 'client backend' AND pid <> pg_backend_pid()";
    let encrypted = "pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND version = \
                     'TLSv1.3'";
    // Without sslmode TLS is used because the server supports it.
    for parameters in ["sslmode=verify-full&sslrootcert={ca}", ""] {
        let database = TestDatabase::existing(&postgres.url("127.0.0.1", parameters));
        let server = Setup::with_database(&database).bind();
        assert_eq!(database.count("associations"), 1);
        assert_eq!(database.count(plain), 0);
        assert!(database.count(encrypted) > 5);
        drop(server);
    }
}

#[test]
fn variables_of_libpq_do_not_break_tls() {
    let Some(postgres) = TlsPostgres::start() else {
        return;
    };
    let url = "sslmode=verify-full&sslrootcert={ca}&sslnegotiation=postgres&sslcertmode=allow";
    let others = [
        ("PGSSLMODE", "disable"),
        ("PGSSLROOTCERT", "system"),
        ("PGSSLNEGOTIATION", "direct"),
        ("PGSSLCERTMODE", "require"),
        ("PGCHANNELBINDING", "prefer"),
        ("PGGSSENCMODE", "prefer"),
        ("PGPASSWORD", "wrong"),
        ("PGHOSTADDR", ""),
    ];
    let (is_accepted, output) = check_with(&postgres.url("127.0.0.1", url), &others);
    assert!(is_accepted, "{output}");
    let ca = postgres.ca.file();
    let same = [
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", ca.to_str().unwrap()),
        ("PGSSLNEGOTIATION", "postgres"),
        ("PGREQUIRESSL", "1"),
    ];
    let (is_accepted, output) = check_with(&postgres.url("127.0.0.1", ""), &same);
    assert!(is_accepted, "{output}");
}

#[test]
fn next_host_is_asked_unless_one_refuses() {
    let Some(postgres) = TlsPostgres::start() else {
        return;
    };
    let port = postgres.port();
    let hosts = "sslmode=require&host=127.0.0.1,localhost";
    accepted(&postgres.url("127.0.0.1", &format!("{hosts}&port=1,{port}")));
    let wrong = postgres.url("127.0.0.1", &format!("{hosts}&password=wrong"));
    let (is_accepted, output) = check(&wrong);
    let refusals = output.matches("password authentication failed").count();
    assert!(!is_accepted && refusals == 1, "{output}");
    let standby = format!("{hosts}&target_session_attrs=standby");
    let (is_accepted, output) = check(&postgres.url("127.0.0.1", &standby));
    let refusals = output.matches("not in hot standby").count();
    assert!(!is_accepted && refusals == 2, "{output}");
}

/// A server that accepts connections, and sends this after the request for TLS. Returns
/// its port.
fn impostor(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read_exact(&mut [0; 8]);
            let _ = stream.write_all(answer);
            open.push(stream);
        }
    });
    port
}

#[test]
fn server_that_does_not_go_on_is_left() {
    if !cfg!(feature = "vendored-libpq") {
        return;
    }
    for answer in [&b""[..], b"S"] {
        let port = impostor(answer);
        let started = Instant::now();
        let parameters = "sslmode=require&connect_timeout=2";
        fails(
            &format!("postgres://id:hunter2@127.0.0.1:{port}/x?{parameters}"),
            "the TLS handshake timed out",
        );
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}

/// What comes in plaintext after the server agreed to TLS is not its answer.
#[test]
fn plaintext_before_tls_is_not_read() {
    if !cfg!(feature = "vendored-libpq") {
        return;
    }
    for answer in [&b"SR\0\0\0\x08\0\0\0\0"[..], b"SE\0\0\0\x10SFATAL\0Mx\0\0"] {
        let port = impostor(answer);
        let url = format!("postgres://id:hunter2@127.0.0.1:{port}/x?sslmode=require");
        fails(&url, "TLS failed: ");
    }
}

#[test]
fn sslmode_decides_what_is_verified() {
    let Some(postgres) = TlsPostgres::start() else {
        return;
    };
    let other = TestCa::new();
    let other = other.file();
    let other = other.to_str().unwrap();
    accepted(&postgres.url("127.0.0.1", ""));
    accepted(&postgres.url("127.0.0.1", "sslmode=require"));
    accepted(&postgres.url("localhost", "sslmode=verify-full&sslrootcert={ca}"));
    accepted(&postgres.url("localhost", "sslmode=verify-full&sslrootcert={ca}&sslsni=0"));
    let times = "connect_timeout=9&keepalives_idle=9&keepalives_count=2&tcp_user_timeout=9000";
    let options = format!("sslmode=require&{times}&require_auth=scram-sha-256");
    accepted(&postgres.url("127.0.0.1", &options));
    let direct = "sslmode=require&sslnegotiation=direct";
    let (is_accepted, output) = check(&postgres.url("127.0.0.1", direct));
    // Before version 17 the server takes it for an invalid message.
    assert!(is_accepted || output.contains("TLS failed: "), "{output}");
    for wanted in ["primary", "prefer-standby"] {
        let parameters = format!("sslmode=require&target_session_attrs={wanted}");
        accepted(&postgres.url("127.0.0.1", &parameters));
    }
    let standby = "sslmode=require&target_session_attrs=standby";
    fails(&postgres.url("127.0.0.1", standby), "not in hot standby");
    let old = "sslmode=require&ssl_max_protocol_version=TLSv1.2";
    accepted(&postgres.url("127.0.0.1", old));
    // The name is that of the host, and the address that of hostaddr.
    let named = |mode| format!("sslmode={mode}&sslrootcert={{ca}}&hostaddr=127.0.0.1");
    accepted(&postgres.url("db.example.test", &named("verify-ca")));
    fails(
        &postgres.url("db.example.test", &named("verify-full")),
        "the certificate of db.example.test is not valid: ",
    );
    for mode in ["require", "verify-ca", "verify-full"] {
        let parameters = format!("sslmode={mode}&sslrootcert={other}");
        fails(
            &postgres.url("127.0.0.1", &parameters),
            "the certificate of 127.0.0.1 is not valid: no trusted authority has signed it",
        );
    }
    let system = "sslmode=verify-full&sslrootcert=system";
    fails(
        &postgres.url("localhost", system),
        "the certificate of localhost is not valid",
    );
}

#[test]
fn server_without_tls_is_used_only_if_allowed() {
    let database = TestDatabase::fresh();
    if !database.is_postgres() {
        return;
    }
    let mut url = url::Url::parse(&database.url).unwrap();
    if url.query().is_some() {
        // The server of the tests has TLS.
        return;
    }
    for mode in ["disable", "allow", "prefer"] {
        url.set_query(Some(&format!("sslmode={mode}")));
        accepted(url.as_str());
    }
    for parameters in ["sslmode=require", "sslmode=verify-full", "requiressl=1"] {
        url.set_query(Some(parameters));
        fails(url.as_str(), "the server does not support TLS");
    }
    url.set_query(None);
    let (is_accepted, output) = check_with(url.as_str(), &[("PGREQUIRESSL", "1")]);
    assert!(
        !is_accepted && output.contains("not support TLS"),
        "{output}"
    );
}

#[test]
fn client_shows_its_certificate() {
    let Some(postgres) = TlsPostgres::start() else {
        return;
    };
    let url = |parameters: &str| postgres.url("127.0.0.1", &format!("sslmode=require{parameters}"));
    let own = |ca: &TestCa| {
        let (certificate, key) = ca.certify("client");
        chmod(&key, 0o600);
        format!(
            "&sslcert={}&sslkey={}",
            certificate.display(),
            key.display()
        )
    };
    postgres.allow(
        "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n\
         hostnossl postgres postgres 127.0.0.1/32 scram-sha-256",
    );
    accepted(&url(&own(&postgres.ca)));
    fails(&url(""), "connection requires a valid client certificate");
    fails(&url(&own(&TestCa::new())), "the server refused TLS: ");
    let missing = "&sslcert=/nowhere.crt&sslkey=/nowhere.key";
    let setup = Setup::with_database(&TestDatabase::existing(&url(missing)));
    setup.refused(
        "database.url",
        "cannot read /nowhere.crt: the file does not exist",
    );
}

#[test]
fn weaker_sslmode_tries_both_ways() {
    let Some(postgres) = TlsPostgres::start() else {
        return;
    };
    postgres.allow("hostnossl all all 127.0.0.1/32 scram-sha-256");
    accepted(&postgres.url("127.0.0.1", "sslmode=prefer"));
    fails(
        &postgres.url("127.0.0.1", "sslmode=require"),
        "no pg_hba.conf entry",
    );
    postgres.allow("hostssl all all 127.0.0.1/32 scram-sha-256");
    accepted(&postgres.url("127.0.0.1", "sslmode=allow"));
    let (is_accepted, output) = check(&postgres.url("127.0.0.1", "sslmode=disable"));
    assert!(!is_accepted && output.contains("no encryption"), "{output}");
}

#[test]
fn urls_that_cannot_be_served_are_refused() {
    if !cfg!(feature = "vendored-libpq") {
        return;
    }
    for (url, reason) in [
        ("db/x?sslcrl=/a", "has sslcrl: this build does not read"),
        (
            "db/x?channel_binding=require",
            "has channel_binding=require",
        ),
        ("db/x?gssencmode=require", "has gssencmode=require"),
        (
            "db/x?sslmode=verify",
            "has a value of sslmode that is none of disable, ",
        ),
        (
            "db/x?sslsni=yes",
            "has a value of sslsni that is none of 0, 1",
        ),
        (
            "db/x?connect_timeout=5s",
            "has a value of connect_timeout that is not",
        ),
        (
            "db/x?sslmode=require&sslrootcert=system",
            "has sslrootcert=system",
        ),
        (
            "db/x?sslmode=require&sslnegotiation=x",
            "has a value of sslnegotiation that",
        ),
        ("db/x?sslnegotiation=direct", "needs sslmode=require"),
        (
            "db/x?sslmode=require&sslcertmode=require",
            "has sslcertmode=require",
        ),
        (
            "db/x?ssl_max_protocol_version=TLSv1.1",
            "allows neither TLS 1.2",
        ),
        ("db/x?sslpassword=hunter2", "has sslpassword: "),
        ("db/x?service=a", "has service: this build does not read"),
        ("db/x?colour=red", "PostgreSQL does not know: colour"),
        ("db/x?sslmode=", "has no value of sslmode"),
        ("db/x?sslmode=require&sslmode=", "has no value of sslmode"),
        ("db/x?channel_binding=", "has no value of channel_binding"),
        ("db/x?gssencmode=", "has no value of gssencmode"),
        ("db/x?connect_timeout=", "has no value of connect_timeout"),
        (
            "db/x?password=ab&hunter2=c",
            "in a password write %26 for &",
        ),
        ("db/x?password=%ff", "that are not UTF-8"),
        ("db/x?user=", "names no user"),
        ("/x?sslmode=require", "names no host"),
        (
            "a:1,b:2,c/x?hostaddr=127.0.0.1",
            "not as many values in hostaddr",
        ),
        ("db:70000/x", "is ambiguous"),
        (
            "a/x?load_balance_hosts=random",
            "has load_balance_hosts=random",
        ),
        (
            "a,b/x?target_session_attrs=prefer-standby",
            "has several hosts and target_session_attrs=prefer-standby",
        ),
        (
            "db/x?sslmode=verify-ca",
            "sslmode=verify-ca needs sslrootcert",
        ),
        ("db/x?sslrootcert=/nowhere.pem", "cannot read /nowhere.pem"),
    ] {
        let mut setup = Setup::new();
        setup.set(&format!("database.url = 'postgres://id:hunter2@{url}'"));
        let check = setup.run("config check");
        assert_eq!(check.code, 1, "{url}: {}", check.err);
        let at_line = check.err.contains("sydent.toml:") && check.err.contains("database.url: ");
        assert!(
            at_line && check.err.contains(reason),
            "{url}: {}",
            check.err
        );
        assert!(!check.err.contains("hunter2"), "{}", check.err);
    }
}
