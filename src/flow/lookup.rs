//! Looks up an association with the signatures that clients check.

use serde_json::{Map, Value};

use super::FlowError;
use crate::actor::lookups::SignedAssociation;
use crate::actor::pool::Fault;
use crate::actor::signer::Sign;
use crate::app::App;
use crate::domain::threepid::ThreePid;

/// The newest association of a 3PID, as JSON. One that this server has not signed
/// under its present name also gets this signature (V1L-03).
pub async fn signed_association(
    app: &App,
    threepid: ThreePid,
) -> Result<Option<String>, FlowError> {
    let now = app.clock.now().as_i64();
    let found = app
        .lookups
        .send(SignedAssociation { threepid, now })
        .await?;
    let Some((text, origin)) = found else {
        return Ok(None);
    };
    let object: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|_corrupt| Fault::Internal("a stored association is not JSON"))?;
    let name = app.config.server.name.as_str();
    if origin == name
        && object
            .get("signatures")
            .is_some_and(|by_name| by_name.get(name).is_some())
    {
        return Ok(Some(text));
    }
    let signed = app.signer.send(Sign { object }).await?;
    Ok(Some(Value::Object(signed).to_string()))
}
