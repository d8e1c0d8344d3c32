//! The page that the validation link opens.

use super::*;
use crate::domain::threepid::Medium;

fn page(templates: &Templates, message: &str, success: bool) -> String {
    page_of(templates, message, success, Medium::Email)
}

fn page_of(templates: &Templates, message: &str, success: bool, medium: Medium) -> String {
    let values = VerifyResponse {
        message: message.to_owned(),
        success,
        medium,
    };
    templates
        .verify_response_page(&templates.brand(None), &values)
        .unwrap()
}

#[test]
fn default_page_shows_result_and_loads_nothing() {
    let templates = load(None, None).unwrap();
    for (medium, success, heading) in [
        (Medium::Email, true, "Address confirmed"),
        (Medium::Email, false, "Address not confirmed"),
        (Medium::Msisdn, true, "Number confirmed"),
        (Medium::Msisdn, false, "Number not confirmed"),
    ] {
        let page = page_of(&templates, "Go back to your app.", success, medium);
        assert!(
            page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"),
            "{page}"
        );
        assert_eq!(page.matches("<h1>").count(), 1);
        assert!(page.contains(&format!("<h1>{heading}</h1>")), "{page}");
        assert!(page.contains("<p>Go back to your app.</p>"), "{page}");
        assert!(page.contains("name=\"viewport\""), "{page}");
        for absent in ["<script", "src=", "href=", "url(", "http:", "https:"] {
            assert!(!page.contains(absent), "{absent} in {page}");
        }
    }
}

#[test]
fn page_message_is_escaped() {
    let templates = load(None, None).unwrap();
    let page = page(&templates, "<img src=x>\r\n&\"'/", false);
    assert!(
        page.contains("<p>&lt;img src=x&gt;&amp;&#34;&#39;/</p>"),
        "{page}"
    );
}

#[test]
fn page_of_python_sydent_works() {
    let dir = tempfile::tempdir().unwrap();
    let text = "<style>a{#x{width:100%%}}</style><p>%(message)s</p>\n";
    put(dir.path(), "old", VERIFY_RESPONSE, text);
    let templates = load(Some(dir.path()), Some("old")).unwrap();
    let page = page(&templates, "It's done.", true);
    assert_eq!(
        page,
        "<style>a{#x{width:100%}}</style><p>It&#x27;s done.</p>\n"
    );
}
