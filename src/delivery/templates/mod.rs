//! The texts that people see: mails and pages, written by Jinja2 templates in brand folders.
//!
//! A brand is a folder of templates. What a brand lacks comes, file by file, from the default
//! brand, and what that lacks from the one inside the binary (`config/brands/default`). A mail
//! template writes the whole message, headers included, with the variables' names as the Python
//! Sydent has them, so that its template folders go on working.
//!
//! Everything is read and tried at start. Nothing here reaches outside, reads a clock or makes
//! random values.

mod brand;
mod check;
mod error;
mod folder;
mod invitation;
mod jinja;
mod mime;
mod normalize;
mod preview;
mod python_format;
mod urlencode;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::{Environment, Value};

pub use brand::BrandName;
pub use check::{Checked, Mistake, check};
pub use error::TemplateError;
pub use invitation::InvitationMail;
pub(crate) use jinja::format as escaping_formatter;
pub use preview::PREVIEWS;
pub(crate) use values::in_words;
pub use values::{VerificationMail, VerifyResponse};

use crate::config::TemplateSettings;
use folder::Sources;
use normalize::LONGEST_LINE;

/// The mail that carries the link and the code of an e-mail validation.
const VERIFICATION_MAIL: &str = "verification_template.eml.j2";
/// The mail that invites somebody to a room.
const INVITATION_MAIL: &str = "invite_template.eml.j2";
/// The settings that hold the subjects of invitations: to a room, and to a space.
const SUBJECTS: [&str; 2] = ["invites.subject_room", "invites.subject_space"];
/// The page behind the mailed link.
const VERIFY_RESPONSE: &str = "verify_response_template.html";
/// Each template's file, and the setting that names a single one for all brands.
const SINGLE_FILES: [(&str, &str); 3] = [
    (VERIFICATION_MAIL, "templates.verification_mail"),
    (INVITATION_MAIL, "templates.invitation_mail"),
    (VERIFY_RESPONSE, "templates.verify_response"),
];
/// The brand inside the binary.
const BUILT_IN: &str = "default";

/// All brands' templates, read and tried.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    sources: Arc<Sources>,
    brands: BTreeMap<String, Brand>,
    default_brand: BrandName,
}

/// The names of the templates that a brand uses, its own or inherited.
#[derive(Debug, Clone)]
struct Brand {
    verification_mail: String,
    invitation_mail: String,
    verify_response: String,
}

impl Templates {
    /// Reads every brand folder in `brands_dir`, and the single files, and renders each template
    /// once with sample values.
    ///
    /// Without a folder there is the default brand inside the binary only. `default_brand` is the
    /// brand for requests that name none, or one that does not exist.
    ///
    /// # Errors
    ///
    /// A folder or template cannot be read, `default_brand` does not exist, or a template does not
    /// compile or render, or writes a mail line that is too long for SMTP. The text is a sentence
    /// that names the file, and the line where there is one.
    pub fn load(settings: &TemplateSettings) -> Result<Self, TemplateError> {
        let sources = Arc::new(Sources::read(settings)?);
        let default_brand = settings.default_brand.as_deref().unwrap_or(BUILT_IN);
        if default_brand != BUILT_IN && !sources.brands().any(|brand| brand == default_brand) {
            return Err(TemplateError::UnknownDefaultBrand {
                name: default_brand.to_owned(),
                known: sources.brands().map(str::to_owned).collect(),
            });
        }
        let find = |brand: &str, file: &str| sources.resolve(&[brand, default_brand], file);
        let brands = sources
            .brands()
            .chain([default_brand])
            .map(|brand| {
                let templates = Brand {
                    verification_mail: find(brand, VERIFICATION_MAIL),
                    invitation_mail: find(brand, INVITATION_MAIL),
                    verify_response: find(brand, VERIFY_RESPONSE),
                };
                (brand.to_owned(), templates)
            })
            .collect();
        let templates = Self {
            environment: jinja::environment(Arc::clone(&sources)),
            default_brand: BrandName::new(default_brand),
            sources,
            brands,
        };
        templates
            .brands
            .values()
            .try_for_each(|brand| templates.try_out(brand))?;
        Ok(templates)
    }

    /// The brand for a request's `brand` parameter: that one if it exists, else the default brand.
    ///
    /// What was asked for is only compared, never used as a path.
    #[must_use]
    pub fn brand(&self, asked: Option<&str>) -> BrandName {
        match asked.and_then(|asked| self.brands.get_key_value(asked)) {
            Some((known, _)) => BrandName::new(known),
            None => self.default_brand.clone(),
        }
    }

    /// The whole mail, headers and body, with CRLF line ends and not yet dot-stuffed.
    ///
    /// A brand that no longer exists means the default brand: a queued mail may outlive it.
    ///
    /// # Errors
    ///
    /// The template fails on these values. The text does not contain them.
    pub fn verification_mail(
        &self,
        brand: &BrandName,
        values: &VerificationMail,
    ) -> Result<Vec<u8>, TemplateError> {
        let name = self
            .templates_of(brand)
            .map(|brand| &brand.verification_mail);
        self.render(name, values.context())
            .map(|text| finished(&text).into_bytes())
            .map_err(TemplateError::without_reason)
    }

    /// Takes the subjects of invitations to rooms and to spaces, as templates.
    ///
    /// # Errors
    ///
    /// One of them does not compile or render. The text names the setting.
    pub fn with_subjects(mut self, room: &str, space: &str) -> Result<Self, TemplateError> {
        for (name, text) in SUBJECTS.into_iter().zip([room, space]) {
            // A subject is no HTML.
            let text = format!("{{% autoescape false %}}{text}{{% endautoescape %}}");
            let broken = |error| TemplateError::broken_setting(&error, name);
            self.environment
                .add_template_owned(name, text)
                .map_err(broken)?;
            let template = self.environment.get_template(name).map_err(broken)?;
            for values in InvitationMail::samples() {
                template.render(values.context()).map_err(broken)?;
            }
        }
        Ok(self)
    }

    /// The whole invitation, as [`Self::verification_mail`].
    ///
    /// # Errors
    ///
    /// The template fails on these values. The text does not contain them.
    pub fn invitation_mail(
        &self,
        brand: &BrandName,
        values: &InvitationMail,
    ) -> Result<Vec<u8>, TemplateError> {
        let name = self.templates_of(brand).map(|brand| &brand.invitation_mail);
        self.invitation(name, values)
            .map(|text| finished(&text).into_bytes())
            .map_err(TemplateError::without_reason)
    }

    fn invitation(
        &self,
        name: Option<&String>,
        values: &InvitationMail,
    ) -> Result<String, TemplateError> {
        let [room, space] = SUBJECTS;
        let subject = if values.is_space() { space } else { room };
        let mut context = values.context();
        let subject = match self.environment.get_template(subject) {
            Ok(template) => template
                .render(&context)
                .map_err(|error| TemplateError::broken_setting(&error, subject))?,
            Err(_not_set) => "An invitation to Matrix".to_owned(),
        };
        let subject = values::clean(&subject);
        let header = Value::from_safe_string(mime::subject(&subject));
        context.insert("subject".to_owned(), subject.into());
        context.insert("subject_header_value".to_owned(), header);
        self.render(name, context.into())
    }

    /// The page that answers somebody who opened the mailed link.
    ///
    /// # Errors
    ///
    /// The template fails on these values. The text does not contain them.
    pub fn verify_response_page(
        &self,
        brand: &BrandName,
        values: &VerifyResponse,
    ) -> Result<String, TemplateError> {
        let name = self.templates_of(brand).map(|brand| &brand.verify_response);
        self.render(name, values.context())
            .map_err(TemplateError::without_reason)
    }

    fn templates_of(&self, brand: &BrandName) -> Option<&Brand> {
        self.brands
            .get(brand.as_str())
            .or_else(|| self.brands.get(self.default_brand.as_str()))
    }

    fn render(&self, name: Option<&String>, context: Value) -> Result<String, TemplateError> {
        let name = name.map_or(BUILT_IN, String::as_str);
        self.environment
            .get_template(name)
            .and_then(|template| template.render(context))
            .map_err(|error| TemplateError::broken(&error, name, &self.sources))
    }

    /// Renders what a brand uses with every value present, and with the optional ones absent.
    fn try_out(&self, brand: &Brand) -> Result<(), TemplateError> {
        for values in VerificationMail::samples() {
            let mail = self.render(Some(&brand.verification_mail), values.context())?;
            self.has_short_lines(&mail, &brand.verification_mail)?;
        }
        for values in InvitationMail::samples() {
            let mail = self.invitation(Some(&brand.invitation_mail), &values)?;
            self.has_short_lines(&mail, &brand.invitation_mail)?;
        }
        for values in VerifyResponse::samples() {
            self.render(Some(&brand.verify_response), values.context())?;
        }
        Ok(())
    }

    fn has_short_lines(&self, mail: &str, name: &str) -> Result<(), TemplateError> {
        match finished(mail)
            .lines()
            .position(|line| line.len() > LONGEST_LINE)
        {
            None => Ok(()),
            Some(line) => Err(TemplateError::LineTooLong {
                file: self.sources.file(name),
                line: line + 1,
                longest: LONGEST_LINE,
            }),
        }
    }
}

/// What a mail template wrote, as it is sent.
fn finished(text: &str) -> String {
    normalize::normalize(mime::with_crlf(text))
}
