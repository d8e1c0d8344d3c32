//! A path with its methods: what serves it, and what the documentation says of it.

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::guard::{Guard, GuardContext};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{FromRequest, Handler, HttpResponse, Responder, Route, web};
use utoipa::openapi::HttpMethod;

use super::describe::{DescribeRequest, DescribeResponse, Description};
use super::envelope::catch_panic;
use super::v1_gate;
use crate::error::{Error, Kind};

/// What the types of a handler do not say of its endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endpoint {
    /// One line for the documentation.
    pub summary: &'static str,
    /// The errors that its types do not imply.
    pub errors: &'static [Kind],
}

/// A path with its methods.
pub(super) struct Resource {
    path: String,
    operations: Vec<Operation>,
    /// The error that all methods return when the configuration disables them.
    disabled: Option<fn() -> Error>,
    /// Whether only the clients that may use v1 reach it, apart from pages.
    is_v1: bool,
}

/// A method of a path.
pub(super) struct Operation {
    methods: &'static [Method],
    documented: HttpMethod,
    route: Route,
    endpoint: Endpoint,
    describe: fn(&mut Description),
    /// Whether a person's browser opens it.
    is_page: bool,
}

/// The documentation of a method of a path.
pub(super) struct Described {
    /// The method.
    pub method: HttpMethod,
    /// What is said of it.
    pub description: Description,
}

impl Resource {
    /// Whether its path has a part that varies.
    pub(super) fn is_pattern(&self) -> bool {
        self.path.contains('{')
    }
}

/// A path with its methods.
pub(super) fn resource<const N: usize>(
    path: impl Into<String>,
    operations: [Operation; N],
) -> Resource {
    Resource {
        path: path.into(),
        operations: operations.into(),
        disabled: None,
        is_v1: false,
    }
}

/// `GET`, and with it `HEAD`.
pub(super) fn get<F, Args>(handler: F, endpoint: Endpoint) -> Operation
where
    F: Handler<Args>,
    Args: FromRequest + DescribeRequest + 'static,
    F::Output: Responder + DescribeResponse + 'static,
{
    let methods = &[Method::GET, Method::HEAD];
    operation(methods, HttpMethod::Get, handler, endpoint)
}

/// `GET` without `HEAD`: a link that validates an address when a person opens it,
/// and does nothing when a mail scanner sends `HEAD`.
pub(super) fn visit<F, Args>(handler: F, endpoint: Endpoint) -> Operation
where
    F: Handler<Args>,
    Args: FromRequest + DescribeRequest + 'static,
    F::Output: Responder + DescribeResponse + 'static,
{
    Operation {
        is_page: true,
        ..operation(&[Method::GET], HttpMethod::Get, handler, endpoint)
    }
}

/// `POST` from the form of a page.
pub(super) fn submit_form<F, Args>(handler: F, endpoint: Endpoint) -> Operation
where
    F: Handler<Args>,
    Args: FromRequest + DescribeRequest + 'static,
    F::Output: Responder + DescribeResponse + 'static,
{
    Operation {
        is_page: true,
        ..post(handler, endpoint)
    }
}

/// `POST`.
pub(super) fn post<F, Args>(handler: F, endpoint: Endpoint) -> Operation
where
    F: Handler<Args>,
    Args: FromRequest + DescribeRequest + 'static,
    F::Output: Responder + DescribeResponse + 'static,
{
    operation(&[Method::POST], HttpMethod::Post, handler, endpoint)
}

/// A page that only `GET` and `HEAD` reach and that is not part of the API.
pub(super) fn undocumented_page<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let operation = Operation {
        methods: &[Method::GET, Method::HEAD],
        documented: HttpMethod::Get,
        route: web::to(handler),
        endpoint: Endpoint {
            summary: "",
            errors: &[],
        },
        describe: |_description| {},
        is_page: true,
    };
    resource(path, [operation])
}

fn operation<F, Args>(
    methods: &'static [Method],
    documented: HttpMethod,
    handler: F,
    endpoint: Endpoint,
) -> Operation
where
    F: Handler<Args>,
    Args: FromRequest + DescribeRequest + 'static,
    F::Output: Responder + DescribeResponse + 'static,
{
    Operation {
        methods,
        documented,
        route: web::to(handler),
        endpoint,
        describe: |description| {
            Args::describe(description);
            <F::Output as DescribeResponse>::describe(description);
        },
        is_page: false,
    }
}

impl Resource {
    /// The same path, all of whose methods return an error unless they are
    /// `enabled`.
    #[must_use]
    pub(super) fn enabled_if(mut self, enabled: bool, error: fn() -> Error) -> Self {
        if !enabled {
            self.disabled = Some(error);
        }
        self
    }

    /// The same path, which only clients that may use v1 reach; pages are open, since
    /// links in messages lead to them.
    #[must_use]
    pub(super) fn for_v1_clients(mut self) -> Self {
        self.is_v1 = true;
        self
    }

    /// The path, with names in braces.
    #[must_use]
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The documentation of each method.
    pub(super) fn describe(&self) -> impl Iterator<Item = Described> {
        self.operations.iter().map(|operation| {
            let mut description = Description {
                summary: operation.endpoint.summary,
                ..Description::default()
            };
            (operation.describe)(&mut description);
            description.errors.extend(operation.endpoint.errors);
            Described {
                method: operation.documented.clone(),
                description,
            }
        })
    }
}

impl HttpServiceFactory for Resource {
    fn register(self, config: &mut AppService) {
        let mut resource = web::resource(self.path);
        if let Some(error) = self.disabled {
            let refuse = move || std::future::ready(Err::<HttpResponse, _>(error()));
            return resource.to(refuse).register(config);
        }
        let mut allow = vec!["OPTIONS"];
        for operation in self.operations {
            allow.extend(operation.methods.iter().map(Method::as_str));
            let mut route = operation.route.guard(AllowedMethods(operation.methods));
            if self.is_v1 && !operation.is_page {
                route = route.wrap(from_fn(v1_gate::admit));
            }
            resource = resource.route(route);
        }
        let allow = allow.join(", ");
        resource
            .default_service(web::to(move || {
                let error = Error::wrong_method(allow.clone());
                std::future::ready(Err::<HttpResponse, _>(error))
            }))
            .wrap(from_fn(catch_panic))
            .register(config);
    }
}

struct AllowedMethods(&'static [Method]);

impl Guard for AllowedMethods {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        self.0.contains(&context.head().method)
    }
}
