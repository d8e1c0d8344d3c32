//! Stores SMS as files in a folder instead of sending them. Each is a mail message,
//! so that the page of captured mail displays it.

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::{Provider, SmsMessage};
use crate::delivery::failure::SendFailure;
use crate::delivery::handover::Handover;
use crate::delivery::mail::{FileTransport, MessageName};
use crate::delivery::writer::rfc_2822;

pub(super) struct Folder(pub(super) FileTransport);

impl Provider for Folder {
    fn send<'a>(
        &'a self,
        sms: &'a SmsMessage,
        handover: &'a Handover,
    ) -> LocalBoxFuture<'a, Result<(), SendFailure>> {
        async move {
            let name = MessageName::new(sms.queued_at, &sms.id);
            handover.begin();
            self.0.send(&name, mail_message(sms).as_bytes()).await
        }
        .boxed_local()
    }
}

fn mail_message(sms: &SmsMessage) -> String {
    let from = match sms.sender() {
        "" => String::new(),
        sender => format!("From: {sender}\r\n"),
    };
    format!(
        "Date: {}\r\n{from}To: +{}\r\nSubject: SMS\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
        rfc_2822(sms.queued_at),
        sms.to.as_str(),
        sms.body.replace('\n', "\r\n")
    )
}
