//! How does a command read what must not stand on its command line: files, and secrets?

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use jeton_client::Secret;

use super::Error;

/// The text of a file; `-` is standard input.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    let read = if path == Path::new("-") { stdin_text() } else { std::fs::read_to_string(path) };
    read.map_err(|source| Error::Input { place: name(path), source })
}

/// The same where it may be no text as a whole.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let read = if path == Path::new("-") { stdin_bytes() } else { std::fs::read(path) };
    read.map_err(|source| Error::Input { place: name(path), source })
}

/// What a file is called in messages.
pub(super) fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// A secret from its file, else asked for on a terminal, else from standard input.
pub(super) fn secret(file: Option<&Path>, prompt: &str) -> Result<Secret, Error> {
    let typed = match file {
        Some(path) => text(path)?,
        None if io::stdin().is_terminal() => {
            let ask = rpassword::prompt_password(format!("{prompt}: "));
            ask.map_err(|source| Error::Input { place: "the terminal".to_owned(), source })?
        }
        None => text(Path::new("-"))?,
    };
    let secret = typed.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        let place = file.map_or_else(|| "standard input".to_owned(), name);
        return Err(Error::Malformed { place, reason: "no secret in it".to_owned() });
    }
    Ok(Secret::new(secret))
}

fn stdin_bytes() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn stdin_text() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
