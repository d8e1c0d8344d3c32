//! Mails and pages, rendered from Jinja2 templates in brand folders.
//!
//! A brand is a folder of templates. A file that a brand does not have comes from the default
//! brand, and one that the default brand does not have from the brand that is built into the binary
//! (`config/brands/default`). A mail template renders the whole message, headers included. The
//! variables have the names of the Python Sydent, so its template folders keep working.
//!
//! All templates are read and test-rendered at start. This module does no network I/O, reads no
//! clock and generates no random values.

mod brand;
mod check;
mod continue_page;
mod entity;
mod error;
mod folder;
mod html;
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
pub use check::{CheckReport, Mistake, check};
pub use continue_page::{ContinuePage, NextStep};
pub use error::TemplateError;
pub use invitation::InvitationMail;
pub(crate) use jinja::escaping_formatter;
pub use preview::PREVIEWS;
pub(crate) use values::in_words;
pub use values::{VerificationMail, VerifyResponse};

use crate::config::TemplateSettings;
use folder::Sources;
use normalize::{LONGEST_LINE, first_long_line, normalize};

/// The mail with the link and the code of an email validation.
const VERIFICATION_MAIL: &str = "verification_template.eml.j2";
/// The mail that invites an address to a room.
const INVITATION_MAIL: &str = "invite_template.eml.j2";
/// The settings with the subjects of invitations: to a room, and to a space.
const SUBJECTS: [&str; 2] = ["invites.subject_room", "invites.subject_space"];
/// The page that the validation link opens.
const VERIFY_RESPONSE: &str = "verify_response_template.html";
/// The page on which the user decides how to go on.
const VERIFY_CONTINUE: &str = "verify_continue_template.html";
/// The file of each template that a setting can name, and the setting that replaces it for all brands.
const SINGLE_FILES: [(&str, &str); 3] = [
    (VERIFICATION_MAIL, "templates.verification_mail"),
    (INVITATION_MAIL, "templates.invitation_mail"),
    (VERIFY_RESPONSE, "templates.verify_response"),
];
/// The brand that is built into the binary.
const BUILT_IN: &str = "default";

/// The templates of all brands, read and test-rendered.
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
    verify_continue: String,
}

impl Templates {
    /// Reads the brand folders in `brands_dir` and the single files, and renders each template with
    /// sample values.
    ///
    /// Without a folder, only the built-in brand exists. `default_brand` is the brand for requests
    /// without a brand or with an unknown one.
    ///
    /// # Errors
    ///
    /// A folder or template cannot be read, `default_brand` does not exist, a template does not
    /// compile or render, or it renders a mail line that is too long for SMTP. The error is a
    /// sentence that names the file and, where possible, the line.
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
                    verify_continue: find(brand, VERIFY_CONTINUE),
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
            .try_for_each(|brand| templates.test_render(brand))?;
        Ok(templates)
    }

    /// The brand for a request's `brand` parameter: that one if it exists, else the default brand.
    ///
    /// The parameter is only compared with the names of brands and never used as a path.
    #[must_use]
    pub fn brand(&self, requested: Option<&str>) -> BrandName {
        match requested.and_then(|name| self.brands.get_key_value(name)) {
            Some((known, _)) => BrandName::new(known),
            None => self.default_brand.clone(),
        }
    }

    /// Renders the whole mail, headers and body, with CRLF line ends and without dot-stuffing.
    ///
    /// A brand that no longer exists means the default brand: a queued mail may outlive its brand.
    ///
    /// # Errors
    ///
    /// The template cannot be rendered with these values. The error does not contain them.
    pub fn verification_mail(
        &self,
        brand: &BrandName,
        values: &VerificationMail,
    ) -> Result<Vec<u8>, TemplateError> {
        let name = self
            .brand_templates(brand)
            .map(|brand| &brand.verification_mail);
        self.render(name, values.context())
            .map(|text| build_message(&text).into_bytes())
            .map_err(TemplateError::without_reason)
    }

    /// Sets the subjects of invitations to rooms and to spaces, which are templates.
    ///
    /// # Errors
    ///
    /// One of them does not compile or render. The error names the setting.
    pub fn with_subjects(mut self, room: &str, space: &str) -> Result<Self, TemplateError> {
        for (name, text) in SUBJECTS.into_iter().zip([room, space]) {
            // A subject is not HTML.
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

    /// Renders an invitation, as [`Self::verification_mail`] does.
    ///
    /// # Errors
    ///
    /// The template cannot be rendered with these values. The error does not contain them.
    pub fn invitation_mail(
        &self,
        brand: &BrandName,
        values: &InvitationMail,
    ) -> Result<Vec<u8>, TemplateError> {
        let name = self
            .brand_templates(brand)
            .map(|brand| &brand.invitation_mail);
        self.render_invitation(name, values)
            .map(|text| build_message(&text).into_bytes())
            .map_err(TemplateError::without_reason)
    }

    fn render_invitation(
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

    /// Renders the page for a user who opened the validation link.
    ///
    /// # Errors
    ///
    /// The template cannot be rendered with these values. The error does not contain them.
    pub fn verify_response_page(
        &self,
        brand: &BrandName,
        values: &VerifyResponse,
    ) -> Result<String, TemplateError> {
        let name = self
            .brand_templates(brand)
            .map(|brand| &brand.verify_response);
        self.render(name, values.context())
            .map_err(TemplateError::without_reason)
    }

    /// Renders the page on which the user decides how to go on.
    ///
    /// # Errors
    ///
    /// The template cannot be rendered with these values. The error does not contain them.
    pub fn continue_page(
        &self,
        brand: &BrandName,
        values: &ContinuePage,
    ) -> Result<String, TemplateError> {
        let name = self
            .brand_templates(brand)
            .map(|brand| &brand.verify_continue);
        self.render(name, values.context())
            .map_err(TemplateError::without_reason)
    }

    fn brand_templates(&self, brand: &BrandName) -> Option<&Brand> {
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

    /// Renders the templates of a brand with all values, and without the optional ones.
    fn test_render(&self, brand: &Brand) -> Result<(), TemplateError> {
        for values in VerificationMail::samples() {
            let mail = self.render(Some(&brand.verification_mail), values.context())?;
            self.check_line_lengths(&mail, &brand.verification_mail)?;
        }
        for values in InvitationMail::samples() {
            let mail = self.render_invitation(Some(&brand.invitation_mail), &values)?;
            self.check_line_lengths(&mail, &brand.invitation_mail)?;
        }
        for values in VerifyResponse::samples() {
            self.render(Some(&brand.verify_response), values.context())?;
        }
        for values in ContinuePage::samples() {
            self.render(Some(&brand.verify_continue), values.context())?;
        }
        Ok(())
    }

    fn check_line_lengths(&self, rendered: &str, name: &str) -> Result<(), TemplateError> {
        match first_long_line(&build_message(rendered)) {
            None => Ok(()),
            Some(line) => Err(TemplateError::LineTooLong {
                file: self.sources.file(name),
                line,
                longest: LONGEST_LINE,
            }),
        }
    }
}

/// Builds the message to send from the text that a mail template rendered.
fn build_message(rendered: &str) -> String {
    normalize(mime::with_crlf(rendered))
}
