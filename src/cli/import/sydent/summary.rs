//! What `sydent import sydent` prints at its end.

use std::fmt;
use std::path::Path;

use crate::config::SecretUrl;
use crate::import::conf::Converted;
use crate::import::data::Report;

/// The outcome of an import, for the administrator.
pub(super) struct Summary<'a> {
    pub(super) converted: &'a Converted,
    /// `None` when only the configuration was imported.
    pub(super) report: Option<&'a Report>,
    pub(super) config: &'a Path,
    pub(super) key_file: &'a Path,
    /// The URL of the database; it is masked here.
    pub(super) database: &'a str,
    pub(super) dry_run: bool,
}

const NO_DATA: &str = "Only the configuration and the key were imported, no data: the new server \
    will have none of Sydent's associations, accounts and invitations.\n";

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(f, "Review in the configuration:", &self.converted.remarks)?;
        let unsupported: Vec<String> = self
            .converted
            .without_counterpart
            .iter()
            .map(|(key, reason)| format!("{key}: {reason}."))
            .collect();
        list(f, "Settings without a counterpart:", &unsupported)?;
        match self.report {
            Some(report) => write!(f, "{report}")?,
            None => f.write_str(NO_DATA)?,
        }
        if self.dry_run {
            return f.write_str("This was a dry run: nothing was written.\n");
        }
        write!(
            f,
            "\nWrote {} and the signing key {}; the database is {:?}.\nNext: sydent config check \
             --config {}\n",
            self.config.display(),
            self.key_file.display(),
            SecretUrl::from(self.database.to_owned()),
            self.config.display()
        )
    }
}

fn list(f: &mut fmt::Formatter<'_>, heading: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    write!(f, "{heading}\n- {}\n\n", lines.join("\n- "))
}
