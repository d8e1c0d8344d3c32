//! What the code of a file names. Everything behind `#[cfg(test)]` and all
//! comments are skipped. The content of macro calls is read like other code.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::{ItemUse, LitStr, UseTree};

#[derive(Default)]
pub struct Code {
    /// All identifiers.
    pub names: BTreeSet<String>,
    /// Every path of more than one name as it is written, `use` trees unfolded:
    /// `crate::db::Store`, `std::sync::Arc`.
    pub paths: BTreeSet<String>,
    /// Those of them that lead into this crate, from its root: `db::Store`.
    pub internal: BTreeSet<String>,
    /// What `use` makes of a name, from the crate's root.
    pub imports: BTreeMap<String, String>,
    /// The content of string literals.
    pub literals: Vec<String>,
    /// The names of `static` items.
    pub statics: Vec<String>,
    /// Calls of functions by a path (`bind::unbind`), and of methods with the
    /// name before the dot (`detached.run`).
    pub calls: Vec<String>,
    /// The calls in each `impl Operation for …`.
    pub operations: Vec<Vec<String>>,
    module: Vec<String>,
    /// The child modules that the file declares.
    children: BTreeSet<String>,
}

impl Code {
    /// Reads the code of a module, such as `actor::pool`.
    pub fn read(module: &str, text: &str) -> Self {
        let names = module.split("::").filter(|name| !name.is_empty());
        let mut code = Self {
            module: names.map(str::to_owned).collect(),
            ..Self::default()
        };
        code.add(text.parse().unwrap());
        code
    }

    /// How often these calls occur.
    pub fn count(&self, calls: &[&str]) -> usize {
        let among = |call: &&String| calls.contains(&call.as_str());
        self.calls.iter().filter(among).count()
    }

    fn add(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        let mut path = Path::default();
        // The words since the last item or statement.
        let mut words = Vec::<String>::new();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(mark) if [':', '.'].contains(&mark.as_char()) => {
                    path.marks.push(mark.as_char());
                }
                TokenTree::Punct(mark) => {
                    self.end(&mut path);
                    match mark.as_char() {
                        '#' => self.attribute(&mut tokens),
                        ';' => words.clear(),
                        // The name of a lifetime.
                        '\'' => drop(tokens.next()),
                        _ => {}
                    }
                }
                TokenTree::Ident(word) if word == "use" => self.add_use(&mut tokens),
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    match words.last().map(String::as_str) {
                        Some("static") => self.statics.push(word.clone()),
                        Some("mod") => drop(self.children.insert(word.clone())),
                        _ => {}
                    }
                    let receiver = path.names.last().cloned().unwrap_or_default();
                    let is_method = path.marks == ".";
                    if path.marks != "::" {
                        self.end(&mut path);
                    }
                    path.receiver = is_method.then_some(receiver);
                    path.names.push(word.clone());
                    path.marks.clear();
                    self.names.insert(word.clone());
                    words.push(word);
                }
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::Parenthesis {
                        self.calls.extend(path.call());
                    }
                    self.end(&mut path);
                    self.group(&group, &words);
                    if group.delimiter() == Delimiter::Brace {
                        words.clear();
                    }
                }
                TokenTree::Literal(literal) => {
                    self.end(&mut path);
                    let text = syn::parse_str::<LitStr>(&literal.to_string());
                    self.literals.extend(text.map(|text| text.value()));
                }
            }
        }
        self.end(&mut path);
    }

    /// Reads a group after these words, which is the body of an item if it is in
    /// braces.
    fn group(&mut self, group: &Group, words: &[String]) {
        let words = match group.delimiter() {
            Delimiter::Brace => words,
            _ => &[],
        };
        let before = self.calls.len();
        let module = match words {
            [.., word, name] if word == "mod" => Some(name),
            _ => None,
        };
        self.module.extend(module.cloned());
        self.add(group.stream());
        if module.is_some() {
            self.module.pop();
        }
        let mut pairs = words.windows(2);
        if words.first().is_some_and(|word| word == "impl")
            && pairs.any(|pair| pair == ["Operation", "for"])
        {
            self.operations.push(self.calls[before..].to_vec());
        }
    }

    /// Reads an attribute after `#`; after `#[cfg(test)]` skips the item.
    fn attribute(&mut self, tokens: &mut Peekable<IntoIter>) {
        let is_inner = |token: &TokenTree| matches!(token, TokenTree::Punct(_));
        tokens.next_if(is_inner);
        let Some(TokenTree::Group(attribute)) = tokens.next() else {
            return;
        };
        let text = attribute.stream().to_string();
        if text == "cfg (test)" || text == "cfg(test)" {
            let _item = tokens.by_ref().find(|token| match token {
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                TokenTree::Punct(mark) => mark.as_char() == ';',
                _ => false,
            });
        } else if !text.starts_with("doc") {
            self.add(attribute.stream());
        }
    }

    /// Reads the rest of a `use` item.
    fn add_use(&mut self, tokens: &mut Peekable<IntoIter>) {
        let is = |token: &TokenTree, mark: char| matches!(token, TokenTree::Punct(p) if p.as_char() == mark);
        // `impl Trait + use<'a>` is no import.
        if tokens.peek().is_some_and(|token| is(token, '<')) {
            return;
        }
        let tree: TokenStream = tokens
            .by_ref()
            .take_while(|token| !is(token, ';'))
            .collect();
        let item: ItemUse = syn::parse_str(&format!("use {tree};")).unwrap();
        self.add_tree(&item.tree, &[]);
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) => self.import(&with(name.ident.to_string()), None),
            UseTree::Rename(name) => {
                let path = with(name.ident.to_string());
                self.import(&path, Some(name.rename.to_string()));
            }
            UseTree::Glob(_) => self.path(before),
            UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|tree| self.add_tree(tree, before)),
        }
    }

    fn import(&mut self, path: &[String], rename: Option<String>) {
        let path = path.strip_suffix(&["self".to_owned()]).unwrap_or(path);
        self.path(path);
        if let (Some(internal), Some(last)) = (self.resolve(path), path.last()) {
            self.imports
                .insert(rename.unwrap_or(last.clone()), internal);
        }
    }

    fn end(&mut self, path: &mut Path) {
        self.path(&std::mem::take(path).names);
    }

    fn path(&mut self, path: &[String]) {
        self.names.extend(path.iter().cloned());
        if path.len() > 1 {
            self.paths.insert(path.join("::"));
            self.internal.extend(self.resolve(path));
        }
    }

    /// A path from the crate's root; `None` for one into another crate.
    fn resolve(&self, path: &[String]) -> Option<String> {
        let mut base = self.module.clone();
        let mut names = path.iter().peekable();
        match names.peek()?.as_str() {
            "crate" | "sydent" => base.clear(),
            "self" | "super" => {}
            child if self.children.contains(child) => {}
            _ => return None,
        }
        names.next_if(|name| ["crate", "sydent", "self"].contains(&name.as_str()));
        while names.next_if(|name| *name == "super").is_some() {
            base.pop();
        }
        base.extend(names.cloned());
        Some(base.join("::"))
    }
}

/// Names joined by `::`.
#[derive(Default)]
struct Path {
    names: Vec<String>,
    /// The name before a dot, if the path is that of a method.
    receiver: Option<String>,
    /// The colons and dots after it.
    marks: String,
}

impl Path {
    /// The call that parentheses after it are.
    fn call(&self) -> Option<String> {
        let name = self.names.join("::");
        let name = match &self.receiver {
            Some(receiver) => format!("{receiver}.{name}"),
            None => name,
        };
        (!self.names.is_empty() && self.marks.is_empty()).then_some(name)
    }
}

#[test]
fn source_reader_sees_only_code() {
    let text = r##"
        //! crate::none
        mod child;
        use super::{b, c::{self, D as E}, f::*};
        use std::fmt;
        // crate::none
        const T: &'static str = r#"crate::none {" "#; /* crate::none */
        static S: u8 = 0;
        fn g<'x>(y: &'x super::z::Z) -> Vec::<u8> { h('"', '\'', "M_A\"{", ::i::j(), y.k.l(1)) }
        #[cfg(test)] mod tests { use k::l; const M: &str = "M_B"; }
        select! { a = m.n.run(crate::p::q(1)) => { w!("M_C") } b => child::r::<u8>(), }
        impl Operation for U<u8> { fn run() { self::V.write(|| x::y()) } #[cfg(test)] fn t() { z::z() } }
    "##;
    let code = Code::read("n::o", text);
    let joined = |paths: &BTreeSet<String>| paths.iter().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        joined(&code.paths),
        "child::r crate::p::q i::j self::V std::fmt super::b super::c super::c::D super::f super::z::Z x::y"
    );
    assert_eq!(
        joined(&code.internal),
        "n::b n::c n::c::D n::f n::o::V n::o::child::r n::z::Z p::q"
    );
    assert_eq!(code.imports["E"], "n::c::D");
    assert_eq!(code.literals, ["crate::none {\" ", "M_A\"{", "M_C"]);
    assert_eq!(code.statics, ["S"]);
    for call in [
        "h",
        "i::j",
        "k.l",
        "n.run",
        "crate::p::q",
        "V.write",
        "x::y",
    ] {
        assert_eq!(code.count(&[call]), 1, "{call} in {:?}", code.calls);
    }
    assert_eq!(code.operations, [["run", "V.write", "x::y"]]);
    assert!(!code.names.contains("none") && code.names.contains("child"));
}
