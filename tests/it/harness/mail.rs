//! A mail in the mailbox of its recipient.

use std::collections::HashMap;

use mail_parser::MessageParser;
use serde_json::Value;

/// A mail that the SMTP server accepted.
#[derive(Debug, Clone)]
pub struct Mail {
    /// How it arrived:
    /// - `peer`: the address of the client;
    /// - `mail_from`, `rcpt_tos`: the envelope;
    /// - `tls`: whether the connection was encrypted;
    /// - `auth_user`: the user that logged in, or null;
    /// - `connection`: the number of the connection, from 1;
    /// - `longest_line`: octets of the longest line, without its line end;
    /// - `bare_lf`: whether a line feed came without a carriage return.
    pub received: Value,
    /// The message without dot-stuffing and the final dot.
    pub raw: Vec<u8>,
}

impl Mail {
    pub fn text(&self) -> String {
        let message = MessageParser::default().parse(&self.raw).unwrap();
        message.body_text(0).unwrap().into_owned()
    }

    pub fn html(&self) -> String {
        let message = MessageParser::default().parse(&self.raw).unwrap();
        message.body_html(0).unwrap().into_owned()
    }

    pub fn header(&self, name: &str) -> String {
        let message = MessageParser::default().parse(&self.raw).unwrap();
        message
            .header_raw(name)
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    /// The validation link.
    pub fn link(&self) -> String {
        let text = self.text();
        let link = text
            .split_whitespace()
            .find(|word| word.contains("/validate/email/submitToken?"));
        link.expect("a link in the mail").to_owned()
    }

    /// The link of an invitation, without and with its parameters.
    pub fn join_link(&self) -> (String, HashMap<String, String>) {
        let text = self.text();
        let link = text
            .split_whitespace()
            .find(|word| word.contains("/#/room/"));
        let link = link.expect("a link in the invitation");
        let (place, query) = link.split_once('?').unwrap();
        let query = url::form_urlencoded::parse(query.as_bytes());
        (place.to_owned(), query.into_owned().collect())
    }

    /// The parameters of `signurl` in the link of an invitation.
    pub fn sign_parameters(&self) -> HashMap<String, String> {
        let (_, query) = self.join_link();
        let url = url::Url::parse(&query["signurl"]).unwrap();
        url.query_pairs().into_owned().collect()
    }

    /// The validation code, for clients that ask for it.
    pub fn token(&self) -> String {
        let text = self.text();
        let token = text
            .split_whitespace()
            .find(|word| word.len() == 32 && word.bytes().all(|b| b.is_ascii_alphanumeric()));
        token.expect("a code in the mail").to_owned()
    }

    /// A parameter of the validation link.
    pub fn parameter(&self, name: &str) -> String {
        let link = url::Url::parse(&self.link()).unwrap();
        let found = link.query_pairs().find(|(known, _)| known == name);
        found.expect("a parameter of the link").1.into_owned()
    }
}
