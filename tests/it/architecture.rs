//! The invariants of `src/lib.rs`, as far as the source shows them. Other tests
//! check that no secret reaches a log, that a listener serves only its own
//! routes, and that an acknowledged change is completed.

mod cycles;
mod reader;
mod source;

use std::collections::BTreeSet;

use crate::harness::repository;
use source::{Source, is_within, sources};

/// Expects that only the files in these places use these crates or modules.
fn only(places: &str, modules: &str) {
    for file in sources().iter().filter(|file| !file.is_in(places)) {
        assert_eq!(file.path_into(modules), None, "in {}", file.path);
    }
}

/// Expects these names only in the files in these places.
fn name_only(places: &str, names: &str) {
    for file in sources().iter().filter(|file| !file.is_in(places)) {
        assert_eq!(file.name_among(names), None, "in {}", file.path);
    }
}

/// Expects these names nowhere in the files in these places.
fn no_name(places: &str, names: &str) {
    for file in files_in(places) {
        assert_eq!(file.name_among(names), None, "in {}", file.path);
    }
}

/// Whether a call is that of a method with this name.
fn is_method(call: &str, method: &str) -> bool {
    call.rsplit_once('.')
        .is_some_and(|(_, name)| name == method)
}

/// The files in these places, of which there must be some.
fn files_in(places: &str) -> Vec<&'static Source> {
    let files: Vec<_> = sources().iter().filter(|file| file.is_in(places)).collect();
    assert!(!files.is_empty(), "there are no files in {places}");
    files
}

/// Invariant 1 of `src/lib.rs`.
#[test]
fn domain_has_no_io_clock_or_randomness() {
    no_name(
        "domain/",
        "actix actix_web awc diesel tokio lettre rustls log",
    );
    no_name("domain/", "SystemTime Instant rand getrandom OsRng");
    no_name("domain/", "env fs thread process TcpStream UdpSocket");
}

/// Invariant 2 of `src/lib.rs`.
#[test]
fn only_actor_modules_use_actix() {
    name_only("actor/pool.rs", "SyncArbiter SyncContext");
    let commands = "cli/serve.rs cli/client.rs cli/import/verify/mod.rs";
    only(&format!("actor/ server/ {commands}"), "actix");
    for file in files_in(commands) {
        let mut used = file
            .code
            .paths
            .iter()
            .filter(|path| is_within(path, "actix"));
        let only_system = used.all(|path| path == "actix::System::new");
        assert!(only_system, "{}", file.path);
    }
}

/// Invariant 3 of `src/lib.rs`.
#[test]
fn queries_are_in_db_and_run_in_one_transaction() {
    only("db/", "diesel diesel_migrations");
    name_only("db/", "batch_execute sql_query");
    let mut operations = 0;
    for file in files_in("actor/") {
        for calls in &file.code.operations {
            let count = |method: &str| calls.iter().filter(|call| is_method(call, method)).count();
            let reads = usize::from(calls.iter().any(|call| call == "store.read"));
            let transactions = count("write") + count("snapshot") + reads;
            assert!(transactions <= 1, "{}: {calls:?}", file.path);
            operations += 1;
        }
    }
    assert!(operations > 10, "only {operations} operations were found");
}

/// Invariant 4 of `src/lib.rs`.
#[test]
fn only_http_and_server_use_actix_web() {
    only("http/ server/ error.rs error/", "actix_web");
    // The commands that ask running servers are their clients.
    only(
        "cli/client.rs cli/import/verify/servers.rs outgoing/ federation/ delivery/sms/",
        "awc",
    );
}

/// Invariant 5 of `src/lib.rs`.
#[test]
fn only_delivery_and_outgoing_open_connections() {
    // The last names the kind of the connections that come in.
    name_only(
        "delivery/ outgoing/ db/libpq/ server/connections/serve.rs",
        "TcpStream UdpSocket UnixStream",
    );
    only("outgoing/", "hickory_resolver");
    name_only(
        "delivery/ outgoing/ db/libpq/",
        "lookup_host to_socket_addrs ToSocketAddrs",
    );
    only("delivery/", "tokio::process std::process::Command");
}

/// Each top-level module, and exactly what it uses of the others.
const LAYERS: &[(&str, &str)] = &[
    ("domain", ""),
    ("clock", "domain"),
    ("metrics", ""),
    ("permits", "domain"),
    ("priority", ""),
    ("random", ""),
    ("config", "domain"),
    ("logging", "config"),
    (
        "db",
        "domain config outgoing::tls outgoing::pinned outgoing::Pinned random",
    ),
    ("import", "db delivery::templates domain config"),
    ("outgoing", "config random"),
    ("delivery", "outgoing config clock domain"),
    ("federation", "outgoing config clock domain permits"),
    (
        "actor",
        "db delivery federation limiter domain clock metrics permits priority random",
    ),
    (
        "error",
        "actor::pool::Fault flow delivery::templates domain random",
    ),
    ("limiter", "domain config permits"),
    ("terms", "domain config"),
    ("pseudonyms", "actor clock domain"),
    (
        "app",
        "limiter terms pseudonyms actor delivery domain config clock metrics permits",
    ),
    (
        "flow",
        "app actor delivery::pending_replies delivery::invitation limiter domain permits random",
    ),
    (
        "http",
        "flow app actor delivery::templates domain config error permits",
    ),
    (
        "server",
        "http app limiter terms pseudonyms actor db delivery federation domain config clock \
         metrics permits random",
    ),
    (
        "cli",
        "server import http::openapi delivery::templates domain config error::UNRECOGNIZED clock \
         logging priority random",
    ),
];

/// Invariant 6 of `src/lib.rs`.
#[test]
fn modules_use_only_lower_layers() {
    let mut unused: BTreeSet<(&str, &str)> = BTreeSet::new();
    for &(module, allowed) in LAYERS {
        unused.extend(allowed.split_whitespace().map(|used| (module, used)));
    }
    for file in sources() {
        if file.is_in("main.rs lib.rs") {
            continue;
        }
        let row = LAYERS
            .iter()
            .find(|(module, _)| *module == file.top_module());
        let (module, allowed) = row.unwrap_or_else(|| panic!("{} has no row", file.path));
        for path in file.paths_into_other_modules() {
            let used = allowed.split(' ').find(|used| is_within(path, used));
            let used = used.unwrap_or_else(|| panic!("{} must not use {path}", file.path));
            unused.remove(&(*module, used));
        }
    }
    assert!(unused.is_empty(), "no longer used: {unused:?}");
}

/// Sibling modules that use each other in a circle, and why that is right.
const ACCEPTED_CYCLES: &[(&str, &str)] = &[
    (
        "delivery::sms: from_config gateway http openmarket twilio",
        "the providers fail with the error of the place that starts them",
    ),
    (
        "delivery::templates: error folder",
        "an error shows the line of the source in the folder",
    ),
];

#[test]
fn sibling_modules_do_not_import_in_a_circle() {
    let found = cycles::cycles(sources());
    for (cycle, reason) in ACCEPTED_CYCLES {
        println!("accepted: {cycle} ({reason})");
        assert!(found.contains(*cycle), "no longer a circle: {cycle}");
    }
    for cycle in found {
        let is_accepted = ACCEPTED_CYCLES.iter().any(|(known, _)| *known == cycle);
        assert!(is_accepted, "import each other in a circle: {cycle}");
    }
}

/// Invariant 6 of `src/lib.rs`.
#[test]
fn actors_send_nothing_and_handlers_use_flows() {
    for file in sources() {
        let sends = file.code.calls.iter().any(|call| is_method(call, "send"));
        let is_actor = !file.code.operations.is_empty();
        assert!(!is_actor || !sends, "{} sends to an actor", file.path);
    }
    no_name(
        "http/",
        "BeginSession Bind Unbind Sign StoreInvite StopWaiting TakeDue Settle",
    );
}

/// Invariant 7 of `src/lib.rs`.
#[test]
fn every_queue_is_bounded() {
    name_only("", "unbounded unbounded_channel do_send");
    // The former carries one message, what a thread has opened; the latter is bounded.
    name_only("db/libpq/tunnel.rs db/sydent/read_ahead.rs", "mpsc");
}

/// Invariant 8 of `src/lib.rs`.
#[test]
fn changes_run_detached_from_their_client() {
    let flows = [
        "validate::request_token",
        "invite::store_invite",
        "bind::bind",
        "bind::bind_session",
        "bind::unbind",
        "unbind::by_homeserver",
        "unbind::by_session",
    ];
    let mut found = 0;
    for file in files_in("http/") {
        let started = file.code.count(&flows);
        let detached =
            file.code
                .count(&["detached.run", "detached_waits.run", "detached_unbinds.run"]);
        assert_eq!(started, detached, "in {}", file.path);
        found += started;
    }
    assert!(found >= flows.len(), "only {found} calls were found");
}

/// Invariant 9 of `src/lib.rs`.
#[test]
fn status_codes_and_errcodes_are_in_error_only() {
    for file in sources()
        .iter()
        .filter(|file| !file.is_in("error.rs error/"))
    {
        let errcode = file
            .code
            .literals
            .iter()
            .find(|text| text.starts_with("M_"));
        assert_eq!(errcode, None, "in {}", file.path);
        for path in &file.code.paths {
            let names: Vec<&str> = path.split("::").collect();
            let [.., "StatusCode" | "HttpResponse", status] = names[..] else {
                continue;
            };
            let is_status = status.starts_with(|c: char| c.is_ascii_uppercase());
            let known = match file.path.as_str() {
                // A redirect.
                "http/page.rs" => status == "Found",
                // The health of the server, not an error.
                "http/operations.rs" => status == "ServiceUnavailable",
                _ => false,
            };
            let fine = !is_status || known || status.eq_ignore_ascii_case("ok");
            assert!(fine, "{path} in {}", file.path);
        }
    }
}

/// Invariant 11 of `src/lib.rs`.
#[test]
fn time_and_randomness_are_arguments() {
    name_only("clock.rs", "SystemTime UNIX_EPOCH");
    only("random.rs", "rand getrandom");
}

/// Invariant 12 of `src/lib.rs`.
#[test]
fn there_are_no_globals() {
    name_only(
        "",
        "thread_local OnceLock LazyLock OnceCell LazyCell set_var",
    );
    only(
        "config/env.rs",
        "std::env::var std::env::var_os std::env::vars std::env::vars_os",
    );
    for file in sources() {
        assert!(file.code.statics.is_empty(), "in {}", file.path);
    }
}

/// Invariant 13 of `src/lib.rs`.
#[test]
fn all_routes_are_in_one_file() {
    only("http/resource.rs", "web::resource web::route");
    only("http/routes.rs", "web::scope");
    name_only(
        "http/resource.rs http/routes.rs server/listeners.rs",
        "default_service",
    );
    // Pages for the demo command, which are not part of the API.
    only(
        "http/captured_mail/mod.rs",
        "super::resource::undocumented_page",
    );
}

#[test]
fn files_are_short_and_begin_with_a_description() {
    for file in sources() {
        let lines = file.text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines", file.path);
        let begins = file.text.starts_with("//! ");
        assert!(begins, "{} has no doc comment at its top", file.path);
    }
}

/// Invariant 14 of `src/lib.rs`.
#[test]
fn both_databases_have_the_same_migrations() {
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

/// The statements of a migration without comments, and with one spelling of what may differ: an
/// auto-increment column, and an index of the start of texts, which only SQLite has.
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
        .replace("INTEGER PRIMARY KEY AUTOINCREMENT", "COUNTER")
        .replace("(substr(", "(")
        .replace(", 1, 6))", ")");
    one_spelling.split(';').map(str::to_owned).collect()
}
