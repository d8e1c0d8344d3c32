//! Register: ask a homeserver who its user is, and open an account.

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
/// server. Other tokens of the user stay (ACC-15).
///
/// # Errors
/// See ACC-08, ACC-12, ACC-14; no account is opened then.
pub async fn register(
    app: &App,
    server: &ServerName,
    openid_token: &str,
) -> Result<Zeroizing<String>, Error> {
    count(app, server)?;
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
    app.accounts.ask(open).await?;
    Ok(token)
}

/// A stranger makes this server call out, and chooses whom (ACC-14). All ports
/// of a host count together, since whoever has it can choose among them.
fn count(app: &App, server: &ServerName) -> Result<(), Error> {
    let host = server.host().to_ascii_lowercase();
    let limiter = app.register_per_homeserver.as_ref();
    limiter
        .map_or(Ok(()), |limiter| limiter.take(&host, 1))
        .map_err(Error::limit_exceeded)
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
