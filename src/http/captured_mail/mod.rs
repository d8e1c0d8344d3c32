//! `/mail` on the internal listener: the mails and texts that were written into a
//! folder instead of being sent, for whoever tries the server out.
//!
//! Whoever sees them can confirm any address, so they are shown only where
//! addresses can be bound without any proof.

mod folder;
mod links;
mod message;
mod pages;

use std::io;
use std::path::PathBuf;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use self::folder::{Folders, MailName};
use self::message::{Content, Summary};
use self::pages::Pages;
use super::page;
use crate::config::{Config, MailTransport, Provider};
use crate::error::Error;

/// How many messages the list shows. Each is opened to show its subject.
const SHOWN: usize = 200;

/// The folder, and the pages that show it.
pub struct CapturedMail {
    folders: Folders,
    pages: Pages,
}

impl CapturedMail {
    /// The messages in some folders, which need not be there yet; `None` where
    /// there are no folders.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let mail = match &config.email.transport {
            MailTransport::File(file) => Some(&file.dir),
            _ => None,
        };
        let texts = config.sms.providers.values().filter_map(|way| match way {
            Provider::File { dir } => Some(dir),
            _ => None,
        });
        let folders: Vec<PathBuf> = mail.into_iter().chain(texts).cloned().collect();
        (!folders.is_empty()).then(|| Self {
            folders: Folders::new(folders),
            pages: Pages::new(),
        })
    }
}

/// `GET /`: on to the list, the only page that this listener begins with.
pub async fn start() -> HttpResponse {
    page::redirect("/mail")
}

/// `GET /mail`: the newest messages.
///
/// # Errors
/// 500 when the folder cannot be read.
pub async fn list(mails: web::Data<CapturedMail>) -> Result<HttpResponse, Error> {
    let folders = mails.folders.clone();
    let (summaries, total) = off_worker(move || {
        let names = folders.names()?;
        let mut summaries = Vec::new();
        for name in names.iter().take(SHOWN) {
            // One that is gone by now is not shown.
            if let Some(mail) = folders.read(name)? {
                summaries.push(Summary::of(name.as_str(), &mail));
            }
        }
        Ok((summaries, names.len()))
    })
    .await?;
    let page = mails
        .pages
        .list(&summaries, total, &mails.folders.to_string())?;
    Ok(page::html(StatusCode::OK, page))
}

/// `GET /mail/{name}`: one message. The name `newest` is that of the newest.
///
/// # Errors
/// 404 when there is none of this name.
pub async fn message(
    mails: web::Data<CapturedMail>,
    name: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let (name, mail) = find(&mails, name.into_inner()).await?;
    let summary = Summary::of(name.as_str(), &mail);
    let page = mails.pages.message(&summary, &Content::of(&mail))?;
    Ok(page::around_a_frame(page))
}

/// `GET /mail/{name}/html`: its HTML part alone, for a frame of that page.
///
/// # Errors
/// 404 when there is no such message, or it has no such part.
pub async fn html(
    mails: web::Data<CapturedMail>,
    name: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let (_, mail) = find(&mails, name.into_inner()).await?;
    let html = Content::of(&mail).html.ok_or_else(Error::mail_not_found)?;
    // A browser heeds it wherever it stands; it must not be the frame that a
    // link opens in.
    Ok(page::in_the_frame(html + "<base target=\"_blank\">"))
}

/// `GET /mail/{name}/text`: its text part alone, for a terminal.
///
/// # Errors
/// 404 when there is no such message, or it has no such part.
pub async fn text(
    mails: web::Data<CapturedMail>,
    name: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let (_, mail) = find(&mails, name.into_inner()).await?;
    let text = Content::of(&mail).text.ok_or_else(Error::mail_not_found)?;
    Ok(page::text(text))
}

/// `GET /mail/{name}.eml`: the message as it would have been sent.
///
/// # Errors
/// 404 when there is none of this name.
pub async fn file(
    mails: web::Data<CapturedMail>,
    name: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let (name, mail) = find(&mails, name.into_inner()).await?;
    Ok(page::mail_file(&name.file(), mail))
}

async fn find(mails: &CapturedMail, asked: String) -> Result<(MailName, Vec<u8>), Error> {
    let folders = mails.folders.clone();
    off_worker(move || folders.find(&asked))
        .await?
        .ok_or_else(Error::mail_not_found)
}

/// Files are read where a slow disk holds up no other request.
async fn off_worker<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match web::block(read).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => {
            log::error!("captured mail cannot be read: {error}");
            Err(Error::internal())
        }
        Err(_cut_off) => Err(Error::internal()),
    }
}
