//! `sydent templates`: what is wrong with templates, and what they look like.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::config_file::ConfigFile;
use super::new_file::{self, FileAccess};
use super::{Failure, print};
use crate::config::{InviteSettings, TemplateSettings};
use crate::delivery::templates::{PREVIEWS, TemplateError, Templates, check};

#[derive(Debug, Subcommand)]
pub(super) enum TemplatesCommand {
    /// Name everything that is wrong with the templates of all brands in a
    /// folder. Each is filled in with sample values, also with such as an
    /// attacker would send. The exit code is 1 if anything is wrong.
    Check {
        /// A folder with a folder per brand: `templates.brands_dir`, or what
        /// the Python Sydent calls `templates.path`.
        dir: PathBuf,
    },
    /// Write the mails and pages with made-up values, for looking at them.
    Preview(Preview),
}

#[derive(Debug, Args)]
pub(super) struct Preview {
    /// A folder with a folder per brand. When left out, what the configuration
    /// says, or else the templates that are built in.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The brand. When left out, every brand with --out, else the default one.
    #[arg(long)]
    brand: Option<String>,
    /// The folder to write to, with a folder per brand in it. Files that are
    /// there already are replaced.
    #[arg(long, value_name = "DIR", required_unless_present = "only")]
    out: Option<PathBuf>,
    /// Only this one; without --out it is written to standard output.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(PREVIEWS))]
    only: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

impl TemplatesCommand {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Check { dir } => check_folder(dir),
            Self::Preview(preview) => preview.run(),
        }
    }
}

fn check_folder(dir: &Path) -> Result<(), Failure> {
    let checked = check(dir).map_err(|error| unusable(&error))?;
    for mistake in &checked.mistakes {
        print(&format!("{mistake}.\n"))?;
    }
    let looked_at = format!(
        "{} in {} looked at",
        counted(checked.templates, "template"),
        counted(checked.brands, "brand")
    );
    if checked.templates == 0 {
        return Err(Failure::new(format!(
            "{} holds no templates: it must have a folder per brand, and in that files such as \
             verification_template.eml.j2.",
            dir.display()
        )));
    }
    match checked.mistakes.len() {
        0 => print(&format!("{looked_at}: nothing is wrong.\n")),
        wrong => Err(Failure::new(format!(
            "{looked_at}: {}.",
            counted(wrong, "mistake")
        ))),
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl Preview {
    fn run(&self) -> Result<(), Failure> {
        let templates = self.templates()?;
        let brands = match &self.brand {
            None if self.out.is_some() => templates.brand_names().collect(),
            asked => vec![templates.brand(asked.as_deref())],
        };
        if let Some(asked) = &self.brand
            && brands.iter().all(|brand| brand.as_str() != asked)
        {
            return Err(Failure::new(format!("There is no brand {asked:?}.")));
        }
        for brand in &brands {
            for what in PREVIEWS {
                if self.only.as_ref().is_some_and(|only| only != what) {
                    continue;
                }
                let bytes = templates
                    .preview(brand, what)
                    .map_err(|error| unusable(&error))?;
                self.write(brand.as_str(), what, &bytes)?;
            }
        }
        Ok(())
    }

    fn templates(&self) -> Result<Templates, Failure> {
        let settings = self.file.settings_if_given()?;
        let (mut templates, invites) = match settings {
            Some(settings) => {
                let config = settings.into_config()?;
                (config.templates, config.invites)
            }
            None => (TemplateSettings::default(), InviteSettings::default()),
        };
        if self.dir.is_some() {
            templates = TemplateSettings {
                brands_dir: self.dir.clone(),
                ..TemplateSettings::default()
            };
        }
        Templates::load(&templates)
            .and_then(|all| all.with_subjects(&invites.subject_room, &invites.subject_space))
            .map_err(|error| unusable(&error))
    }

    fn write(&self, brand: &str, what: &str, bytes: &[u8]) -> Result<(), Failure> {
        let Some(out) = &self.out else {
            return match io::stdout().lock().write_all(bytes) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
                _ => Ok(()),
            };
        };
        let folder = out.join(brand);
        fs::create_dir_all(&folder)?;
        let file = folder.join(what);
        new_file::replace(&file, &String::from_utf8_lossy(bytes), FileAccess::Umask)?;
        print(&format!("{}\n", file.display()))
    }
}

fn unusable(error: &TemplateError) -> Failure {
    Failure::new(error.to_string())
}
