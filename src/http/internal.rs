//! `/_matrix/identity/internal/{bind,unbind,lookup}`: tools on this machine,
//! whose word is taken (INT-01, INT-02).

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::args::{Fields, JsonArgs, QueryArgs};
use super::client::lookup::find;
use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::session::Proof;
use crate::domain::threepid::{Medium, ThreePid};
use crate::error::Error;
use crate::flow::bind;

/// Binds without a validation session; answers what `3pid/bind` answers.
///
/// # Errors
/// 400 when a field is missing or wrong.
pub async fn bind(app: web::Data<App>, args: JsonArgs) -> Result<HttpResponse, Error> {
    let (threepid, mxid) = binding(&args)?;
    let inner = app.clone().into_inner();
    let bound = async move { bind::bind(&inner, Proof::trusted(threepid), mxid).await };
    Ok(HttpResponse::Ok().json(app.detached.run(bound).await??))
}

/// Removes a binding; `{}` whether or not there was one.
///
/// # Errors
/// 400 when a field is missing or wrong.
pub async fn unbind(app: web::Data<App>, args: JsonArgs) -> Result<HttpResponse, Error> {
    let (threepid, mxid) = binding(&args)?;
    let inner = app.clone().into_inner();
    let unbound = async move { bind::unbind(&inner, Some(threepid), mxid).await };
    app.detached.run(unbound).await??;
    Ok(HttpResponse::Ok().json(json!({})))
}

/// To whom an address is bound: the signed association, or `{}`. It is there
/// whether or not v1 is.
///
/// # Errors
/// 400 when a field is missing.
pub async fn lookup(app: web::Data<App>, args: QueryArgs) -> Result<HttpResponse, Error> {
    find(&app, &args).await
}

fn binding(args: &Fields) -> Result<(ThreePid, Mxid), Error> {
    args.require(&["medium", "address", "mxid"])?;
    let medium = args.parse("medium", Medium::parse)?;
    let threepid = args.parse("address", |address| {
        ThreePid::parse(medium.as_str(), address)
    })?;
    Ok((threepid, args.parse("mxid", Mxid::parse)?))
}
