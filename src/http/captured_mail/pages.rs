//! The HTML around captured messages.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

use super::links;
use super::message::{Content, Summary};
use crate::delivery::templates::escaping_formatter;
use crate::error::Error;

/// The templates.
pub(super) struct Pages(Environment<'static>);

impl Pages {
    pub(super) fn new() -> Self {
        let mut pages = Environment::new();
        // Errors must not contain the values.
        pages.set_debug(false);
        pages.set_loader(|name| Ok(source(name).map(str::to_owned)));
        pages.set_auto_escape_callback(|_| AutoEscape::Html);
        pages.set_formatter(escaping_formatter);
        Self(pages)
    }

    /// The list; `total` includes the messages that are not in it.
    pub(super) fn list(
        &self,
        mails: &[Summary],
        total: usize,
        folder: &str,
    ) -> Result<String, Error> {
        let mails = Value::from(Serde(mails));
        self.render("list.html", context! { mails, total, folder })
    }

    /// One message.
    pub(super) fn message(&self, mail: &Summary, content: &Content) -> Result<String, Error> {
        let mail = Value::from(Serde(mail));
        let text = Value::from(Serde(content.text.as_deref().map(links::pieces)));
        let has_html = content.html.is_some();
        self.render("message.html", context! { mail, text, has_html })
    }

    fn render(&self, name: &str, values: Value) -> Result<String, Error> {
        let page = self.0.get_template(name);
        page.and_then(|page| page.render(values)).map_err(|error| {
            log::error!("cannot render a page of captured mail: {error}");
            Error::internal()
        })
    }
}

fn source(name: &str) -> Option<&'static str> {
    match name {
        "layout.html" => Some(include_str!("layout.html")),
        "list.html" => Some(include_str!("list.html")),
        "message.html" => Some(include_str!("message.html")),
        "style.css" => Some(include_str!("style.css")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "Subject: <script>alert(1)</script>\r\nTo: \"<b>\" <a@example.org>\r\n\r\n\
        </div><script>x</script> http://a.example/?a=1&b='\"><img src=x>\r\n";

    fn message(mail: &str) -> String {
        let mail = mail.as_bytes();
        let page = Pages::new().message(&Summary::read("1-a", mail), &Content::read(mail));
        page.unwrap()
    }

    #[test]
    fn message_cannot_add_markup() {
        let list = Pages::new().list(&[Summary::read("1-a", HOSTILE.as_bytes())], 1, "<i>");
        for page in [message(HOSTILE), list.unwrap()] {
            assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
            for markup in ["<script", "<b>", "<i>", "<img"] {
                assert!(!page.contains(markup), "{markup} in {page}");
            }
        }
        let link = "<a href=\"http://a.example/?a=1&amp;b=\" ";
        assert!(message(HOSTILE).contains(link), "{}", message(HOSTILE));
    }

    #[test]
    fn pages_show_existing_and_missing_parts() {
        let page = message("Content-Type: text/html\r\n\r\n<p>");
        assert!(page.contains("(no subject)") && page.contains("no text part"));
        assert!(page.contains("src=\"/mail/1-a/html\""));
        assert!(
            !message("\r\nhello").contains("As HTML") && !message("\r\nhello").contains("From")
        );
        assert!(!message("\r\nhello").contains("<iframe"));
        let list = |mails: &[Summary], total| Pages::new().list(mails, total, "/m").unwrap();
        assert!(list(&[], 0).contains("No mail has been captured yet"));
        let one = [Summary::read("1-a", b"Subject: Hello\r\n\r\n")];
        assert!(list(&one, 1).contains("href=\"/mail/1-a\""));
        assert!(list(&one, 1).contains("One message"));
        assert!(list(&one, 7).contains("the newest 1 of 7"));
    }
}
