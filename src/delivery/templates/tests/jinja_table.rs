//! Snippets, and the output of Jinja2 3.1.6 for them with autoescape on.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use super::*;

fn values() -> Value {
    context! {
        amp => "a&b",
        tags => "<b class=\"x\">it's</b>",
        link => "https://x.org/a/b?c=d&e=~f g",
        uni => "ünï/ü",
        nothing => (),
        yes => true,
        num => 3,
        items => ["a/b", "<c>"],
        pairs => BTreeMap::from([("k 1", "v/&"), ("z", "ü")]),
        empty => "",
    }
}

#[test]
fn snippets_render_as_in_jinja2() {
    let environment = jinja::environment(Arc::new(
        Sources::read(&TemplateSettings::default()).unwrap(),
    ));
    let wrong: Vec<String> = JINJA2
        .iter()
        .filter_map(|(snippet, expected)| {
            let ours = environment
                .render_str(snippet, values())
                .unwrap_or_else(|e| e.to_string());
            (ours != *expected)
                .then(|| format!("{snippet}\n  Jinja2: {expected}\n  ours:   {ours}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[rustfmt::skip]
const JINJA2: &[(&str, &str)] = &[
    ("{{ amp }}", "a&amp;b"),
    ("{{ tags }}", "&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;"),
    ("{{ link }}", "https://x.org/a/b?c=d&amp;e=~f g"),
    ("{{ tags|e }}", "&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;"),
    ("{{ tags|escape }}", "&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;"),
    ("{{ tags|e|e }}", "&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;"),
    ("{{ tags|safe }}", r#"<b class="x">it's</b>"#),
    ("{{ tags|safe|e }}", r#"<b class="x">it's</b>"#),
    ("{{ tags|safe|forceescape }}", "&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;"),
    ("{{ link|safe }}", "https://x.org/a/b?c=d&e=~f g"),
    ("{{ link|urlencode }}", "https%3A//x.org/a/b%3Fc%3Dd%26e%3D~f%20g"),
    ("{{ link|urlencode|urlencode }}", "https%253A//x.org/a/b%253Fc%253Dd%2526e%253D~f%2520g"),
    ("{{ uni|urlencode }}", "%C3%BCn%C3%AF/%C3%BC"),
    ("{{ amp|urlencode }}", "a%26b"),
    ("{{ pairs|urlencode }}", "k+1=v%2F%26&amp;z=%C3%BC"),
    ("{{ pairs|urlencode|safe }}", "k+1=v%2F%26&z=%C3%BC"),
    (r#"{{ [["a b", "c&d"], ["e", 1]]|urlencode }}"#, "a+b=c%26d&amp;e=1"),
    ("{{ num|urlencode }}", "3"),
    ("{{ nothing|urlencode }}", "None"),
    ("{{ missing|urlencode }}|", "|"),
    ("{{ missing }}|", "|"),
    ("{{ missing|e }}|", "|"),
    (r#"{{ missing|default("d/<") }}"#, "d/&lt;"),
    (r#"{{ empty|default("x", true) }}"#, "x"),
    ("{{ nothing }}", "None"),
    ("{{ yes }}", "True"),
    ("{{ nothing|e }}", "None"),
    ("{{ num }}{{ 1.5 }}", "31.5"),
    ("{{ items }}", "[&#39;a/b&#39;, &#39;&lt;c&gt;&#39;]"),
    (r#"{{ items|join("/") }}"#, "a/b/&lt;c&gt;"),
    (r#"{{ items|join("<") }}"#, "a/b&lt;&lt;c&gt;"),
    (r#"{{ ["<a>"|safe, "<b>/'"]|join("&") }}"#, "<a>&amp;&lt;b&gt;/&#39;"),
    (r#"{{ "<i>"|safe ~ tags }}"#, "<i>&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;"),
    (r#"{{ "<i>" ~ tags }}"#, "&lt;i&gt;&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;"),
    (r#"{{ "<i>"|safe + tags }}"#, "<i>&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;"),
    (r#"{{ tags + "/" }}"#, "&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;/"),
    (r#"{{ amp|replace("&", "<") }}"#, "a&lt;b"),
    (r#"{{ tags|safe|replace("b", "<") }}"#, r#"<&lt; class="x">it's</&lt;>"#),
    ("{{ amp|upper }}", "A&amp;B"),
    ("{{ amp|safe|upper }}", "A&B"),
    ("{{ amp.upper() }}", "A&amp;B"),
    ("{{ (amp|safe).upper() }}", "A&B"),
    (r#"{{ "a b".split(" ")[1] }}"#, "b"),
    (r#"{{ link.startswith("https") }}"#, "True"),
    ("{{ tags|striptags }}", "it&#39;s"),
    ("{{ tags|length }}", "21"),
    (r#"{{ "%s/%s"|format(amp, num) }}"#, "a&amp;b/3"),
    (r#"{{ "{}/".format(amp) }}"#, "a&amp;b/"),
    (r#"{{ (amp ~ "/")|title }}"#, "A&amp;b/"),
    ("{% autoescape false %}{{ tags }}{{ tags|e }}{{ amp|urlencode }}{% endautoescape %}{{ tags }}", r#"<b class="x">it's</b>&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;a%26b&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;"#),
    ("{% autoescape false %}{% autoescape true %}{{ link }}{% endautoescape %}{% endautoescape %}", "https://x.org/a/b?c=d&amp;e=~f g"),
    ("{% set x %}<b>{{ amp }}</b>{% endset %}{{ x }}", "<b>a&amp;b</b>"),
    (r#"{% set x = "<b>" %}{{ x }}"#, "&lt;b&gt;"),
    ("{% macro m(a) %}<i>{{ a }}</i>{% endmacro %}{{ m(tags) }}", "<i>&lt;b class=&#34;x&#34;&gt;it&#39;s&lt;/b&gt;</i>"),
    ("{% filter upper %}<b>{{ amp }}</b>{% endfilter %}", "<B>A&AMP;B</B>"),
    ("{% filter e %}<b>{{ amp }}</b>{% endfilter %}", "<b>a&amp;b</b>"),
    ("{% filter urlencode %}<b>{{ amp }}</b>{% endfilter %}", "%3Cb%3Ea%26amp%3Bb%3C/b%3E"),
    ("{% raw %}{{ amp }} <'>{% endraw %}", "{{ amp }} <'>"),
    ("{% for i in items %}{{ loop.index }}{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}", "1a/b, 2&lt;c&gt;"),
    ("{% for k, v in pairs.items() %}{{ k }}={{ v }};{% endfor %}", "k 1=v/&amp;;z=ü;"),
    ("{% if missing %}a{% elif nothing is none %}b&{% endif %}", "b&"),
    ("{{ amp if yes else tags }}{{ amp if not yes }}", "a&amp;b"),
    ("{#- <a> -#} {{- amp }}", "a&amp;b"),
    ("{{ tags|first }}{{ link|last }}", "&lt;g"),
    ("{{ tags[0] }}{{ link[8:12] }}", "&lt;x.or"),
    (r#"{{ "\"'" }}"#, "&#34;&#39;"),
    (r#"{{ items|map("upper")|join(" ") }}"#, "A/B &lt;C&gt;"),
    ("{{ amp|trim|lower|capitalize }}", "A&amp;b"),
    (r#"{{ "a\tb" }}"#, "a\tb"),
    ("{{ items|tojson }}", r#"["a/b", "\u003cc\u003e"]"#),
    ("{{ amp|wordcount }}", "2"),
    (r#"{{ items|first|e ~ "/" }}"#, "a/b/"),
];
