//! Register: verifies an `OpenID` token with its homeserver and opens an account.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::{FlowError, HomeserverProblem, charges};
use crate::actor::accounts::OpenAccount;
use crate::actor::federation::{CallError, UserInfoError};
use crate::app::App;
use crate::domain::ids::ServerName;
use crate::domain::secret::TokenHash;
use crate::random;

/// Letters and digits of an access token: about 380 bits (AUTH-15).
const TOKEN_LENGTH: usize = 64;

/// Returns a fresh access token for the user of the `OpenID` token. Other tokens
/// of the user stay valid (ACC-15).
///
/// # Errors
/// [`FlowError::Limited`], [`FlowError::UnknownOpenIdToken`],
/// [`FlowError::ForeignUser`], [`FlowError::Homeserver`] or
/// [`FlowError::AccountBlocked`]; no account is opened then (ACC-08, ACC-12, ACC-14).
pub async fn register(
    app: &App,
    client: Option<IpAddr>,
    server: &ServerName,
    openid_token: &str,
) -> Result<Zeroizing<String>, FlowError> {
    app.limiters
        .registrations
        .take_for_homeserver(client, server)
        .map_err(FlowError::Limited)?;
    // Nothing is called then, so nothing is charged.
    if !app.config.federation.homeservers.may_register(server) {
        return Err(refusal(server, &CallError::NotAllowed.into()));
    }
    // Also if the call then finds no place among those under way.
    charges::charge(app, charges::of_registration(app, client, server)).await?;
    let user = app
        .federation
        .user_info(server, openid_token, client)
        .await?
        .map_err(|error| refusal(server, &error))?;
    let token = Zeroizing::new(random::alphanumeric(TOKEN_LENGTH)?);
    let open = OpenAccount {
        user,
        token_hash: TokenHash::new(&token),
        now: app.clock.now().as_i64(),
    };
    if app.accounts.send(open).await? {
        Ok(token)
    } else {
        Err(FlowError::AccountBlocked)
    }
}

fn refusal(server: &ServerName, error: &UserInfoError) -> FlowError {
    log::info!(server = server.as_str(); "registration failed: {error}");
    match error {
        UserInfoError::UnknownToken => FlowError::UnknownOpenIdToken,
        UserInfoError::ForeignUser => FlowError::ForeignUser,
        UserInfoError::Unreachable(CallError::NotAllowed) => {
            FlowError::Homeserver(HomeserverProblem::NotAllowed)
        }
        UserInfoError::Unreachable(_) => FlowError::Homeserver(HomeserverProblem::Unreachable),
        UserInfoError::InvalidResponse(_) => FlowError::Homeserver(HomeserverProblem::BadUserInfo),
    }
}
