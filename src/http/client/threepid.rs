//! `…/3pid/getValidated3pid` and `…/3pid/bind` (sections 11 and 12 of the
//! conformance list).

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::actor::sessions::ValidatedSession;
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::secret::{ClientSecret, Sid};
use crate::error::Error;
use crate::flow::bind;
use crate::http::args::Fields;
use crate::http::call::{Call, FormBody, Query, Version};

/// `GET getValidated3pid`: what a session has validated.
///
/// # Errors
/// See VAL-04, VAL-05.
pub async fn get_validated<V: Version>(
    app: web::Data<App>,
    args: Call<V, Query>,
) -> Result<HttpResponse, Error> {
    args.require(&["sid", "client_secret"])?;
    let proof = app
        .sessions
        .send(session(&app, &args)?)
        .await?
        .map_err(Error::session)?;
    Ok(HttpResponse::Ok().json(json!({
        "medium": proof.threepid().medium().as_str(),
        "address": proof.threepid().address(),
        "validated_at": proof.validated_at(),
    })))
}

/// `POST bind`: binds what a session has validated to a user.
///
/// # Errors
/// See BND-06 … BND-08.
pub async fn bind<V: Version>(
    app: web::Data<App>,
    args: Call<V, FormBody>,
) -> Result<HttpResponse, Error> {
    args.require(&["sid", "client_secret", "mxid"])?;
    let mxid = args.parse("mxid", Mxid::parse)?;
    args.caller.may_act_for(&mxid)?;
    let bound = bind::bind_session(app.clone().into_inner(), session(&app, &args)?, mxid);
    Ok(HttpResponse::Ok().json(app.detached.run(bound).await??))
}

fn session(app: &App, args: &Fields) -> Result<ValidatedSession, Error> {
    Ok(ValidatedSession {
        sid: args.parse("sid", Sid::parse)?,
        client_secret: args.parse("client_secret", ClientSecret::parse)?,
        now: app.clock.now(),
    })
}
