//! Every status and errcode that a refusal can have: the table that the error
//! constructors and the API documentation share.

use actix_web::http::StatusCode;

/// The errcode of an unknown path or method (GEN-10).
pub const UNRECOGNIZED: &str = "M_UNRECOGNIZED";

/// A kind of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The status of the response.
    pub status: StatusCode,
    /// Its `errcode`.
    pub errcode: &'static str,
    /// When the server answers so, for the API documentation.
    pub when: &'static str,
}

macro_rules! kinds {
    ($($name:ident: $status:ident $errcode:expr, $when:literal;)*) => {
        impl Kind {
            $(
                #[doc = $when]
                pub const $name: Self = Self {
                    status: StatusCode::$status,
                    errcode: $errcode,
                    when: $when,
                };
            )*

            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

kinds! {
    // Requests in general.
    MISSING_PARAMS: BAD_REQUEST "M_MISSING_PARAMS", "a required field is missing or null; `error` names all that are missing";
    INVALID_PARAM: BAD_REQUEST "M_INVALID_PARAM", "a field has the wrong type or format; `error` names it";
    BAD_JSON: BAD_REQUEST "M_BAD_JSON", "the body is not a JSON object";
    NOT_JSON: BAD_REQUEST "M_NOT_JSON", "the Content-Type is not application/json";
    UNKNOWN_PATH: NOT_FOUND UNRECOGNIZED, "there is no endpoint at this path";
    WRONG_METHOD: METHOD_NOT_ALLOWED UNRECOGNIZED, "the endpoint does not support this method";
    REQUEST_TIMEOUT: REQUEST_TIMEOUT "M_UNKNOWN", "the body did not arrive in time";
    BODY_TOO_LARGE: PAYLOAD_TOO_LARGE "M_TOO_LARGE", "the body is too large";
    LIMIT_EXCEEDED: TOO_MANY_REQUESTS "M_LIMIT_EXCEEDED", "too many requests; see `retry_after_ms` and the Retry-After header";
    FOREIGN_ORIGIN: FORBIDDEN "M_FORBIDDEN", "the request comes from a web page of another site";
    V1_DISABLED: FORBIDDEN "M_FORBIDDEN", "version 1 of the API is disabled";
    V1_LIMITED: FORBIDDEN "M_FORBIDDEN", "version 1 of the API is limited to other clients";
    INTERNAL: INTERNAL_SERVER_ERROR "M_UNKNOWN", "an internal error";
    UNAVAILABLE: SERVICE_UNAVAILABLE "M_UNKNOWN", "the server is overloaded or shutting down, or its database is unavailable; see the Retry-After header";

    // Accounts and terms.
    UNAUTHORIZED: UNAUTHORIZED "M_UNAUTHORIZED", "the access token is missing or unknown";
    UNKNOWN_TOKEN: UNAUTHORIZED "M_UNKNOWN_TOKEN", "the access token is unknown";
    TERMS_NOT_SIGNED: FORBIDDEN "M_TERMS_NOT_SIGNED", "the user has not accepted the terms of service";
    WRONG_USER: FORBIDDEN "M_UNAUTHORIZED", "the access token belongs to another user";
    OPENID_TOKEN_REFUSED: UNAUTHORIZED "M_UNAUTHORIZED", "the homeserver rejected the OpenID token";
    FOREIGN_USER: FORBIDDEN "M_UNAUTHORIZED", "the homeserver returned a user of another homeserver";
    HOMESERVER_NOT_ALLOWED: FORBIDDEN "M_UNAUTHORIZED", "users of this homeserver are not allowed";
    ACCOUNT_BLOCKED: FORBIDDEN "M_FORBIDDEN", "the administrator has blocked the user or the homeserver";
    HOMESERVER_UNREACHABLE: GATEWAY_TIMEOUT "M_UNKNOWN", "the homeserver could not be contacted";
    BAD_HOMESERVER_RESPONSE: BAD_GATEWAY "M_UNKNOWN", "the homeserver returned an unusable response";

    // Validation sessions.
    INVALID_EMAIL: BAD_REQUEST "M_INVALID_EMAIL", "the email address is not valid";
    EMAIL_SEND_ERROR: BAD_REQUEST "M_EMAIL_SEND_ERROR", "the email could not be sent";
    INVALID_ADDRESS: BAD_REQUEST "M_INVALID_ADDRESS", "the country or the phone number is not valid";
    SEND_ERROR: BAD_REQUEST "M_SEND_ERROR", "the SMS could not be sent";
    DESTINATION_REJECTED: BAD_REQUEST "M_DESTINATION_REJECTED", "the server does not send SMS to this country";
    TOKEN_INCORRECT: BAD_REQUEST "M_TOKEN_INCORRECT", "the token is not the one that was sent; `success` is false";
    WRONG_SESSION: BAD_REQUEST "M_INVALID_PARAM", "there is no such session, or it has another `client_secret`; `success` is false";
    SESSION_EXPIRED: BAD_REQUEST "M_SESSION_EXPIRED", "the validation session has expired";
    LINK_PREFETCHED: FORBIDDEN "M_FORBIDDEN", "a program opened the link in advance";
    SESSION_NOT_VALIDATED: BAD_REQUEST "M_SESSION_NOT_VALIDATED", "the session has not been validated yet";
    NO_VALID_SESSION: NOT_FOUND "M_NO_VALID_SESSION", "there is no such session, or it has another `client_secret`";

    // Keys and lookups.
    KEY_NOT_FOUND: NOT_FOUND "M_NOT_FOUND", "the server has no key with this ID";
    INVALID_PEPPER: BAD_REQUEST "M_INVALID_PEPPER", "the pepper is not the current one, which is in `lookup_pepper`";
    TOO_MANY_ADDRESSES: BAD_REQUEST "M_TOO_LARGE", "the lookup has too many addresses";

    // Invitations.
    MEDIUM_NOT_INVITED: BAD_REQUEST UNRECOGNIZED, "only email addresses can be invited";
    THREEPID_IN_USE: BAD_REQUEST "M_THREEPID_IN_USE", "the address is bound to the user in `mxid`";
    INVITE_BLOCKED: FORBIDDEN "M_UNAUTHORIZED", "the administrator blocks this invitation";
    INVITE_NOT_FOUND: NOT_FOUND UNRECOGNIZED, "there is no pending invitation with this token";

    // Unbind. A homeserver takes 400, 404 and 501 for "cannot unbind" and
    // forgets the binding, so session errors are 403 here (UNB-08).
    UNBIND_REFUSED: FORBIDDEN "M_FORBIDDEN", "the signature or the session does not prove the right to unbind";
    UNBIND_UNAUTHENTICATED: UNAUTHORIZED "M_UNAUTHORIZED", "the request has no signature, session or valid access token, or is signed for another server";
    UNBIND_SESSION_EXPIRED: FORBIDDEN "M_SESSION_EXPIRED", "the validation session has expired";
    UNBIND_SESSION_NOT_VALIDATED: FORBIDDEN "M_SESSION_NOT_VALIDATED", "the session has not been validated yet";
    UNBIND_NO_VALID_SESSION: FORBIDDEN "M_NO_VALID_SESSION", "there is no such session, or it has another `client_secret`";

    // Replication.
    TOO_MANY_ASSOCIATIONS: BAD_REQUEST "M_TOO_LARGE", "the push has too many associations";
    VERIFICATION_FAILED: BAD_REQUEST "M_VERIFICATION_FAILED", "the associations in `failed_ids` are not signed by the peer or malformed; none was stored";

    // Captured mail.
    MAIL_NOT_FOUND: NOT_FOUND "M_NOT_FOUND", "there is no captured message with this name";
}
