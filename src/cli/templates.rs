//! `sydent templates`: checks and previews templates.

use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::config_file::ConfigFile;
use super::failure::Failure;
use super::new_file::{self, FileAccess};
use super::stdout::{print, print_bytes};
use crate::config::{InviteSettings, TemplateSettings};
use crate::delivery::templates::{PREVIEWS, TemplateError, Templates, check};

#[derive(Debug, Subcommand)]
pub(super) enum TemplatesCommand {
    /// Check the templates of all brands in a folder.
    ///
    /// Renders each with sample values, including hostile ones, and reports all
    /// mistakes.
    #[command(after_help = CHECK_EXIT_CODES)]
    Check {
        /// A folder that contains a folder per brand: `templates.brands_dir`, or
        /// `templates.path` of the Python Sydent.
        dir: PathBuf,
    },
    /// Render the emails and web pages with sample values.
    Preview(Preview),
}

const CHECK_EXIT_CODES: &str = "\
Exit codes:
  0  No mistakes
  1  At least one mistake, or no templates";

#[derive(Debug, Args)]
pub(super) struct Preview {
    /// A folder that contains a folder per brand [default: the templates of the
    /// configuration, or the built-in ones without a configuration].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The brand [default: every brand with --out, otherwise the default brand].
    #[arg(long)]
    brand: Option<String>,
    /// Write files to this folder, in a folder per brand. Existing files are
    /// replaced.
    #[arg(long, value_name = "DIR", required_unless_present = "only")]
    out: Option<PathBuf>,
    /// Render only this template. Without --out, write it to standard output.
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
    let checked = check(dir).map_err(|error| template_failure(&error))?;
    for mistake in &checked.mistakes {
        print(&format!("{mistake}.\n"))?;
    }
    if checked.templates == 0 {
        return Err(Failure::new(format!(
            "{} contains no templates. Give a folder that contains a folder per brand with files \
             such as verification_template.eml.j2.",
            dir.display()
        )));
    }
    let summary = format!(
        "Checked {} in {}",
        plural(checked.templates, "template"),
        plural(checked.brands, "brand")
    );
    match checked.mistakes.len() {
        0 => print(&format!("{summary}: no mistakes.\n")),
        count => Err(Failure::new(format!(
            "{summary}: {}.",
            plural(count, "mistake")
        ))),
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

impl Preview {
    fn run(&self) -> Result<(), Failure> {
        let templates = self.templates()?;
        let brands = match &self.brand {
            None if self.out.is_some() => templates.brand_names().collect(),
            name => vec![templates.brand(name.as_deref())],
        };
        // An unknown name selects the default brand.
        if let Some(name) = &self.brand
            && brands.iter().all(|brand| brand.as_str() != name)
        {
            return Err(Failure::new(format!("Brand {name:?} does not exist.")));
        }
        for brand in &brands {
            for preview in PREVIEWS {
                if self.only.as_ref().is_some_and(|only| only != preview) {
                    continue;
                }
                let bytes = templates
                    .preview(brand, preview)
                    .map_err(|error| template_failure(&error))?;
                self.write(brand.as_str(), preview, &bytes)?;
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
            .map_err(|error| template_failure(&error))
    }

    fn write(&self, brand: &str, preview: &str, bytes: &[u8]) -> Result<(), Failure> {
        let Some(out) = &self.out else {
            return print_bytes(bytes);
        };
        let folder = out.join(brand);
        fs::create_dir_all(&folder).map_err(|error| {
            Failure::new(format!(
                "Cannot create the folder {}: {error}.",
                folder.display()
            ))
        })?;
        let file = folder.join(preview);
        new_file::replace(&file, &String::from_utf8_lossy(bytes), FileAccess::Umask)?;
        print(&format!("{}\n", file.display()))
    }
}

fn template_failure(error: &TemplateError) -> Failure {
    Failure::new(error.to_string())
}
