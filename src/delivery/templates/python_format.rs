//! Pages of the Python Sydent, which fills `%(message)s` into them instead of using Jinja2.

/// Rewrites a text with Python's `%(name)s` and `%%` as a Jinja2 template that gives the same.
///
/// All else stands as it is, also what looks like Jinja2, such as the `{#` of a style sheet.
pub(super) fn to_jinja(text: &str) -> String {
    let mut template = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        push_raw(&mut template, before);
        if let Some(after) = after.strip_prefix('%') {
            template.push('%');
            rest = after;
        } else if let Some((name, after)) = placeholder(after) {
            template.push_str("{{ ");
            template.push_str(name);
            template.push_str(" }}");
            rest = after;
        } else {
            template.push('%');
            rest = after;
        }
    }
    push_raw(&mut template, rest);
    template
}

/// Splits `(name)s…` into the name and what follows.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('(')?.split_once(")s")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, rest))
}

fn push_raw(template: &mut String, text: &str) {
    if text.contains('{') {
        template.push_str("{% raw %}");
        template.push_str(text);
        template.push_str("{% endraw %}");
    } else {
        template.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::to_jinja;

    #[test]
    fn placeholders_become_expressions_and_the_rest_stays() {
        assert_eq!(
            to_jinja("<p>%(message)s</p> 50%% of %d, 5%"),
            "<p>{{ message }}</p> 50% of %d, 5%"
        );
        assert_eq!(to_jinja("%(a b)s%()s%(x"), "%(a b)s%()s%(x");
    }

    #[test]
    fn what_looks_like_jinja_is_kept_from_the_engine() {
        let page = "a{#x{width:100%%}}\n{{ y }}\n%(message)s";
        let rendered = minijinja::Environment::new()
            .render_str(&to_jinja(page), minijinja::context! { message => "done" })
            .unwrap();
        assert_eq!(rendered, "a{#x{width:100%}}\n{{ y }}\ndone");
    }
}
