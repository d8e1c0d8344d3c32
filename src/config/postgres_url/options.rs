//! The options of libpq, and which part of a connection with TLS each of them is for.

use super::split;
use crate::config::Secret;
use crate::config::env;
use crate::config::url_mask::is_secret_option;

/// Who acts on an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// libpq: the option is passed on.
    Libpq,
    /// The code that opens the connection, in libpq's place.
    Connection,
    /// Both.
    Both,
    /// Nobody, for this reason.
    Nobody(&'static str),
}

const CRL: &str = "this build does not read lists of revoked certificates";
const KEY_LOG: &str = "this build does not log the keys of TLS";
const KEY_PASSWORD: &str = "this build does not read encrypted keys; decrypt the file of sslkey";
const SERVICE: &str = "this build does not read service files; write their settings into the URL";

/// All options that libpq 18 knows, with the variables that it reads in their place. Of
/// those that it alone acts on, it reads the variables itself.
const OPTIONS: &[(&str, &str, For)] = &[
    ("application_name", "", For::Libpq),
    ("channel_binding", "PGCHANNELBINDING", For::Connection),
    ("client_encoding", "", For::Libpq),
    ("connect_timeout", "PGCONNECT_TIMEOUT", For::Both),
    ("dbname", "PGDATABASE", For::Libpq),
    ("fallback_application_name", "", For::Libpq),
    ("gssdelegation", "", For::Libpq),
    ("gssencmode", "PGGSSENCMODE", For::Connection),
    ("gsslib", "", For::Libpq),
    ("host", "PGHOST", For::Connection),
    ("hostaddr", "PGHOSTADDR", For::Connection),
    ("keepalives", "", For::Both),
    ("keepalives_count", "", For::Both),
    ("keepalives_idle", "", For::Both),
    ("keepalives_interval", "", For::Both),
    ("krbsrvname", "", For::Libpq),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", For::Connection),
    ("max_protocol_version", "", For::Libpq),
    ("min_protocol_version", "", For::Libpq),
    ("oauth_client_id", "", For::Libpq),
    ("oauth_client_secret", "", For::Libpq),
    ("oauth_issuer", "", For::Libpq),
    ("oauth_scope", "", For::Libpq),
    ("options", "", For::Libpq),
    ("passfile", "PGPASSFILE", For::Both),
    ("password", "PGPASSWORD", For::Both),
    ("port", "PGPORT", For::Connection),
    ("replication", "", For::Libpq),
    ("require_auth", "", For::Libpq),
    ("requirepeer", "", For::Libpq),
    ("scram_client_key", "", For::Libpq),
    ("scram_server_key", "", For::Libpq),
    ("service", "PGSERVICE", For::Nobody(SERVICE)),
    ("servicefile", "", For::Nobody(SERVICE)),
    (
        "ssl_max_protocol_version",
        "PGSSLMAXPROTOCOLVERSION",
        For::Connection,
    ),
    (
        "ssl_min_protocol_version",
        "PGSSLMINPROTOCOLVERSION",
        For::Connection,
    ),
    ("sslcert", "PGSSLCERT", For::Connection),
    ("sslcertmode", "PGSSLCERTMODE", For::Connection),
    // Not used by any version of libpq that supports TLS 1.3.
    ("sslcompression", "", For::Connection),
    ("sslcrl", "PGSSLCRL", For::Nobody(CRL)),
    ("sslcrldir", "PGSSLCRLDIR", For::Nobody(CRL)),
    ("sslkey", "PGSSLKEY", For::Connection),
    ("sslkeylogfile", "", For::Nobody(KEY_LOG)),
    ("sslmode", "PGSSLMODE", For::Connection),
    ("sslnegotiation", "PGSSLNEGOTIATION", For::Connection),
    ("sslpassword", "", For::Nobody(KEY_PASSWORD)),
    ("sslrootcert", "PGSSLROOTCERT", For::Connection),
    ("sslsni", "PGSSLSNI", For::Connection),
    ("target_session_attrs", "PGTARGETSESSIONATTRS", For::Both),
    ("tcp_user_timeout", "", For::Both),
    ("user", "PGUSER", For::Both),
];

/// The values of those options that are not passed on, and so are not checked by libpq.
const VALUES: &[(&str, &[&str])] = &[
    ("channel_binding", &["disable", "prefer", "require"]),
    ("gssencmode", &["disable", "prefer", "require"]),
    ("load_balance_hosts", &["disable", "random"]),
    ("ssl_max_protocol_version", VERSIONS),
    ("ssl_min_protocol_version", VERSIONS),
    ("sslcertmode", &["disable", "allow", "require"]),
    (
        "sslmode",
        &[
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
        ],
    ),
    ("sslnegotiation", &["postgres", "direct"]),
    ("sslsni", &["0", "1"]),
];
const VERSIONS: &[&str] = &["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/// Options that are numbers.
const NUMBERS: &[&str] = &[
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
];

/// # Errors
/// An option that libpq does not know, or one without a value that needs one.
fn check_names(url: &str, written: &[(String, Secret)]) -> Result<(), String> {
    let is_unknown = |name: &str| OPTIONS.iter().all(|(known, ..)| *known != name);
    if let Some((unknown, _)) = written.iter().find(|(name, _)| is_unknown(name)) {
        // What follows an unencoded & looks like an option, but is part of the secret.
        return Err(if is_secret_option(split::query(url)) {
            "has a parameter that PostgreSQL does not know; in a password write %26 for &"
                .to_owned()
        } else {
            format!("has a parameter that PostgreSQL does not know: {unknown}")
        });
    }
    let needs_value = |name: &str| {
        let mut chosen = VALUES.iter().map(|(chosen, _)| chosen).chain(NUMBERS);
        chosen.any(|chosen| *chosen == name)
    };
    let mut empty = written
        .iter()
        .filter(|(_, value)| value.expose().is_empty());
    match empty.find(|(name, _)| needs_value(name)) {
        Some((name, _)) => Err(format!("has no value of {name}; set or remove it")),
        None => Ok(()),
    }
}

/// What the environment says about an option that the URL does not set.
fn of_environment(name: &str, variable: &str) -> Result<Option<Secret>, String> {
    let value = env::of_libpq(variable)?;
    if value.is_some() || name != "sslmode" {
        return Ok(value);
    }
    // The name of the variable before there was PGSSLMODE.
    let required = env::of_libpq("PGREQUIRESSL")?;
    let is_required = required.is_some_and(|value| value.expose().starts_with('1'));
    Ok(is_required.then(|| Secret::from("require".to_owned())))
}

/// The options of a URL, and those of the environment that it does not set.
pub(super) struct Options(Vec<(&'static str, For, Secret)>);

impl Options {
    /// # Errors
    /// An option that libpq does not know, or a value that it does not know, or one that
    /// is not UTF-8.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        if split::query(url)
            .split('&')
            .any(|pair| !pair.is_empty() && !pair.contains('='))
        {
            return Err("has a parameter without a value; write ?NAME=VALUE".to_owned());
        }
        let written = split::options(url)?;
        check_names(url, &written)?;
        let options = OPTIONS.iter().map(|&(name, variable, part)| {
            let mut same = written.iter().rev().filter(|(other, _)| other == name);
            let value = match same.next() {
                Some((_, value)) => Some(value.clone()),
                None => of_environment(name, variable)?,
            };
            Ok(value.map(|value| (name, part, value)))
        });
        let options = options.filter_map(Result::transpose);
        let options = Self(options.collect::<Result<_, String>>()?);
        options.check_values()?;
        Ok(options)
    }

    fn check_values(&self) -> Result<(), String> {
        for (name, values) in VALUES {
            if self.get(name).is_some_and(|value| !values.contains(&value)) {
                let values = values.join(", ");
                return Err(format!("has a value of {name} that is none of {values}"));
            }
        }
        for name in NUMBERS {
            let number = self.get(name).map(|value| value.trim().parse::<i32>());
            if number.is_some_and(|number| number.is_err()) {
                return Err(format!("has a value of {name} that is not a whole number"));
            }
        }
        Ok(())
    }

    /// The value of an option.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        let (.., value) = all.find(|(other, ..)| *other == name)?;
        Some(value.expose()).filter(|value| !value.is_empty())
    }

    /// Why an option cannot be followed on a connection with TLS.
    pub(super) fn refused(&self) -> Option<String> {
        self.0.iter().find_map(|(name, part, _)| match part {
            For::Nobody(reason) => Some(format!("has {name}: {reason}")),
            _ => None,
        })
    }

    /// The options that libpq gets.
    pub(super) fn for_libpq(&self) -> Vec<(&'static str, Secret)> {
        let passed = self.0.iter();
        let passed = passed.filter(|(_, part, _)| matches!(part, For::Libpq | For::Both));
        passed
            .map(|(name, _, value)| (*name, value.clone()))
            .collect()
    }
}
