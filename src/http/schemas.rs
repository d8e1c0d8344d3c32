//! How the document shows the types of the domain: as strings.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::email::CanonicalEmail;
use crate::domain::ids::{KeyId, Mxid, ServerName};
use crate::domain::invite::RoomId;
use crate::domain::invite_key::InviteKey;
use crate::domain::lookup::{Algorithm, Pepper};
use crate::domain::secret::{ClientSecret, InviteToken, Sid, Token};
use crate::domain::threepid::Medium;

macro_rules! strings {
    ($($type:ty: $name:literal, $description:literal, $example:literal;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some($description))
                    .examples([$example])
                    .into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )*};
}

strings! {
    Mxid: "UserId", "A Matrix user ID of at most 255 bytes.", "@alice:example.org";
    ServerName: "ServerName", "A Matrix server name of at most 255 bytes.", "example.org";
    KeyId: "KeyId", "The ID of a signing key.", "ed25519:0";
    RoomId: "RoomId", "The ID of a room, of 1 to 255 bytes.", "!room:example.org";
    CanonicalEmail: "EmailAddress", "An email address of at most 254 bytes without a display name. It is case-folded.", "alice@example.org";
    Medium: "Medium", "The kind of an address: email or msisdn.", "email";
    ClientSecret: "ClientSecret", "A secret that the client chooses: 1 to 255 characters of a-z, A-Z, 0-9 and .=_-", "monkeys_are_GREAT";
    Sid: "SessionId", "The ID of a validation session: 1 to 255 characters of a-z, A-Z, 0-9 and .=_-", "q1w2e3";
    Token: "ValidationToken", "What the owner of an address reads in the message: 1 to 255 characters.", "123456";
    InviteToken: "InviteToken", "The token of an invitation: 1 to 255 characters of a-z, A-Z, 0-9 and .=_-", "a1b2c3";
    InviteKey: "InvitePrivateKey", "The 32 bytes of an Ed25519 seed, in base64 of either alphabet, padded or not.", "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";
    Algorithm: "LookupAlgorithm", "How a lookup writes addresses: sha256 or none.", "sha256";
    Pepper: "Pepper", "What is hashed with every address: ASCII letters and digits.", "matrixrocks";
}
