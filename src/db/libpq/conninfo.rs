//! What libpq is given to connect (`PostgreSQL` documentation, section "Keyword/Value
//! Connection Strings").

use zeroize::Zeroizing;

use crate::config::{PostgresConnection, PostgresHost};

/// What libpq would otherwise take from the environment. Without TLS of its own, it
/// refuses some values even if it need not use them.
const WITHOUT_TLS: [(&str, &str); 7] = [
    ("sslmode", "disable"),
    ("sslnegotiation", "postgres"),
    ("sslrootcert", ""),
    ("sslcertmode", "disable"),
    ("channel_binding", "disable"),
    ("gssencmode", "disable"),
    ("load_balance_hosts", "disable"),
];

/// A string of keywords and values.
pub(super) struct Conninfo(Zeroizing<String>);

impl Conninfo {
    /// The options of the URL, and the defaults for those that it does not set.
    pub(super) fn new(connection: &PostgresConnection, defaults: &[(&str, &str)]) -> Self {
        let mut conninfo = Self(Zeroizing::new(String::new()));
        for (name, value) in connection.options() {
            conninfo.add(name, value);
        }
        for (name, value) in defaults {
            if connection.option(name).is_none() {
                conninfo.add(name, value);
            }
        }
        for (name, value) in WITHOUT_TLS {
            conninfo.add(name, value);
        }
        conninfo
    }

    /// The server itself, for a connection without TLS.
    pub(super) fn add_host(&mut self, host: &PostgresHost) {
        if let Some(name) = &host.name {
            self.add("host", name);
        }
        if let Some(address) = &host.address {
            self.add("hostaddr", address);
        }
        self.add("port", &host.port.to_string());
    }

    /// The Unix socket of a tunnel, whatever the environment says about servers.
    pub(super) fn add_socket(&mut self, folder: &str) {
        for (name, value) in [
            ("host", folder),
            ("port", super::tunnel::PORT),
            ("hostaddr", ""),
            ("requirepeer", ""),
        ] {
            self.add(name, value);
        }
    }

    /// A later value of an option replaces an earlier one.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        for part in [name, "='"] {
            self.0.push_str(part);
        }
        for letter in value.chars() {
            if matches!(letter, '\'' | '\\') {
                self.0.push('\\');
            }
            self.0.push(letter);
        }
        self.0.push_str("' ");
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Conninfo;
    use crate::config::DatabaseUrl;

    #[test]
    fn values_are_quoted() {
        let url = "postgres://o%27neil:a%5C%20b@db/x?options=-c%20a%3D1";
        let Ok(DatabaseUrl::Postgres(url)) = DatabaseUrl::parse(url) else {
            panic!("it is a URL");
        };
        let Some(connection) = url.opened() else {
            return;
        };
        let mut conninfo = Conninfo::new(connection, &[("connect_timeout", "5")]);
        conninfo.add_host(&connection.hosts[0]);
        assert_eq!(
            conninfo.as_str(),
            "dbname='x' options='-c a=1' password='a\\\\ b' user='o\\'neil' \
             connect_timeout='5' sslmode='disable' sslnegotiation='postgres' sslrootcert='' \
             sslcertmode='disable' channel_binding='disable' gssencmode='disable' \
             load_balance_hosts='disable' host='db' port='5432' "
        );
    }
}
