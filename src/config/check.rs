//! Checks settings and converts them into the configuration of the server.

use super::checker::Checker;
use super::http::check_overlap;
use super::problem::Problems;
use super::{Config, Settings, inline_secrets};

impl Settings {
    /// Checks all settings and converts them into their final types. Reads the files
    /// that settings name.
    ///
    /// # Errors
    /// All problems, each with what to write instead (OPS-08).
    pub fn into_config(self) -> Result<Config, Problems> {
        let secrets = inline_secrets::keys(&self);
        let origins = self.origins;
        let mut checker =
            Checker::new(&origins).with_strict_permissions(self.server.strict_permissions);
        checker.warnings.extend(origins.mistaken.iter().cloned());
        let checker_ref = &mut checker;
        inline_secrets::warn_if_exposed(&secrets, checker_ref);
        let email = self.email.check(self.server.name.as_ref(), checker_ref);
        let sms = self.sms.check(checker_ref);
        let replication = self
            .replication
            .check(self.server.name.as_ref(), checker_ref);
        let server = self.server.check(checker_ref);
        if let Some(server) = &server {
            replication.check_key_id(&server.key_id, checker_ref);
        }
        let database = self.database.check(checker_ref);
        let has_proxy = server
            .as_ref()
            .is_some_and(|server| server.public_base_url.as_str().starts_with("https://"));
        self.http.check(has_proxy, checker_ref);
        self.accounts.check(checker_ref);
        self.internal.check(checker_ref);
        let listeners = [
            ("http.listen", self.http.listen.as_slice()),
            ("internal.listen", self.internal.listen.as_slice()),
            ("operations.listen", self.operations.listen.as_slice()),
            ("replication.listen", replication.listen.as_slice()),
        ];
        check_overlap(listeners, checker_ref);
        let validation = self.validation.check(checker_ref);
        let v1 = self.v1.check(checker_ref);
        self.lookup.check(checker_ref);
        self.retention.check(checker_ref);
        self.limits.check(&self.lookup, checker_ref);
        let invites = self.invites.check(checker_ref);
        let templates = self.templates.check(checker_ref);
        let terms = self.terms.check(checker_ref);
        self.delivery.check(self.http.request_timeout, checker_ref);
        let federation = self.federation.check(&v1, checker_ref);
        let Checker {
            problems, warnings, ..
        } = checker;
        match (server, database, email, sms) {
            (Some(server), Some(database), Some(email), Some(sms)) if problems.is_empty() => {
                Ok(Config {
                    server,
                    database,
                    http: self.http,
                    v1,
                    internal: self.internal,
                    operations: self.operations,
                    accounts: self.accounts,
                    validation,
                    lookup: self.lookup,
                    retention: self.retention,
                    invites,
                    limits: self.limits,
                    templates,
                    terms,
                    email,
                    sms,
                    delivery: self.delivery,
                    federation,
                    replication,
                    log: self.log,
                    origins,
                    warnings,
                })
            }
            _ => Err(Problems::new(problems)),
        }
    }
}
