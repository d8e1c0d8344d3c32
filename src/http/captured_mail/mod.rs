//! `/mail` on the internal listener: the mails and SMS that were written into a
//! folder instead of being sent, for the `demo` command and for tests.
//!
//! They are shown only on the internal listener, whose users can bind addresses
//! without them: a code in one proves an address.

mod folder;
mod links;
mod message;
mod pages;
mod responses;

use std::io;
use std::path::PathBuf;

use actix_web::web;

use self::folder::{Folders, MailName};
use self::message::{Content, Summary};
use self::pages::Pages;
use super::page::Page;
use super::resource::undocumented_page;
use crate::config::{Config, MailTransport, Provider};
use crate::error::Error;

/// How many messages the list shows. It reads the file of each.
const SHOWN: usize = 200;

/// Serves the pages, if the configuration writes messages into a folder.
pub(super) fn serve(config: &Config, routes: &mut web::ServiceConfig) {
    let Some(captured) = CapturedMail::from_config(config) else {
        return;
    };
    routes
        .app_data(web::Data::new(captured))
        .service(undocumented_page("/", start))
        .service(undocumented_page("/mail", list))
        .service(undocumented_page("/mail/{name}.eml", file))
        .service(undocumented_page("/mail/{name}", message))
        .service(undocumented_page("/mail/{name}/html", html))
        .service(undocumented_page("/mail/{name}/text", text));
}

/// The folders, and the templates of the pages.
struct CapturedMail {
    folders: Folders,
    pages: Pages,
}

impl CapturedMail {
    /// The folders, which need not exist yet; `None` when no messages are written
    /// into folders.
    fn from_config(config: &Config) -> Option<Self> {
        let mail = match &config.email.transport {
            MailTransport::File(file) => Some(&file.dir),
            _ => None,
        };
        let sms = config
            .sms
            .providers
            .values()
            .filter_map(|provider| match provider {
                Provider::File { dir } => Some(dir),
                _ => None,
            });
        let folders: Vec<PathBuf> = mail.into_iter().chain(sms).cloned().collect();
        (!folders.is_empty()).then(|| Self {
            folders: Folders::new(folders),
            pages: Pages::new(),
        })
    }
}

/// `GET /`: redirects to the list.
async fn start() -> Page {
    Page::redirect("/mail")
}

/// `GET /mail`: the newest messages.
async fn list(mails: web::Data<CapturedMail>) -> Result<Page, Error> {
    let folders = mails.folders.clone();
    let (summaries, total) = off_worker(move || {
        let names = folders.names()?;
        let mut summaries = Vec::new();
        for name in names.iter().take(SHOWN) {
            // One that was deleted meanwhile is not shown.
            if let Some(mail) = folders.read(name)? {
                summaries.push(Summary::read(name.as_str(), &mail));
            }
        }
        Ok((summaries, names.len()))
    })
    .await?;
    let page = mails
        .pages
        .list(&summaries, total, &mails.folders.to_string())?;
    Ok(Page::html(page))
}

/// `GET /mail/{name}`: one message; `newest` is the newest one.
async fn message(mails: web::Data<CapturedMail>, name: web::Path<String>) -> Result<Page, Error> {
    let (name, mail) = find(&mails, name.into_inner()).await?;
    let summary = Summary::read(name.as_str(), &mail);
    let page = mails.pages.message(&summary, &Content::read(&mail))?;
    Ok(Page::with_frame(page))
}

/// `GET /mail/{name}/html`: the HTML part, for a frame of the page of the message.
async fn html(mails: web::Data<CapturedMail>, name: web::Path<String>) -> Result<Page, Error> {
    let (_, mail) = find(&mails, name.into_inner()).await?;
    let html = Content::read(&mail)
        .html
        .ok_or_else(Error::mail_not_found)?;
    // Links open in a new tab, not in the frame; browsers accept the element
    // anywhere in the document.
    Ok(Page::in_frame(html + "<base target=\"_blank\">"))
}

/// `GET /mail/{name}/text`: the text part, for a terminal.
async fn text(mails: web::Data<CapturedMail>, name: web::Path<String>) -> Result<Page, Error> {
    let (_, mail) = find(&mails, name.into_inner()).await?;
    let text = Content::read(&mail)
        .text
        .ok_or_else(Error::mail_not_found)?;
    Ok(Page::text(text))
}

/// `GET /mail/{name}.eml`: the message as it would have been sent.
async fn file(mails: web::Data<CapturedMail>, name: web::Path<String>) -> Result<Page, Error> {
    let (name, mail) = find(&mails, name.into_inner()).await?;
    Ok(Page::mail_file(&name.file(), mail))
}

/// Reads a message.
///
/// # Errors
/// `404 M_NOT_FOUND` when there is none with this name.
async fn find(mails: &CapturedMail, name: String) -> Result<(MailName, Vec<u8>), Error> {
    let folders = mails.folders.clone();
    off_worker(move || folders.find(&name))
        .await?
        .ok_or_else(Error::mail_not_found)
}

/// Reads files on another thread, so that a slow disk delays no other request.
async fn off_worker<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match web::block(read).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => {
            log::error!("cannot read captured mail: {error}");
            Err(Error::internal())
        }
        Err(_cancelled) => Err(Error::internal()),
    }
}
