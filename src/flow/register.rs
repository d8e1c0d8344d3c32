//! Register: ask a homeserver who its user is, and open an account.

use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::actor::accounts::OpenAccount;
use crate::actor::federation::{CallError, UserInfoError};
use crate::app::App;
use crate::domain::ids::ServerName;
use crate::domain::secret::TokenHash;
use crate::error::Error;
use crate::random;

/// Letters and digits of an access token: about 380 bits, from the operating
/// system (AUTH-15).
const TOKEN_LENGTH: usize = 64;

/// Gives the user whom the homeserver vouches for a fresh access token to this
/// server. The client is known by its IP address. Other tokens of the user stay (ACC-15).
///
/// # Errors
/// See ACC-08, ACC-12, ACC-14; no account is opened then.
pub async fn register(
    app: &App,
    client: Option<IpAddr>,
    server: &ServerName,
    openid_token: &str,
) -> Result<Zeroizing<String>, Error> {
    app.register_limits
        .take_for_homeserver(client, server)
        .map_err(Error::limit_exceeded)?;
    let user = app
        .federation
        .user_info(server, openid_token)
        .await?
        .map_err(|error| refusal(server, &error))?;
    let token = Zeroizing::new(random::alphanumeric(TOKEN_LENGTH)?);
    let open = OpenAccount {
        user,
        token_hash: TokenHash::of(&token),
        now: app.clock.now(),
    };
    app.accounts.send(open).await?;
    Ok(token)
}

fn refusal(server: &ServerName, error: &UserInfoError) -> Error {
    log::info!("a registration failed: {server}: {error}");
    match error {
        UserInfoError::UnknownToken => Error::openid_token_refused(),
        UserInfoError::ForeignUser => Error::user_of_another_homeserver(),
        UserInfoError::Unreachable(CallError::NotAllowed) => Error::homeserver_not_allowed(),
        UserInfoError::Unreachable(_) => Error::homeserver_unreachable(),
        UserInfoError::BadAnswer(_) => Error::homeserver_answered_badly(),
    }
}
