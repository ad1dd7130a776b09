//! A Rust file as the rules see it: the paths it names outside its tests, and its lines.
//!
//! It works on tokens, so it also sees what is inside macros; it knows no rule.

use std::collections::BTreeMap;
use std::iter::Peekable;

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// A path as it stands in the code, for example `crate::store::Error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Its segments. `self` and `super` are resolved: a path into the own crate starts with `crate`.
    pub segments: Vec<String>,
    /// The name that a `use` gives it; `None` outside `use`.
    pub name: Option<String>,
    /// Line, from 1.
    pub line: usize,
}

impl Mention {
    /// Whether this is `path` or something inside it.
    pub(crate) fn is_in(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.split("::").collect();
        self.segments.len() >= wanted.len() && wanted.iter().zip(&self.segments).all(|(a, b)| a == b)
    }

    /// Whether this reaches `path`, directly or because a `use` opens a module around it.
    pub(crate) fn reaches(&self, path: &str) -> bool {
        let opens = self.name.is_some()
            && self.segments.len() > 1
            && path.split("::").zip(&self.segments).all(|(a, b)| a == b);
        self.is_in(path) || opens
    }

    /// The path as text.
    pub(crate) fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// A parsed file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Path from the top of the repository, with `/`.
    pub file: String,
    /// Paths that production code names.
    pub mentions: Vec<Mention>,
    /// Lines outside `#[cfg(test)]` items; 0 for a file that is a test as a whole.
    pub production_lines: usize,
    /// The first line.
    pub first_line: String,
    /// Lines that hold an attribute of this name, in production code: `allow`, `expect` …
    pub attributes: BTreeMap<String, Vec<usize>>,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// Parses `text`, the content of `file`.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, String> {
        let tokens: TokenStream = text
            .parse()
            .map_err(|e: proc_macro2::LexError| format!("{file}: {e} at {:?}", e.span().start()))?;
        let mut reader = Reader { mentions: Vec::new(), test_lines: 0, attributes: BTreeMap::new() };
        let lines = text.lines().count();
        let whole_test = is_test_file(file) || text.contains("#![cfg(test)]");
        if !whole_test {
            reader.items(tokens, &module_path(file));
        }
        Ok(Self {
            file: file.to_owned(),
            mentions: reader.mentions,
            production_lines: if whole_test { 0 } else { lines - reader.test_lines },
            first_line: text.lines().next().unwrap_or_default().to_owned(),
            attributes: reader.attributes,
            text: text.to_owned(),
        })
    }
}

/// Whether a file holds only tests or what tests need.
pub(crate) fn is_test_file(file: &str) -> bool {
    file.ends_with("_test.rs") || file.starts_with("tests/")
}

/// The folder that is a crate's root: the crates of the floor have their own, all else is one crate.
pub(crate) fn crate_root(file: &str) -> &'static str {
    ["src/base/", "src/media/", "src/store/"]
        .into_iter()
        .find(|root| file.starts_with(root))
        .unwrap_or("src/")
}

/// `crate`, then the modules that lead to `file`.
pub(crate) fn module_path(file: &str) -> Vec<String> {
    let inside = file.strip_prefix(crate_root(file)).unwrap_or(file);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let mut path = vec!["crate".to_owned()];
    path.extend(inside.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main")).map(str::to_owned));
    path
}

struct Reader {
    mentions: Vec<Mention>,
    test_lines: usize,
    attributes: BTreeMap<String, Vec<usize>>,
}

type Tokens = Peekable<proc_macro2::token_stream::IntoIter>;

impl Reader {
    /// Reads tokens that belong to the module at `module`, and all groups inside.
    fn items(&mut self, tokens: TokenStream, module: &[String]) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if let Some(attribute) = outer_attribute(&mut tokens) {
                        let text = attribute.stream().to_string().replace(' ', "");
                        let line = punct.span().start().line;
                        if is_test_attribute(&text) {
                            let last = skip_item(&mut tokens).unwrap_or(line);
                            self.test_lines += last + 1 - line;
                        } else {
                            let name = text.split(['(', '=']).next().unwrap_or_default().to_owned();
                            self.attributes.entry(name).or_default().push(line);
                            self.items(attribute.stream(), module);
                        }
                    }
                }
                TokenTree::Group(group) => self.items(group.stream(), module),
                TokenTree::Ident(ident) if ident == "mod" => self.module(&mut tokens, module),
                TokenTree::Ident(ident) if ident == "use" => {
                    leading_colons(&mut tokens);
                    self.tree(&mut tokens, Vec::new(), module, true);
                }
                // A field or method of something is no path.
                TokenTree::Punct(punct) if punct.as_char() == '.' && punct.spacing() == Spacing::Alone => {
                    if matches!(tokens.peek(), Some(TokenTree::Ident(_))) {
                        tokens.next();
                    }
                }
                TokenTree::Ident(ident) => {
                    let line = ident.span().start().line;
                    self.path(&mut tokens, vec![ident.to_string()], line, module, false);
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// After `mod`: an inline module's inside belongs to that module.
    fn module(&mut self, tokens: &mut Tokens, module: &[String]) {
        let Some(TokenTree::Ident(name)) = tokens.next() else { return };
        if let Some(TokenTree::Group(group)) = tokens.peek() {
            let mut inner = module.to_vec();
            inner.push(name.to_string());
            let stream = group.stream();
            tokens.next();
            self.items(stream, &inner);
        }
    }

    /// One branch of a `use` tree, or several if a brace follows.
    fn tree(&mut self, tokens: &mut Tokens, prefix: Vec<String>, module: &[String], within_use: bool) {
        match tokens.next() {
            Some(TokenTree::Ident(ident)) => {
                let line = ident.span().start().line;
                let mut segments = prefix;
                // `a::{self}` names `a` itself.
                if ident != "self" || segments.is_empty() {
                    segments.push(ident.to_string());
                }
                self.path(tokens, segments, line, module, within_use);
            }
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                self.mention(prefix, Some("*".to_owned()), star.span().start().line, module);
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let mut inside = group.stream().into_iter().peekable();
                while inside.peek().is_some() {
                    self.tree(&mut inside, prefix.clone(), module, within_use);
                    // Up to the next comma.
                    for token in inside.by_ref() {
                        if matches!(&token, TokenTree::Punct(p) if p.as_char() == ',') {
                            break;
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Continues a path whose first segments are read.
    fn path(
        &mut self,
        tokens: &mut Tokens,
        mut segments: Vec<String>,
        line: usize,
        module: &[String],
        within_use: bool,
    ) {
        while leading_colons(tokens) {
            match tokens.peek() {
                Some(TokenTree::Ident(ident)) => {
                    segments.push(ident.to_string());
                    tokens.next();
                }
                Some(TokenTree::Punct(p)) if p.as_char() == '*' => {
                    return self.tree(tokens, segments, module, true);
                }
                Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace => {
                    return self.tree(tokens, segments, module, true);
                }
                _ => break,
            }
        }
        let mut name = within_use.then(|| segments.last().cloned().unwrap_or_default());
        if within_use && matches!(tokens.peek(), Some(TokenTree::Ident(ident)) if ident == "as") {
            tokens.next();
            if let Some(TokenTree::Ident(alias)) = tokens.next() {
                name = Some(alias.to_string());
            }
        }
        if segments.len() > 1 || within_use {
            self.mention(segments, name, line, module);
        }
    }

    /// Notes a path with `self` and `super` resolved.
    fn mention(&mut self, segments: Vec<String>, name: Option<String>, line: usize, module: &[String]) {
        let mut here = module.to_vec();
        let mut rest = segments.as_slice();
        let relative = matches!(rest.first().map(String::as_str), Some("self" | "super"));
        while let Some(first) = rest.first() {
            match first.as_str() {
                "self" if relative => {}
                "super" if relative => {
                    here.pop();
                }
                _ => break,
            }
            rest = &rest[1..];
        }
        let segments = if relative { [here.as_slice(), rest].concat() } else { segments };
        self.mentions.push(Mention { segments, name, line });
    }
}

/// Takes `::` if it comes next.
fn leading_colons(tokens: &mut Tokens) -> bool {
    let mut ahead = tokens.clone();
    let colon = |token: Option<TokenTree>| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == ':');
    let joint = matches!(ahead.peek(), Some(TokenTree::Punct(p)) if p.spacing() == Spacing::Joint);
    if joint && colon(ahead.next()) && colon(ahead.next()) {
        *tokens = ahead;
        return true;
    }
    false
}

/// After `#`: the attribute's brackets, if there are any (with or without `!`).
fn outer_attribute(tokens: &mut Tokens) -> Option<Group> {
    if matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == '!') {
        tokens.next();
    }
    match tokens.peek() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
            let group = group.clone();
            tokens.next();
            Some(group)
        }
        _ => None,
    }
}

fn is_test_attribute(text: &str) -> bool {
    matches!(text, "cfg(test)" | "test" | "tokio::test") || text.starts_with("cfg(all(test,")
}

/// Skips the item that an attribute belongs to; gives its last line.
fn skip_item(tokens: &mut Tokens) -> Option<usize> {
    let mut last = None;
    for token in tokens.by_ref() {
        last = Some(token.span().end().line);
        match token {
            TokenTree::Punct(p) if p.as_char() == ';' => break,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
            _ => {}
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(file: &str, text: &str) -> Vec<String> {
        Source::parse(file, text).unwrap().mentions.iter().map(Mention::text).collect()
    }

    #[test]
    fn finds_paths_in_use_trees_code_and_macros() {
        let text = "use a::{b, c::{self, d as e}, f::*}; fn g() { let x = h::i(j::K); m!(n::o, x.p); <Q as r::S>::t() }";
        let expected = ["a::b", "a::c", "a::c::d", "a::f", "h::i", "j::K", "n::o", "r::S"];
        assert_eq!(paths("src/x.rs", text), expected);
    }

    #[test]
    fn ignores_comments_strings_and_tests() {
        let text = "//! a::b\n/// c::d\nfn e() { \"f::g\"; 'h' }\n#[cfg(test)]\nmod tests {\n use i::j;\n}\nuse k::l;";
        let source = Source::parse("src/x.rs", text).unwrap();
        assert_eq!(source.mentions.iter().map(Mention::text).collect::<Vec<_>>(), ["k::l"]);
        assert_eq!(source.production_lines, 4);
    }

    #[test]
    fn resolves_self_and_super() {
        let text = "use super::a; use self::b; mod inner { use super::super::c; }";
        let expected = ["crate::api::a", "crate::api::native::b", "crate::api::c"];
        assert_eq!(paths("src/api/native.rs", text), expected);
        assert_eq!(paths("src/media/mkv/mod.rs", "use super::track::Track;"), ["crate::track::Track"]);
    }

    #[test]
    fn sees_a_name_hidden_behind_an_opened_module() {
        let source = Source::parse("src/x.rs", "use std::time; use std::io::Read;").unwrap();
        assert!(source.mentions[0].reaches("std::time::SystemTime"));
        assert!(!source.mentions[1].reaches("std::time::SystemTime"));
        assert!(!source.mentions[1].reaches("std::io::Write"));
    }
}
