//! Texts as files in a folder, instead of sending them: each as a message that
//! the page of captured mail shows.

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::{Provider, SmsMessage};
use crate::delivery::failure::SendFailure;
use crate::delivery::mail::{FileTransport, MessageName};
use crate::delivery::writer::rfc_2822;

pub(super) struct Folder(pub(super) FileTransport);

impl Provider for Folder {
    fn send<'a>(&'a self, text: &'a SmsMessage) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
        async move {
            let name = MessageName::new(text.queued_at, &text.id);
            self.0.send(&name, message(text).as_bytes()).await
        }
        .boxed_local()
    }
}

fn message(text: &SmsMessage) -> String {
    let from = match text.sender() {
        "" => String::new(),
        sender => format!("From: {sender}\r\n"),
    };
    format!(
        "Date: {}\r\n{from}To: +{}\r\nSubject: SMS\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
        rfc_2822(text.queued_at),
        text.to.as_str(),
        text.body.replace('\n', "\r\n")
    )
}
