//! The way back: writes the data of this server as a database of a Python Sydent
//! (OPS-07).

use std::collections::HashMap;
use std::path::Path;

use crate::config::Config;
use crate::db::export_source::{self, Exported, ExportedRow, WHOLE_TERMS};
use crate::db::import_target::SqlValue;
use crate::db::sydent::{NewSydent, Query, Sydent, SydentTable, replay_mark};
use crate::db::{Conn, Database, DbError, Owner, peppers};
use crate::domain::base64;
use crate::domain::ids::ServerName;
use crate::domain::public_key::PublicKey;
use crate::domain::secret::TokenHash;
use crate::domain::signing::KeyRing;

/// How many rows of each kind were exported.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    /// With the name of each kind.
    pub rows: Vec<(&'static str, u64)>,
}

/// Writes the new database. `old` is the database of Sydent that was imported once:
/// this server knows access tokens by their hashes only, and takes from there those
/// that are still valid. `now` is the time, ms.
///
/// # Errors
/// When a database cannot be read or written; an incomplete file is left then.
pub(crate) fn export(
    config: &Config,
    keys: &KeyRing,
    old: Option<&mut Sydent>,
    path: &Path,
    now: i64,
) -> Result<Exports, DbError> {
    let database = Database::new(config.database.url.clone(), config.database.busy_timeout);
    let mut store = database.writer_on_current_schema(Some(Owner {
        name: &config.server.name,
        keys,
    }))?;
    store.snapshot(|source| {
        let mut export = Export {
            source,
            target: NewSydent::create(path)?,
            origin: &config.server.name,
            now,
            last_id: 0,
            exports: Exports::default(),
        };
        export.bindings()?;
        export.replicated()?;
        export.invites()?;
        export.accounts()?;
        if let Some(old) = old {
            export.tokens(old)?;
        }
        export.peers(config)?;
        export.pepper()?;
        export.mark()?;
        export.target.finish(export.last_id)?;
        Ok(export.exports)
    })
}

struct Export<'a> {
    source: &'a mut Conn,
    target: NewSydent,
    origin: &'a ServerName,
    now: i64,
    last_id: i64,
    exports: Exports,
}

impl Export<'_> {
    /// Inserts into `table` what `convert` makes of each row.
    fn copy(
        &mut self,
        exported: Exported<'_>,
        table: SydentTable,
        convert: impl Fn(&ExportedRow) -> Vec<Vec<SqlValue>>,
    ) -> Result<u64, DbError> {
        let (mut count, target) = (0, &mut self.target);
        export_source::for_each_page(self.source, exported, |rows| {
            let rows = rows.iter().flat_map(&convert).collect();
            count += target.insert(table, rows)?;
            Ok::<(), DbError>(())
        })?;
        Ok(count)
    }

    /// Bindings and removals keep the numbers that the peers know.
    fn bindings(&mut self) -> Result<(), DbError> {
        let own = Exported::OwnChanges(self.origin, self.now);
        let count = self.copy(own, SydentTable::Local, local_row)?;
        self.copy(own, SydentTable::Global, |row| {
            let [medium, address, mxid, hash, other_hash, signed, origin] = row.texts();
            let [id, removed_at, ts, not_before, not_after] = row.numbers();
            let Some(origin) = origin.filter(|_| removed_at.is_none() && signed.is_some()) else {
                return Vec::new();
            };
            let association = [medium, address, hash, mxid, signed];
            let times = [ts, not_before, not_after];
            global_rows(association, other_hash, times, origin, id.unwrap_or(0))
        })?;
        self.exports.rows.push(("bindings and removals", count));
        let last_id = &mut self.last_id;
        export_source::for_each_page(self.source, own, |rows| {
            let ids = rows.iter().filter_map(|row| row.numbers()[0]);
            *last_id = ids.fold(*last_id, i64::max);
            Ok(())
        })
    }

    fn replicated(&mut self) -> Result<(), DbError> {
        let replicated = Exported::Replicated(self.origin, self.now);
        let count = self.copy(replicated, SydentTable::Global, |row| {
            let [medium, address, mxid, hash, other_hash, signed, origin] = row.texts();
            let [id, ts, not_before, not_after, number] = row.numbers();
            let association = [medium, address, hash, mxid, signed];
            let times = [ts, not_before, not_after];
            // A negative number is in nobody's way.
            let unknown = -id.unwrap_or(0).saturating_mul(2);
            let number = number.filter(|number| *number > 0).unwrap_or(unknown);
            global_rows(
                association,
                other_hash,
                times,
                origin.unwrap_or_default(),
                number,
            )
        })?;
        self.exports.rows.push(("associations of peers", count));
        Ok(())
    }

    fn invites(&mut self) -> Result<(), DbError> {
        let count = self.copy(Exported::Invites, SydentTable::Invites, |row| {
            let [token, medium, address, room, sender, ..] = row.texts();
            let [received, delivered, ..] = row.numbers();
            let mut values: Vec<SqlValue> = [token, medium, address, room, sender]
                .map(|text| text.map(str::to_owned).into())
                .into();
            values.extend([received, delivered].map(|ms| ms.map(|ms| ms / 1000).into()));
            vec![values]
        })?;
        self.exports.rows.push(("invites", count));
        let count = self.copy(Exported::EphemeralKeys, SydentTable::EphemeralKeys, |row| {
            let [key, ..] = row.texts();
            let [created, ..] = row.numbers();
            // Sydent compares texts, and homeservers ask with either alphabet.
            let key = key.unwrap_or_default();
            let mut forms = vec![key.to_owned()];
            let other =
                PublicKey::from_base64(key).map(|key| base64::encode_url_safe(key.as_bytes()));
            forms.extend(other.filter(|other| other != key));
            let row = |form: String| vec![form.into(), created.map(|ms| ms / 1000).into()];
            forms.into_iter().map(row).collect()
        })?;
        self.exports.rows.push(("invite keys", count));
        Ok(())
    }

    fn accounts(&mut self) -> Result<(), DbError> {
        let count = self.copy(Exported::Accounts, SydentTable::Accounts, |row| {
            let [user, terms, ..] = row.texts();
            let [created, ..] = row.numbers();
            let version = terms.and_then(|terms| terms.strip_prefix(WHOLE_TERMS));
            vec![vec![
                user.unwrap_or_default().into(),
                created.unwrap_or(0).into(),
                version.map(str::to_owned).into(),
            ]]
        })?;
        self.exports.rows.push(("accounts", count));
        let count = self.copy(Exported::AcceptedTerms, SydentTable::AcceptedTerms, |row| {
            let [user, url, ..] = row.texts();
            vec![vec![
                user.unwrap_or_default().into(),
                url.unwrap_or_default().into(),
            ]]
        })?;
        self.exports.rows.push(("accepted terms", count));
        Ok(())
    }

    /// The tokens in Sydent's old database that are still valid.
    fn tokens(&mut self, old: &mut Sydent) -> Result<(), DbError> {
        let query = Query {
            table: "tokens",
            id: "NULL",
            texts: &["token"],
            numbers: &[],
            clauses: "",
        };
        let mut count = 0;
        let (source, target) = (&mut *self.source, &mut self.target);
        old.for_each_page(&query, |rows| {
            let tokens: HashMap<String, String> = rows
                .iter()
                .filter_map(|row| row.texts()[0].map(str::to_owned))
                .map(|token| (TokenHash::new(&token).as_str().to_owned(), token))
                .collect();
            let hashes: Vec<String> = tokens.keys().cloned().collect();
            export_source::for_each_page(source, Exported::AccessTokens(&hashes), |rows| {
                let valid = rows.iter().filter_map(|row| {
                    let [hash, user, ..] = row.texts();
                    let token = tokens.get(hash?)?;
                    Some(vec![token.as_str().into(), user?.into()])
                });
                count += target.insert(SydentTable::Tokens, valid.collect())?;
                Ok::<(), DbError>(())
            })
        })?;
        self.exports.rows.push(("access tokens", count));
        Ok(())
    }

    /// The peers of the configuration, and how far each has heard.
    fn peers(&mut self, config: &Config) -> Result<(), DbError> {
        let mut heard: HashMap<String, (Option<i64>, Option<i64>)> = HashMap::new();
        export_source::for_each_page(self.source, Exported::Peers, |rows| {
            heard.extend(rows.iter().filter_map(|row| {
                let [sent_id, sent_at, ..] = row.numbers();
                Some((row.texts()[0]?.to_owned(), (sent_id, sent_at)))
            }));
            Ok::<(), DbError>(())
        })?;
        let (mut peers, mut keys) = (Vec::new(), Vec::new());
        for (name, peer) in &config.replication.peers {
            let (sent_id, sent_at) = heard.get(name.as_str()).copied().unwrap_or_default();
            self.last_id = self.last_id.max(sent_id.unwrap_or(0));
            let is_active = 1;
            peers.push(vec![
                name.as_str().into(),
                sent_id.into(),
                sent_at.into(),
                is_active.into(),
            ]);
            let key = peer.public_key.to_base64();
            keys.push(vec![name.as_str().into(), "ed25519".into(), key.into()]);
        }
        let count = self.target.insert(SydentTable::Peers, peers)?;
        self.target.insert(SydentTable::PeerKeys, keys)?;
        self.exports.rows.push(("peers", count));
        Ok(())
    }

    fn pepper(&mut self) -> Result<(), DbError> {
        let only = 0;
        let pepper = peppers::current(self.source)?.map(|stored| stored.pepper);
        let rows = pepper.map(|pepper| vec![only.into(), pepper.as_str().into()]);
        self.target
            .insert(SydentTable::Pepper, rows.into_iter().collect())?;
        Ok(())
    }

    /// Has Sydent take all changes for answered: see [`replay_mark`].
    fn mark(&mut self) -> Result<(), DbError> {
        self.last_id = self.last_id.saturating_add(1);
        let mark = replay_mark(self.origin.as_str(), self.last_id);
        self.target.insert(SydentTable::Global, vec![mark])?;
        Ok(())
    }
}

/// The local row of a change: a binding, or a removal, which has no user.
fn local_row(row: &ExportedRow) -> Vec<Vec<SqlValue>> {
    let [medium, address, mxid, hash, _, signed, _] = row.texts();
    let [id, removed_at, ts, not_before, not_after] = row.numbers();
    // Sydent would publish a binding that a peer's removal hides again.
    let hidden_since = ts.filter(|_| mxid.is_some() && signed.is_none());
    let removed_at = removed_at.or(hidden_since);
    let text = |text: Option<&str>| SqlValue::from(text.map(str::to_owned));
    let first = [id.into(), text(medium), text(address)];
    let rest: [SqlValue; 5] = match (removed_at, mxid) {
        (Some(removed_at), _) => [
            None::<String>.into(),
            None::<String>.into(),
            removed_at.into(),
            None::<i64>.into(),
            None::<i64>.into(),
        ],
        (None, Some(_)) => [
            text(hash),
            text(mxid),
            ts.into(),
            not_before.into(),
            not_after.into(),
        ],
        (None, None) => return Vec::new(),
    };
    vec![first.into_iter().chain(rest).collect()]
}

/// The rows that Sydent answers lookups with: one for each hash by which the
/// association is found. `association` is medium, address, hash, mxid and signed form.
fn global_rows(
    [medium, address, hash, mxid, signed]: [Option<&str>; 5],
    other_hash: Option<&str>,
    times: [Option<i64>; 3],
    origin: &str,
    number: i64,
) -> Vec<Vec<SqlValue>> {
    let row = |hash: &str, number: i64| {
        let text = |text: Option<&str>| SqlValue::from(text.map(str::to_owned));
        let mut values = vec![text(medium), text(address), hash.into(), text(mxid)];
        values.extend(times.map(SqlValue::from));
        values.extend([origin.into(), number.into(), text(signed)]);
        values
    };
    // The second one has a number that no change has.
    let second_number = number.saturating_sub(1 << 53);
    hash.map(|hash| row(hash, number))
        .into_iter()
        .chain(other_hash.map(|hash| row(hash, second_number)))
        .collect()
}
