//! Interpolation of `%(name)s`.

use super::*;

fn rendered(text: &str, kind: Kind) -> String {
    let mut environment = minijinja::Environment::new();
    environment.add_function(FUNCTION, value);
    let values = minijinja::context! { message => "it's <done>", link => "a b/c?d&e" };
    environment
        .render_str(&to_jinja(text, kind), values)
        .unwrap()
}

#[test]
fn placeholders_are_filled_and_the_rest_is_kept() {
    assert_eq!(
        rendered("%(message)s 50%% of %d, 5%\n", Kind::Mail),
        "it's <done> 50% of %d, 5%\n"
    );
    let odd = "%(a b)s%()s%(x %(y)d";
    assert_eq!(rendered(odd, Kind::Mail), odd);
    assert_eq!(rendered("<%(nobody)s>\n\n", Kind::Mail), "<>\n\n");
}

#[test]
fn jinja_syntax_in_old_templates_is_literal() {
    let page = "a{#x{width:100%%}}\n{{ y }}{%% raw %%}{\n%(message)s{% endraw %}{";
    assert_eq!(
        rendered(page, Kind::Page),
        "a{#x{width:100%}}\n{{ y }}{% raw %}{\nit&#x27;s &lt;done&gt;{% endraw %}{"
    );
}

#[test]
fn forhtml_and_forurl_suffixes_escape() {
    assert_eq!(
        rendered("%(message_forhtml)s %(link_forurl)s", Kind::Mail),
        "it&#x27;s &lt;done&gt; a%20b/c%3Fd%26e"
    );
}

/// MSG-02
#[test]
fn values_are_always_escaped_in_html_parts() {
    let mail = "From: %(message)s\nContent-Type: multipart/mixed;\n\tboundary=x\n\n\
                --x\nContent-Type:\n text/html\nX: %(message)s\n\n%(message)s\n\n-->%(message)s\n\
                --x\ncontent-type: text/plain\n\n%(message)s";
    let raw = "it's <done>";
    let html = "it&#x27;s &lt;done&gt;";
    assert_eq!(
        rendered(mail, Kind::Mail),
        format!(
            "From: {raw}\nContent-Type: multipart/mixed;\n\tboundary=x\n\n\
             --x\nContent-Type:\n text/html\nX: {raw}\n\n{html}\n\n-->{html}\n\
             --x\ncontent-type: text/plain\n\n{raw}"
        )
    );
}

#[test]
fn names_are_found_with_their_lines() {
    let text = "%(a)s\n%(b_forhtml)s%%\n\n5 %, %(c.d_forurl)s";
    assert_eq!(
        names(text),
        [
            (1, Ok("a")),
            (2, Ok("b")),
            (4, Err(STRAY_PERCENT)),
            (4, Ok("c.d"))
        ]
    );
}

#[test]
fn old_and_new_pages_are_distinguished() {
    for old in ["<p>%(message)s</p>", "<p>Done.</p>", "{{x}} %(message)s"] {
        assert!(is_old_page(old), "{old}");
    }
    for new in ["{{ message }} 5%", "{% include 'a/b' %}"] {
        assert!(!is_old_page(new), "{new}");
    }
}
