//! The OpenAPI document of all listeners, made from the routes and from the
//! types that their handlers take and return.

use utoipa::openapi::info::{Info, InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::{OperationBuilder, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, Deprecated, OpenApi, OpenApiBuilder, Paths};

use super::describe::{self, ACCESS_TOKEN, Description, HOMESERVER_SIGNATURE};
use super::resource::Resource;
use super::routes;
use crate::config::V1Settings;

/// The document as formatted JSON.
///
/// # Errors
/// Never, since every key of the document is a string.
pub fn json() -> Result<String, serde_json::Error> {
    document().to_pretty_json().map(|json| json + "\n")
}

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    let mut paths = Paths::new();
    let mut components = Components::new();
    let mut tags = Vec::new();
    for (name, description, resources) in listeners() {
        for resource in resources {
            add(&mut paths, &mut components, name, &resource);
        }
        let tag = TagBuilder::new().name(name);
        tags.push(tag.description(Some(description)).build());
    }
    describe::add_errors(&mut components);
    add_security(&mut components);
    OpenApiBuilder::new()
        .info(info())
        .paths(paths)
        .components(Some(components))
        .tags(Some(tags))
        .build()
}

fn info() -> Info {
    InfoBuilder::new()
        .title("Matrix identity server")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The Matrix identity service API, its deprecated version 1, and the other interfaces \
             of this server. The configuration can disable version 1, whose endpoints then answer \
             403 `M_FORBIDDEN`. Requests may have further fields; null counts as absent. Every \
             endpoint answers OPTIONS, and every GET but submitToken also HEAD.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
        .build()
}

/// The endpoints of each listener, with its name and what it is for.
fn listeners() -> [(&'static str, &'static str, Vec<Resource>); 4] {
    [
        (
            "client",
            "For clients and homeservers.",
            routes::client_resources(&V1Settings::default()),
        ),
        (
            "internal",
            "For tools on the same machine, without authentication; requests of web pages of \
             other sites get 403 `M_FORBIDDEN`. An extension of the specification.",
            routes::internal_resources().into(),
        ),
        (
            "replication",
            "For other servers of a mesh, with a TLS client certificate. An extension of the \
             specification.",
            routes::replication_resources().into(),
        ),
        (
            "operations",
            "For monitoring. An extension of the specification.",
            routes::operations_resources().into(),
        ),
    ]
}

/// Adds the operations of a path, and the schemas that they use.
fn add(paths: &mut Paths, components: &mut Components, tag: &str, resource: &Resource) {
    let is_v1 = resource.path().starts_with(routes::V1_PATH);
    for mut described in resource.describe() {
        let schemas = std::mem::take(&mut described.description.schemas);
        components.schemas.extend(schemas);
        let operation = operation(described.description)
            .tag(tag)
            .deprecated(is_v1.then_some(Deprecated::True));
        let item = PathItem::new(described.method, operation.build());
        let known = paths.paths.entry(resource.path().to_owned());
        known.or_default().merge_operations(item);
    }
}

fn operation(description: Description) -> OperationBuilder {
    let mut operation = OperationBuilder::new()
        .summary(Some(description.summary))
        .request_body(description.body);
    for parameter in description.parameters {
        operation = operation.parameter(parameter);
    }
    for requirement in description.security {
        operation = operation.security(requirement);
    }
    let mut responses = describe::errors(&description.errors);
    for (status, response) in description.responses {
        responses.insert(status.to_owned(), response.into());
    }
    for (status, response) in responses {
        operation = operation.response(status, response);
    }
    operation
}

fn add_security(components: &mut Components) {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An access token of this identity server, from account/register.",
        ));
    components.add_security_scheme(ACCESS_TOKEN, SecurityScheme::Http(token.build()));
    let signature = ApiKeyValue::with_description(
        "Authorization",
        "An X-Matrix signature of the homeserver of `mxid`, as for the server-server API.",
    );
    let signature = SecurityScheme::ApiKey(ApiKey::Header(signature));
    components.add_security_scheme(HOMESERVER_SIGNATURE, signature);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn every_error_is_documented() {
        let mut documented = vec![
            // Of every listener, or of a whole one.
            Kind::UNKNOWN_PATH,
            Kind::WRONG_METHOD,
            Kind::FOREIGN_ORIGIN,
            Kind::V1_DISABLED,
            Kind::V1_LIMITED,
            // Of pages that are not part of the API.
            Kind::MAIL_NOT_FOUND,
            // Of pages, which say it in words.
            Kind::LINK_PREFETCHED,
        ];
        for (_, _, resources) in listeners() {
            for described in resources.iter().flat_map(Resource::describe) {
                documented.extend(described.description.errors);
            }
        }
        for kind in Kind::ALL {
            assert!(documented.contains(kind), "{kind:?}");
        }
    }
}
