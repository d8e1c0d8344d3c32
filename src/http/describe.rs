//! What the types in a handler's signature say of its endpoint.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    Components, ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema};

use super::access::Access;
use super::args::Arguments;
use super::call::Call;
use super::fields::Request;
use super::token::AccessToken;
use crate::error::{Error, ErrorBody, Kind};

/// The name of the security scheme of access tokens.
pub(super) const ACCESS_TOKEN: &str = "accessToken";
/// The name of the security scheme of requests that a homeserver signs.
pub(super) const HOMESERVER_SIGNATURE: &str = "homeserverSignature";

const BRAND: &str = "Which templates the server uses; an unknown brand is the default one. A brand \
    in the body takes precedence.";
/// The name of the schema of error bodies.
const ERROR: &str = "Error";

/// What the document says of an operation.
#[derive(Default)]
pub(super) struct Description {
    /// One line.
    pub summary: &'static str,
    /// Its parameters in the path and the query string.
    pub parameters: Vec<Parameter>,
    /// Its body, if it takes one.
    pub body: Option<RequestBody>,
    /// The ways to authenticate, one of which is needed; an empty one means
    /// that a request without is answered as well.
    pub security: Vec<SecurityRequirement>,
    /// The responses that are not errors, by status.
    pub responses: Vec<(&'static str, Response)>,
    /// The errors.
    pub errors: Vec<Kind>,
    /// The schemas that parameters, body and responses refer to.
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

impl Description {
    /// A reference to the schema of a type, which is added.
    pub(super) fn reference<T: ToSchema>(&mut self) -> Ref {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name())
    }

    /// Adds the fields of a type as parameters of the query string.
    pub(super) fn query<T: ToSchema>(&mut self) {
        T::schemas(&mut self.schemas);
        let RefOr::T(Schema::Object(object)) = T::schema() else {
            return;
        };
        for (name, schema) in object.properties {
            let required = object.required.contains(&name);
            let parameter = ParameterBuilder::new()
                .parameter_in(ParameterIn::Query)
                .required(if required {
                    Required::True
                } else {
                    Required::False
                })
                .name(name)
                .schema(Some(schema));
            self.parameters.push(parameter.build());
        }
    }

    /// Adds the brand as a parameter of the query string, where Sydent takes it.
    pub(super) fn query_brand(&mut self) {
        let parameter = ParameterBuilder::new()
            .parameter_in(ParameterIn::Query)
            .name("brand")
            .description(Some(BRAND))
            .schema(Some(String::schema()));
        self.parameters.push(parameter.build());
    }

    /// Sets the body to a type in these content types.
    pub(super) fn body<T: ToSchema>(&mut self, content_types: &[&str], description: Option<&str>) {
        let schema = self.reference::<T>();
        let mut body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .description(description);
        for content_type in content_types {
            let content = ContentBuilder::new().schema(Some(schema.clone()));
            body = body.content(*content_type, content.build());
        }
        self.body = Some(body.build());
        self.errors
            .extend([Kind::BAD_JSON, Kind::REQUEST_TIMEOUT, Kind::BODY_TOO_LARGE]);
    }

    /// Adds a JSON response with the body of a type.
    pub(super) fn response<T: ToSchema>(&mut self, status: &'static str, description: &str) {
        let content = ContentBuilder::new().schema(Some(self.reference::<T>()));
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/json", content.build());
        self.responses.push((status, response.build()));
    }

    /// Adds a response in another content type.
    pub(super) fn text_response(
        &mut self,
        status: &'static str,
        content_type: &str,
        description: &str,
    ) {
        let content = ContentBuilder::new().schema(Some(String::schema()));
        let response = ResponseBuilder::new()
            .description(description)
            .content(content_type, content.build());
        self.responses.push((status, response.build()));
    }

    /// Adds a response without a body.
    pub(super) fn empty_response(&mut self, status: &'static str, description: &str) {
        let response = ResponseBuilder::new().description(description);
        self.responses.push((status, response.build()));
    }

    /// Adds the access token as a way to authenticate.
    pub(super) fn access_token(&mut self) {
        let none: [&str; 0] = [];
        self.security
            .push(SecurityRequirement::new(ACCESS_TOKEN, none));
        self.errors.push(Kind::UNAUTHORIZED);
    }

    /// Adds that a request without authentication is answered as well.
    pub(super) fn no_authentication(&mut self) {
        self.security.push(SecurityRequirement::default());
    }

    /// Adds a homeserver's signature as a way to authenticate.
    pub(super) fn homeserver_signature(&mut self) {
        let none: [&str; 0] = [];
        let requirement = SecurityRequirement::new(HOMESERVER_SIGNATURE, none);
        self.security.push(requirement);
    }
}

/// Adds the schema of error bodies, and the responses that many operations have.
pub(super) fn add_errors(components: &mut Components) {
    let error = (ERROR.to_owned(), ErrorBody::schema());
    components.schemas.extend([error]);
    for (name, kind) in SHARED {
        let response = error_response(kind.when);
        components
            .responses
            .insert(name.to_owned(), response.into());
    }
}

/// Errors that many operations have, each alone with its status.
const SHARED: [(&str, Kind); 5] = [
    ("RequestTimeout", Kind::REQUEST_TIMEOUT),
    ("BodyTooLarge", Kind::BODY_TOO_LARGE),
    ("LimitExceeded", Kind::LIMIT_EXCEEDED),
    ("Internal", Kind::INTERNAL),
    ("Unavailable", Kind::UNAVAILABLE),
];

/// The error responses of an operation, by status.
pub(super) fn errors(kinds: &[Kind]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<StatusCode, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        let known = by_status.entry(kind.status).or_default();
        if !known.contains(kind) {
            known.push(*kind);
        }
    }
    let response = |(status, kinds): (StatusCode, Vec<Kind>)| {
        let shared = SHARED.iter().find(|(_, kind)| kinds == [*kind]);
        let response = if let Some((name, _)) = shared {
            Ref::from_response_name(*name).into()
        } else {
            let lines = kinds
                .iter()
                .map(|kind| format!("- `{}`: {}", kind.errcode, kind.when));
            error_response(&lines.collect::<Vec<_>>().join("\n")).into()
        };
        (status.as_str().to_owned(), response)
    };
    by_status.into_iter().map(response).collect()
}

fn error_response(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ERROR)));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content.build())
        .build()
}

/// A type that a handler takes.
pub(super) trait DescribeRequest {
    /// Adds what the handler reads of a request.
    fn describe(operation: &mut Description);
}

/// A type that a handler returns.
pub(super) trait DescribeResponse {
    /// Adds the responses.
    fn describe(operation: &mut Description);
}

impl<A: Access, S: Arguments, T: Request> DescribeRequest for Call<A, S, T> {
    fn describe(operation: &mut Description) {
        if A::NEEDS_TOKEN {
            operation.access_token();
            let refused = [Kind::HOMESERVER_NOT_ALLOWED, Kind::ACCOUNT_BLOCKED];
            operation.errors.extend(refused);
        }
        if A::NEEDS_TERMS {
            operation.errors.push(Kind::TERMS_NOT_SIGNED);
        }
        operation
            .errors
            .extend([Kind::MISSING_PARAMS, Kind::INVALID_PARAM]);
        if T::HAS_BRAND {
            operation.query_brand();
        }
        if S::CONTENT_TYPES.is_empty() {
            operation.query::<T>();
        } else if A::ANY_FORM {
            let description = "JSON or a form, by the Content-Type. Fields may also be in the \
                query string; those of the body override them.";
            let content_types = ["application/json", "application/x-www-form-urlencoded"];
            operation.body::<T>(&content_types, Some(description));
        } else {
            operation.body::<T>(S::CONTENT_TYPES, None);
        }
    }
}

impl<T: DescribeRequest> DescribeRequest for Result<T, Error> {
    fn describe(operation: &mut Description) {
        T::describe(operation);
        // The handler turns them into responses of its own: pages, which have a brand.
        operation.errors.clear();
        operation.query_brand();
    }
}

impl DescribeRequest for AccessToken {
    fn describe(operation: &mut Description) {
        operation.access_token();
    }
}

impl<T> DescribeRequest for web::Data<T> {
    fn describe(_operation: &mut Description) {}
}

impl DescribeRequest for HttpRequest {
    fn describe(_operation: &mut Description) {}
}

macro_rules! describe_arguments {
    ($($argument:ident),*) => {
        impl<$($argument: DescribeRequest),*> DescribeRequest for ($($argument,)*) {
            fn describe(_operation: &mut Description) {
                $($argument::describe(_operation);)*
            }
        }
    };
}

describe_arguments!();
describe_arguments!(A);
describe_arguments!(A, B);
describe_arguments!(A, B, C);

impl<T: ToSchema> DescribeResponse for web::Json<T> {
    fn describe(operation: &mut Description) {
        operation.response::<T>("200", "Success.");
    }
}

impl<T: DescribeResponse> DescribeResponse for Result<T, Error> {
    fn describe(operation: &mut Description) {
        T::describe(operation);
        operation.errors.extend([Kind::INTERNAL, Kind::UNAVAILABLE]);
    }
}
