//! Do imports point inward? The import rule of the architecture, executed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What each module may import of ours, itself excepted. What is not listed imports what it likes: `app`, `cli`.
const RULE: [(&str, &[&str]); 22] = [
    ("model", &[]),
    ("figures", &["model"]),
    ("outbound", &["model"]),
    ("vault", &["model"]),
    ("store", &["model"]),
    ("spool", &["model"]),
    ("sandbox", &["model"]),
    ("connectors", &["model", "outbound"]),
    ("secret_stores", &["model"]),
    ("audit", &["model", "store", "vault", "spool"]),
    ("identity", &["model", "store", "vault", "audit", "outbound"]),
    // Which connector, with which credentials: a service that stands between the adapters and the others.
    ("registry", &["model", "vault", "connectors", "store", "outbound"]),
    (
        "keeper",
        &[
            "model",
            "vault",
            "connectors",
            "store",
            "spool",
            "audit",
            "outbound",
            "identity",
            "registry",
            "figures",
        ],
    ),
    (
        "signup",
        &["model", "vault", "connectors", "store", "audit", "outbound", "identity", "registry", "keeper"],
    ),
    ("issuer", &["model", "vault", "store", "audit", "keeper", "identity"]),
    // Signing keys are made and read by whoever signs.
    (
        "admin",
        &[
            "model",
            "vault",
            "store",
            "audit",
            "connectors",
            "secret_stores",
            "keeper",
            "identity",
            "registry",
            "issuer",
        ],
    ),
    ("gauges", &["model", "store", "audit", "registry", "figures", "keeper"]),
    ("health", &["model", "store", "vault", "audit", "spool"]),
    (
        "http",
        &[
            "model", "identity", "keeper", "signup", "issuer", "admin", "audit", "registry", "health",
            "figures", "gauges",
        ],
    ),
    ("config", &["model", "outbound", "store", "secret_stores", "telemetry"]),
    ("telemetry", &["model", "config"]),
    ("lib", &[]),
];

/// What the web may name in `http/problem` alone, where errors get their statuses.
const ADAPTERS: [&str; 5] = ["store", "vault", "connectors", "outbound", "secret_stores"];

/// Crates that only some parts may name.
const CRATES: [(&str, &[&str]); 3] =
    [("sea_orm", &["store"]), ("actix_web", &["http", "sandbox"]), ("reqwest", &["outbound"])];

struct File {
    module: String,
    path: PathBuf,
    text: String,
}

fn sources() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(&root).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
                let module = first.trim_end_matches(".rs").to_owned();
                let text = code(&std::fs::read_to_string(&path).unwrap());
                let text = from_the_root(&text, inside.components().count());
                found.push(File { module, path: inside.to_owned(), text });
            }
        }
    }
    assert!(found.len() > 100, "the sources are here");
    found
}

/// Without comments and without what is compiled for tests only: whole files of tests are left out by name.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

/// With `super::super::x` as `crate::x`, where that leads as far: a file lies as deep as its path has parts.
fn from_the_root(text: &str, depth: usize) -> String {
    text.replace(&"super::".repeat(depth), "crate::")
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        ["tests", "tests.rs", "testing", "testing.rs", "scripted.rs"].contains(&name.as_ref())
            || name.trim_end_matches(".rs").ends_with("_tests")
    })
}

/// Whether a text names a crate, whatever it then calls it.
fn names_crate(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Modules of ours that a text names: `crate::x`, and each of `crate::{x, y}`.
fn imports(text: &str) -> BTreeSet<String> {
    let word =
        |text: &str| text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => drop(found.insert(word(rest))),
            Some(list) => found.extend(names(list).into_iter().map(|name| word(name.trim()))),
        }
    }
    found.remove("");
    found
}

/// Top-level items of a brace list.
fn names(list: &str) -> Vec<String> {
    let (mut depth, mut items) = (0_i32, vec![String::new()]);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            c if depth == 0 => items.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    items
}

#[test]
fn imports_point_inward() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !is_test(&file.path)) {
        let Some((_, may)) = RULE.iter().find(|(module, _)| *module == file.module) else {
            assert!(["app", "cli", "main"].contains(&file.module.as_str()), "no rule for {}", file.module);
            continue;
        };
        for import in imports(&file.text) {
            let maps_errors = file.path.starts_with("http/problem") && ADAPTERS.contains(&import.as_str());
            if import != file.module && !may.contains(&import.as_str()) && !maps_errors {
                wrong.push(format!("{} imports {import}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn frameworks_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !is_test(&file.path)) {
        for (name, may) in CRATES {
            if names_crate(&file.text, name) && !may.contains(&file.module.as_str()) {
                wrong.push(format!("{} names {name}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The broker verifies tokens by jeton-guard alone, and makes signatures by itself.
#[test]
fn tokens_are_verified_by_the_guard_alone() {
    for file in sources().iter().filter(|file| !is_test(&file.path)) {
        for name in ["jsonwebtoken", "UnparsedPublicKey", "RsaPublicKeyComponents"] {
            assert!(!file.text.contains(name), "{} names {name}", file.path.display());
        }
    }
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    for file in sources().iter().filter(|file| !is_test(&file.path)) {
        assert!(file.text.lines().count() <= 500, "{}", file.path.display());
    }
}

#[test]
fn the_reader_of_imports_sees_through_lists_and_prefixes() {
    let text = "use crate::model::app::{AppId, x};\nuse crate::{store::Store, vault::{self, Vault}};\nlet x = crate::audit::y; jeton_crate::no;";
    assert_eq!(imports(text).into_iter().collect::<Vec<_>>(), ["audit", "model", "store", "vault"]);
    let text = from_the_root("use super::super::{store::Store, http};\nuse super::code::Redemption;", 2);
    assert_eq!(imports(&text).into_iter().collect::<Vec<_>>(), ["http", "store"]);
    for text in
        ["use reqwest as web;", "extern crate reqwest;", "let x = reqwest::get;", "use {url, reqwest};"]
    {
        assert!(names_crate(text, "reqwest"), "{text}");
    }
    assert!(!names_crate("use crate::reqwests; my_reqwest::x();", "reqwest"));
}
