//! Message names that point outside the folder, and hostile messages.

use super::{Captured, page};
use crate::harness::Answer;

#[actix_web::test]
async fn names_cannot_reach_other_files() {
    let captured = Captured::start();
    for file in ["secret.eml", "secret", "mail/.hidden.eml", "mail/notes.txt"] {
        let path = captured.folder.path().join(file);
        std::fs::write(path, "Subject: secret\r\n\r\nsecret").unwrap();
    }
    let absolute = captured.folder.path().join("secret");
    let absolute = absolute.to_str().unwrap().replace('/', "%2f");
    for name in [
        "newest",
        "unknown",
        "..%2fsecret",
        "..%2Fsecret",
        "..%252fsecret",
        "..%5csecret",
        "%2e%2e%2fsecret",
        "..%2f..%2fsydent.toml",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        absolute.as_str(),
        "secret%00",
        ".hidden",
        "notes.txt",
        "..",
        "%20",
        "%ff",
    ] {
        for ending in ["", ".eml", "/html", "/text"] {
            let answer = captured.pages().get(&format!("/mail/{name}{ending}")).await;
            expect_not_found(&answer);
        }
    }
    // Unencoded slashes make a different path.
    for path in [
        "/mail/",
        "/mail/../secret",
        "/mail//secret",
        "/mail/a/b",
        "/maily",
    ] {
        expect_not_found(&captured.pages().get(path).await);
    }
}

#[track_caller]
fn expect_not_found(answer: &Answer) {
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(answer.json()["errcode"].is_string());
}

const HOSTILE: &str = "From: \"<u>from\" <id@example.org>\r\n\
    To: \"<script>to()</script>\" <alice@example.org>\r\n\
    Subject: </title><script>subject()</script> =?utf-8?Q?=3Cimg_src=3Dx=3E?=\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/alternative; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
    </div><script>text()</script> https://a.example/?a=1&b='onclick=x\"><img src=y>\r\n\
    javascript:alert(1)\r\n\
    --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
    <p>part</p><script>html()</script>\r\n--b--\r\n";

#[actix_web::test]
async fn mail_cannot_add_markup_to_the_pages() {
    let captured = Captured::start();
    captured.put("0000000000001-hostile.eml", HOSTILE);
    for path in ["/mail", "/mail/newest"] {
        let page = page(&captured.pages(), path).await;
        assert!(page.contains("&lt;script&gt;subject()"), "{page}");
        assert!(page.contains("&lt;script&gt;to()"), "{page}");
        for markup in ["<script", "<img", "<u>", "'onclick", "href=\"javascript"] {
            assert!(!page.contains(markup), "{markup} in {page}");
        }
    }
    let message = page(&captured.pages(), "/mail/newest").await;
    assert!(message.contains("&lt;script&gt;text()"), "{message}");
    assert!(!message.contains("html()"), "{message}");
    // The HTML part is served unchanged, in a frame that runs no scripts.
    let html = captured.pages().get("/mail/newest/html").await;
    assert!(html.text().contains("<script>html()"));
}
