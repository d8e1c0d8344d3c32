//! What `src/lib.rs` says always holds, as far as it can be read in the source.
//! That no secret reaches a log, that a listener serves only its own routes,
//! and that an accepted change is done are tests of their own.

use std::collections::BTreeSet;

use crate::harness::{is_within, repository, sources};

/// Expects that only the files in these places name these crates or modules.
fn only(places: &str, modules: &str) {
    for file in sources().iter().filter(|file| !file.is_in(places)) {
        assert_eq!(file.path_into(modules), None, "in {}", file.path);
    }
}

/// Expects that these words stand only in the files in these places.
fn word_only(places: &str, words: &str) {
    for file in sources().iter().filter(|file| !file.is_in(places)) {
        assert_eq!(file.word_of(words), None, "in {}", file.path);
    }
}

/// Expects that these words do not stand in the files in these places.
fn no_word(places: &str, words: &str) {
    let sources = sources();
    let files: Vec<_> = sources.iter().filter(|file| file.is_in(places)).collect();
    assert!(!files.is_empty(), "nothing is in {places}");
    for file in files {
        assert_eq!(file.word_of(words), None, "in {}", file.path);
    }
}

#[test]
fn invariant_1_the_domain_is_pure() {
    no_word(
        "domain/",
        "actix actix_web awc diesel tokio lettre rustls log",
    );
    no_word("domain/", "SystemTime Instant rand getrandom OsRng");
    no_word("domain/", "env fs thread process TcpStream UdpSocket");
}

#[test]
fn invariant_2_actors_stay_behind_their_doors() {
    word_only("actor/pool.rs", "SyncArbiter SyncContext");
    let commands = "cli/serve.rs cli/client.rs cli/import/verify/mod.rs";
    only(&format!("actor/ server/ {commands}"), "actix");
    for file in sources().iter().filter(|file| file.is_in(commands)) {
        let paths = file.paths();
        let mut named = paths.iter().filter(|path| is_within(path, "actix"));
        assert!(
            named.all(|path| path == "actix::System::new"),
            "{}",
            file.path
        );
    }
}

#[test]
fn invariant_3_queries_are_built_in_db_and_a_message_is_one_transaction() {
    only("db/", "diesel diesel_migrations");
    word_only("db/", "batch_execute sql_query");
    let mut messages = 0;
    for file in sources().iter().filter(|file| file.room() == "actor") {
        for message in file.code.split("\nimpl Operation for ").skip(1) {
            let message = message.split("\n}\n").next().unwrap();
            let reads = usize::from(message.contains("store.read()"));
            let snapshots = message.matches(".snapshot(").count();
            let transactions = message.matches(".write(").count() + snapshots + reads;
            assert!(transactions <= 1, "{}: {message}", file.path);
            messages += 1;
        }
    }
    assert!(messages > 10, "only {messages} messages were found");
}

#[test]
fn invariant_4_http_stays_in_http() {
    only("http/ server/ error.rs error/", "actix_web");
    // The commands that ask running servers are their clients.
    only(
        "cli/client.rs cli/import/verify/servers.rs federation/ delivery/sms/",
        "awc",
    );
}

#[test]
fn invariant_5_only_delivery_and_federation_reach_outside() {
    // The last names the kind of the connections that come in.
    word_only(
        "delivery/ federation/ server/client_certificates.rs",
        "TcpStream UdpSocket UnixStream",
    );
    only("federation/", "hickory_resolver");
    word_only("delivery/", "lookup_host to_socket_addrs ToSocketAddrs");
    only("delivery/", "tokio::process std::process::Command");
}

/// Each part of the server, and what it may name of the others: what it does
/// name, and no more.
const ROOMS: &[(&str, &str)] = &[
    ("domain", ""),
    ("clock", ""),
    ("metrics", ""),
    ("permits", ""),
    ("random", ""),
    ("config", "domain"),
    ("logging", "config"),
    ("db", "domain config::DatabaseUrl"),
    ("import", "db delivery::templates domain config"),
    ("delivery", "config domain"),
    ("federation", "config clock domain permits random"),
    (
        "actor",
        "db delivery federation domain clock metrics permits random",
    ),
    (
        "error",
        "actor::pool::Fault flow delivery::templates domain random",
    ),
    ("limiter", "domain config"),
    ("terms", "domain config"),
    (
        "app",
        "limiter terms actor delivery domain config clock metrics",
    ),
    (
        "flow",
        "app actor delivery::pending_replies delivery::invitation domain random",
    ),
    (
        "http",
        "flow app actor delivery::templates domain config error",
    ),
    (
        "server",
        "http app limiter terms actor db delivery federation domain config clock metrics random",
    ),
    (
        "cli",
        "server import delivery::templates domain config error::UNRECOGNIZED clock logging random",
    ),
];

#[test]
fn invariant_6_asks_go_downwards() {
    let mut unused: BTreeSet<(&str, &str)> = BTreeSet::new();
    for &(room, allowed) in ROOMS {
        unused.extend(allowed.split(' ').map(|module| (room, module)));
    }
    unused.retain(|(_, module)| !module.is_empty());
    for file in sources() {
        if file.is_in("main.rs lib.rs") {
            continue;
        }
        let row = ROOMS.iter().find(|(room, _)| *room == file.room());
        let (room, allowed) = row.unwrap_or_else(|| panic!("{} has no row", file.path));
        for path in file.paths_into_other_rooms() {
            let found = allowed.split(' ').find(|module| is_within(&path, module));
            let found = found.unwrap_or_else(|| panic!("{} must not name {path}", file.path));
            unused.remove(&(*room, found));
        }
    }
    assert!(unused.is_empty(), "nobody uses {unused:?} any more");
}

#[test]
fn invariant_6_owners_ask_nobody_and_handlers_leave_several_steps_to_flows() {
    for file in sources() {
        let owns = file.code.contains("\nimpl Operation for ");
        assert!(!owns || !file.code.contains(".send("), "{} asks", file.path);
    }
    no_word(
        "http/",
        "BeginSession Bind Unbind Sign StoreInvite StopWaiting TakeDue Settle",
    );
}

#[test]
fn invariant_7_every_queue_is_bounded_at_the_door() {
    word_only("", "unbounded unbounded_channel do_send mpsc");
}

#[test]
fn invariant_8_what_changes_something_outlives_its_client() {
    let flows = [
        "validate::request_token(",
        "invite::store_invite(",
        "bind::bind(",
        "bind::bind_session(",
        "bind::unbind(",
        "unbind::by_homeserver(",
        "unbind::by_session(",
    ];
    for file in sources().iter().filter(|file| file.room() == "http") {
        let count = |what: &str| file.code.matches(what).count();
        let begun: usize = flows.iter().map(|flow| count(flow)).sum();
        let detached = count(".detached.run(") + count(".detached_waits.run(");
        assert_eq!(begun, detached, "in {}", file.path);
    }
}

#[test]
fn invariant_9_status_codes_and_errcodes_are_in_one_file() {
    for file in sources()
        .iter()
        .filter(|file| !file.is_in("error.rs error/"))
    {
        let errcode = file.literals.iter().find(|text| text.starts_with("M_"));
        assert_eq!(errcode, None, "in {}", file.path);
        for path in file.paths() {
            let names: Vec<&str> = path.split("::").collect();
            let [.., "StatusCode" | "HttpResponse", status] = names[..] else {
                continue;
            };
            let is_status = status.starts_with(|c: char| c.is_ascii_uppercase());
            let known = match file.path.as_str() {
                // A browser is sent on.
                "http/page.rs" => status == "Found",
                // A word for monitoring, not an error.
                "http/operations.rs" => status == "ServiceUnavailable",
                _ => false,
            };
            let fine = !is_status || known || status.eq_ignore_ascii_case("ok");
            assert!(fine, "{path} in {}", file.path);
        }
    }
}

#[test]
fn invariant_11_time_and_chance_are_arguments() {
    word_only("clock.rs", "SystemTime UNIX_EPOCH");
    only("random.rs", "rand getrandom");
}

#[test]
fn invariant_12_there_are_no_globals() {
    word_only(
        "",
        "thread_local OnceLock LazyLock OnceCell LazyCell set_var",
    );
    only(
        "config/env.rs",
        "std::env::var std::env::var_os std::env::vars std::env::vars_os",
    );
    for file in sources() {
        let is_global = |line: &&str| {
            let item = line.trim_start().trim_start_matches("pub ");
            item.starts_with("static ")
        };
        assert_eq!(file.code.lines().find(is_global), None, "in {}", file.path);
    }
}

#[test]
fn invariant_13_all_routes_are_on_one_page() {
    only("http/routes.rs", "web::resource web::scope web::route");
    word_only("http/routes.rs server/listeners.rs", "default_service");
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    for file in sources() {
        let lines = file.text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines", file.path);
        let begins = file.text.starts_with("//! ");
        assert!(begins, "{} does not begin with what it is", file.path);
    }
}

#[test]
fn invariant_14_both_databases_have_the_same_migrations_and_tables() {
    let folder = |database: &str| repository("migrations").join(database);
    let names = |database: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder(database)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string());
        names.map(Result::unwrap).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
    assert!(!names("sqlite").is_empty());
    for name in names("sqlite") {
        for file in ["up.sql", "down.sql"] {
            let [sqlite, postgres] = ["sqlite", "postgres"].map(|database| {
                let path = folder(database).join(&name).join(file);
                statements(&std::fs::read_to_string(path).unwrap())
            });
            assert_eq!(sqlite, postgres, "{name}/{file}");
        }
    }
}

/// The statements of a migration without comments, and with one spelling of a
/// number that counts up, which is all that the databases may differ in.
fn statements(sql: &str) -> Vec<String> {
    let code: Vec<&str> = sql
        .lines()
        .filter_map(|line| line.split("--").next())
        .collect();
    let words: Vec<&str> = code
        .iter()
        .flat_map(|line| line.split_whitespace())
        .collect();
    let one_spelling = words
        .join(" ")
        .replace("BIGSERIAL PRIMARY KEY", "COUNTER")
        .replace("INTEGER PRIMARY KEY AUTOINCREMENT", "COUNTER");
    one_spelling.split(';').map(str::to_owned).collect()
}
