//! Terms of service.
//!
//! - [`GET /_matrix/identity/v2/terms`](https://spec.matrix.org/v1.19/identity-service-api/#get_matrixidentityv2terms)
//! - [`POST /_matrix/identity/v2/terms`](https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2terms)

use std::collections::BTreeMap;

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actor::accounts::AcceptTerms;
use crate::app::App;
use crate::domain::terms::{Document, Policy, Terms};
use crate::error::Error;
use crate::http::access::V2BeforeTerms;
use crate::http::args::Body;
use crate::http::call::Call;
use crate::http::empty::Empty;
use crate::http::fields::Request;
use crate::http::resource::Endpoint;

/// The policies in force.
#[derive(Serialize, ToSchema)]
pub struct TermsResponse {
    /// The policies by ID.
    policies: BTreeMap<String, PolicyInLanguages>,
}

// Clients take every other key than `version` for a language (TOS-01).
/// A policy in all its languages.
#[derive(Serialize, ToSchema)]
struct PolicyInLanguages {
    version: String,
    /// The policy by language code.
    #[serde(flatten)]
    languages: BTreeMap<String, PolicyDocument>,
}

/// A policy in one language.
#[derive(Serialize, ToSchema)]
struct PolicyDocument {
    name: String,
    url: String,
}

impl From<&Terms> for TermsResponse {
    fn from(terms: &Terms) -> Self {
        let policies = terms.policies();
        Self {
            policies: policies
                .map(|(id, policy)| (id.to_owned(), policy.into()))
                .collect(),
        }
    }
}

impl From<&Policy> for PolicyInLanguages {
    fn from(policy: &Policy) -> Self {
        let languages = policy.languages();
        Self {
            version: policy.version().to_owned(),
            languages: languages
                .map(|(code, document)| (code.to_owned(), document.into()))
                .collect(),
        }
    }
}

impl From<&Document> for PolicyDocument {
    fn from(document: &Document) -> Self {
        Self {
            name: document.name().to_owned(),
            url: document.url().to_owned(),
        }
    }
}

pub(in crate::http) const LIST: Endpoint = Endpoint {
    summary: "List the policies that users must accept",
    errors: &[],
};

/// Returns the policies in force. No token is needed, and a bad one is ignored
/// (AUTH-12).
pub async fn list(app: web::Data<App>) -> web::Json<TermsResponse> {
    web::Json(app.terms.current().as_ref().into())
}

/// The policies that a user accepts.
#[derive(Deserialize, ToSchema)]
pub struct AcceptTermsRequest {
    /// The URL of each policy in one of its languages; some can be accepted now
    /// and others later.
    user_accepts: Vec<String>,
}

impl Request for AcceptTermsRequest {}

pub(in crate::http) const ACCEPT: Endpoint = Endpoint {
    summary: "Accept policies",
    errors: &[],
};

/// Stores which policies a user accepts.
///
/// # Errors
/// `400 M_INVALID_PARAM` when none of the URLs is that of a policy (TOS-09).
pub async fn accept(
    app: web::Data<App>,
    mut call: Call<V2BeforeTerms, Body, AcceptTermsRequest>,
) -> Result<web::Json<Empty>, Error> {
    let given = call.request()?.user_accepts;
    let urls = app
        .terms
        .current()
        .filter_current(given.iter().map(String::as_str));
    if urls.is_empty() && !given.is_empty() {
        let reason = "none of these is the URL of a policy of this server";
        return Err(Error::invalid_param("user_accepts", reason));
    }
    if let (Some(user), false) = (call.caller.into_user(), urls.is_empty()) {
        let now = app.clock.now().as_i64();
        app.accounts.send(AcceptTerms { user, urls, now }).await?;
    }
    Ok(web::Json(Empty {}))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn response(docs: &Value) -> Value {
        let terms: Terms = serde_json::from_value(json!({ "docs": docs })).unwrap();
        serde_json::to_value(TermsResponse::from(&terms)).unwrap()
    }

    /// TOS-01
    #[test]
    fn json_lists_languages_beside_the_version() {
        let document = |url: &str| json!({ "name": "A policy", "url": url });
        let docs = json!({
            "privacy": { "version": "1.2", "langs": {
                "en": document("https://a/p-en"), "fr": document("https://a/p-fr"),
            } },
            "terms": { "version": "5", "langs": { "en": document("https://a/t-en") } },
        });
        let expected = json!({ "policies": {
            "privacy": {
                "version": "1.2",
                "en": document("https://a/p-en"), "fr": document("https://a/p-fr"),
            },
            "terms": { "version": "5", "en": document("https://a/t-en") },
        } });
        assert_eq!(response(&docs), expected);
        assert_eq!(response(&json!({})), json!({ "policies": {} }));
    }
}
