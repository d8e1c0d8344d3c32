//! All routes, for tests that go through them.

/// Which listener serves a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    Client,
    Internal,
    Operations,
}

/// A path and its methods, without `OPTIONS`, and without `HEAD`, which goes with
/// `GET`.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub listener: Listener,
    pub path: &'static str,
    pub methods: &'static [&'static str],
}

/// What a request needs in addition to its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// An access token.
    Account,
    /// An access token of a user who accepted the terms.
    Terms,
}

impl Route {
    /// The last two columns of "Endpoints" in docs/requirements.md.
    pub fn needs(&self, method: &str) -> Needs {
        let Some(rest) = self.path.strip_prefix(super::V2) else {
            return Needs::Nothing;
        };
        let page = [
            "/validate/email/submitToken",
            "/validate/msisdn/submitToken",
        ];
        let open = match method {
            "GET" => ["", "/", "/terms"].contains(&rest) || page.contains(&rest),
            _ => ["/account/register", "/3pid/unbind"].contains(&rest) || self.is_form(),
        };
        match rest {
            _ if open || rest.starts_with("/pubkey/") => Needs::Nothing,
            "/account/logout" | "/terms" => Needs::Account,
            _ => Needs::Terms,
        }
    }

    pub fn takes(&self, method: &str) -> bool {
        self.methods.contains(&method)
    }

    /// Whether `GET` returns an HTML page.
    pub fn is_page(&self) -> bool {
        self.path.ends_with("/submitToken")
    }

    /// Whether the form of a page is sent there.
    pub fn is_form(&self) -> bool {
        self.path.ends_with("/confirm")
    }

    /// Pages do not, because link scanners must not validate a session.
    pub fn takes_head(&self) -> bool {
        self.takes("GET") && !self.is_page()
    }

    /// Whether it exists only if v1 is enabled.
    pub fn is_v1_only(&self) -> bool {
        let is_permanent = self.path.contains("/pubkey/") || self.path.ends_with("/sign-ed25519");
        self.path.starts_with(super::V1) && !is_permanent
    }
}

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];

const fn client(path: &'static str, methods: &'static [&'static str]) -> Route {
    Route {
        listener: Listener::Client,
        path,
        methods,
    }
}

const fn internal(path: &'static str, methods: &'static [&'static str]) -> Route {
    Route {
        listener: Listener::Internal,
        path,
        methods,
    }
}

const fn operations(path: &'static str) -> Route {
    Route {
        listener: Listener::Operations,
        path,
        methods: GET,
    }
}

/// All routes of `src/http/routes.rs`, except [`CAPTURED_MAIL`]. A test compares
/// them.
pub const ROUTES: &[Route] = &[
    client("/_matrix/identity/versions", GET),
    client("/_matrix/identity/v2", GET),
    client("/_matrix/identity/v2/", GET),
    client("/_matrix/identity/v2/account/register", POST),
    client("/_matrix/identity/v2/account", GET),
    client("/_matrix/identity/v2/account/logout", POST),
    client("/_matrix/identity/v2/terms", &["GET", "POST"]),
    client("/_matrix/identity/v2/validate/email/requestToken", POST),
    client(
        "/_matrix/identity/v2/validate/email/submitToken",
        &["POST", "GET"],
    ),
    client("/_matrix/identity/v2/validate/msisdn/requestToken", POST),
    client(
        "/_matrix/identity/v2/validate/msisdn/submitToken",
        &["POST", "GET"],
    ),
    client("/_matrix/identity/v2/validate/email/confirm", POST),
    client("/_matrix/identity/v2/validate/msisdn/confirm", POST),
    client("/_matrix/identity/v2/3pid/getValidated3pid", GET),
    client("/_matrix/identity/v2/3pid/bind", POST),
    client("/_matrix/identity/v2/store-invite", POST),
    client("/_matrix/identity/v2/sign-ed25519", POST),
    client("/_matrix/identity/api/v1/store-invite", POST),
    client("/_matrix/identity/api/v1/sign-ed25519", POST),
    client("/_matrix/identity/v2/pubkey/isvalid", GET),
    client("/_matrix/identity/v2/pubkey/ephemeral/isvalid", GET),
    client("/_matrix/identity/v2/pubkey/ed25519:0", GET),
    client("/_matrix/identity/api/v1/pubkey/isvalid", GET),
    client("/_matrix/identity/api/v1/pubkey/ephemeral/isvalid", GET),
    client("/_matrix/identity/api/v1/pubkey/ed25519:0", GET),
    client("/_matrix/identity/api/v1", GET),
    client("/_matrix/identity/api/v1/", GET),
    client("/_matrix/identity/api/v1/validate/email/requestToken", POST),
    client(
        "/_matrix/identity/api/v1/validate/email/submitToken",
        &["POST", "GET"],
    ),
    client(
        "/_matrix/identity/api/v1/validate/msisdn/requestToken",
        POST,
    ),
    client(
        "/_matrix/identity/api/v1/validate/msisdn/submitToken",
        &["POST", "GET"],
    ),
    client("/_matrix/identity/api/v1/validate/email/confirm", POST),
    client("/_matrix/identity/api/v1/validate/msisdn/confirm", POST),
    client("/_matrix/identity/api/v1/3pid/getValidated3pid", GET),
    client("/_matrix/identity/api/v1/3pid/bind", POST),
    client("/_matrix/identity/v2/3pid/unbind", POST),
    client("/_matrix/identity/api/v1/3pid/unbind", POST),
    client("/_matrix/identity/v2/hash_details", GET),
    client("/_matrix/identity/v2/lookup", POST),
    client("/_matrix/identity/api/v1/lookup", GET),
    client("/_matrix/identity/api/v1/bulk_lookup", POST),
    internal("/_matrix/identity/internal/bind", POST),
    internal("/_matrix/identity/internal/unbind", POST),
    internal("/_matrix/identity/internal/lookup", GET),
    operations("/health"),
    operations("/ready"),
    operations("/metrics"),
];

/// The pages of the internal listener while mail is written to a folder.
pub const CAPTURED_MAIL: &[&str] = &[
    "/",
    "/mail",
    "/mail/newest.eml",
    "/mail/newest",
    "/mail/newest/html",
    "/mail/newest/text",
];

/// The routes of one listener.
pub fn routes_of(listener: Listener) -> impl Iterator<Item = &'static Route> {
    ROUTES
        .iter()
        .filter(move |route| route.listener == listener)
}

/// Every route that accepts `POST` with a body; logout has none (GEN-03).
pub fn posts() -> impl Iterator<Item = &'static Route> {
    let reads_body = |route: &&Route| {
        route.takes("POST") && !route.path.ends_with("/logout") && !route.is_form()
    };
    ROUTES.iter().filter(reads_body)
}
