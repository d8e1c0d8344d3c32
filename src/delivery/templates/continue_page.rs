//! The values of the page on which the user decides how to go on.

use minijinja::{Value, context};

use super::values::clean;
use crate::domain::threepid::Medium;

/// The page that asks for a decision: before an address is validated, or before the
/// browser goes to an unknown website.
#[derive(Debug, Clone)]
pub struct ContinuePage {
    /// A sentence for the user: `message`.
    pub message: String,
    /// What the link validates, `email` or `msisdn`: `medium`.
    pub medium: Medium,
    /// What the user decides about.
    pub next: NextStep,
}

/// What happens if the user agrees.
#[derive(Clone)]
pub enum NextStep {
    /// The form with these fields is sent, which validates the address: `fields`, a
    /// list of names and values.
    Confirm(Vec<(&'static str, String)>),
    /// The browser follows the link to that host: `link` and `host`.
    Leave {
        /// The link.
        link: String,
        /// Its host, in the ASCII form that cannot look like another name.
        host: String,
    },
}

// Fields and link contain secrets.
impl std::fmt::Debug for NextStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Confirm(_) => "Confirm(…)",
            Self::Leave { .. } => "Leave(…)",
        })
    }
}

impl ContinuePage {
    pub(super) fn context(&self) -> Value {
        let (fields, link, host) = match &self.next {
            NextStep::Confirm(fields) => (fields.as_slice(), "", ""),
            NextStep::Leave { link, host } => (&[][..], link.as_str(), host.as_str()),
        };
        let fields: Vec<Value> = fields
            .iter()
            .map(|(name, value)| context! { name => *name, value => value.as_str() })
            .collect();
        context! {
            message => clean(&self.message),
            medium => self.medium.as_str(),
            fields => fields,
            link => link,
            host => clean(host),
        }
    }

    pub(super) fn samples() -> [Self; 2] {
        let confirm = NextStep::Confirm(vec![("token", "0123456789abcdef".to_owned())]);
        let leave = NextStep::Leave {
            link: "https://example.org/?sid=1".to_owned(),
            host: "example.org".to_owned(),
        };
        [(confirm, Medium::Email), (leave, Medium::Msisdn)].map(|(next, medium)| Self {
            message: "This is a sample.".to_owned(),
            medium,
            next,
        })
    }
}
