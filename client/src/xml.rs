//! Which texts stand in an XML answer of a web service? The least of XML that such answers use.
//!
//! Refused, and the whole text with it: document types (so no entities of anybody's making), comments, CDATA,
//! processing instructions, text beside elements, two elements of one path, deep nesting.

use std::collections::BTreeMap;

const DEPTH: usize = 16;

/// Texts of the elements that have no children, by their path such as `Error/Code`; prefixes are part of a name.
pub(crate) fn leaves(text: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = text.trim_start();
    if let Some(declaration) = rest.strip_prefix("<?xml ") {
        rest = declaration.split_once("?>")?.1;
    }
    let mut leaves = BTreeMap::new();
    // Each open element, and whether an element was seen in it.
    let mut open: Vec<(&str, bool)> = Vec::new();
    let mut begun = false;
    loop {
        let (before, tag) = match rest.split_once('<') {
            Some(parts) => parts,
            None => return (begun && open.is_empty() && rest.trim().is_empty()).then_some(leaves),
        };
        let (inside, after) = tag.split_once('>')?;
        rest = after;
        if let Some(name) = inside.strip_prefix('/') {
            let path = path(&open);
            let (own, has_children) = open.pop()?;
            if own != name.trim_end() {
                return None;
            }
            if !has_children {
                leaves.insert(path, unescaped(before)?).is_none().then_some(())?;
            } else if !before.trim().is_empty() {
                return None;
            }
            continue;
        }
        if !before.trim().is_empty() || (begun && open.is_empty()) || open.len() >= DEPTH {
            return None;
        }
        begun = true;
        if let Some(parent) = open.last_mut() {
            parent.1 = true;
        }
        let (inside, empty) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
        open.push((element(inside)?, false));
        if empty {
            leaves.insert(path(&open), String::new()).is_none().then_some(())?;
            open.pop();
        }
    }
}

fn path(open: &[(&str, bool)]) -> String {
    open.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("/")
}

/// The name of a start tag; its attributes are passed over, in quotes of one kind and without `<`.
fn element(inside: &str) -> Option<&str> {
    let end = inside.find(|c: char| c.is_ascii_whitespace()).unwrap_or(inside.len());
    let (name, attributes) = inside.split_at_checked(end)?;
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    let quotes = attributes.chars().filter(|c| *c == '"').count() % 2 == 0;
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(good);
    (named && quotes && !attributes.contains('<')).then_some(name)
}

/// Text with the five entities of XML and characters by number.
fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';')?;
        plain.push_str(before);
        plain.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let hex = number.strip_prefix('x').map(|hex| u32::from_str_radix(hex, 16));
                char::from_u32(hex.unwrap_or_else(|| number.parse()).ok()?)?
            }
        });
        rest = after;
    }
    plain.push_str(rest);
    (!plain.contains('\0')).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    fn escaped(text: &str) -> String {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&#62;").replace('"', "&quot;")
    }

    proptest! {
        #[test]
        fn a_text_comes_out_as_it_went_in(text in "[^\\x00]{0,60}", name in "[A-Za-z_][A-Za-z0-9_.-]{0,9}") {
            let xml = format!("<?xml version=\"1.0\"?>\n<A x=\"1\">\n <B/><{name}1>{}</{name}1 >\n</A>\n", escaped(&text));
            let leaves = leaves(&xml).unwrap();
            assert_eq!(leaves.get(&format!("A/{name}1")), Some(&text));
            assert_eq!(leaves.get("A/B"), Some(&String::new()));
        }

        #[test]
        fn no_text_makes_it_fail(text in any::<String>(), cut in 0_usize..200) {
            leaves(&text);
            let xml = format!("<A><B>{text}</B><C a=\"b\">&amp;</C></A>");
            leaves(xml.get(..cut).unwrap_or(&xml));
        }

        #[test]
        fn what_is_cut_short_is_refused(cut in 1_usize..32) {
            let xml = "<A><B>x</B><C a=\"b\">&amp;</C></A>";
            assert!(leaves(xml.get(..cut).unwrap()).is_none());
        }
    }

    #[test]
    fn what_answers_do_not_use_is_refused() {
        for xml in [
            "",
            "x",
            "<A>",
            "</A>",
            "<A></B>",
            "<A/><B/>",
            "<A>x<B/></A>",
            "<A><B/>x</A>",
            "<A><B/><B/></A>",
            "<!DOCTYPE A [<!ENTITY x \"y\">]><A>&x;</A>",
            "<A>&x;</A>",
            "<A>&#0;</A>",
            "<A>&#xD800;</A>",
            "<A>&</A>",
            "<A><!-- --></A>",
            "<A><![CDATA[x]]></A>",
            "<A><?p?></A>",
            "<A x=\"1></A>",
            "< A/>",
            "<A/>x",
        ] {
            assert_eq!(leaves(xml), None, "{xml}");
        }
        let deep = format!("{}{}", "<A>".repeat(17), "</A>".repeat(17));
        assert_eq!(leaves(&deep), None);
    }
}
