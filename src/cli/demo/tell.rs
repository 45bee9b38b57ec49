//! How does the demonstration speak? Numbered steps, what was sent, what came back; secrets shortened.

use std::io::{self, IsTerminal, Write};

use http::Method;
use serde_json::Value;
use url::Url;

use crate::cli::output::printable;

/// Where a line of fields is broken.
const WIDTH: usize = 100;
const INDENT: &str = "        ";

/// Tells on standard output.
pub(super) struct Teller {
    out: Box<dyn Write + Send>,
    colour: bool,
    step: u32,
    hushed: bool,
}

impl Teller {
    /// Colour is for terminals whose owner did not decline it.
    pub(super) fn of_process() -> Self {
        let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = io::stdout().is_terminal() && !declined;
        Self { out: Box::new(io::stdout()), colour, step: 0, hushed: false }
    }

    /// What happens next, and why.
    pub(super) fn step(&mut self, title: &str) -> io::Result<()> {
        self.step += 1;
        let title = format!("{}. {title}", self.step);
        let title = self.paint("1", &title);
        writeln!(self.out, "\n{title}")
    }

    /// Something a reader should know.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "   {text}")
    }

    /// A line as it stands.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// A promise that held.
    pub(super) fn proved(&mut self, text: &str) -> io::Result<()> {
        let mark = self.paint("32", "ok");
        writeln!(self.out, "   {mark} {text}")
    }

    /// Leaves requests and answers out, until told otherwise.
    pub(super) fn hush(&mut self, hushed: bool) {
        self.hushed = hushed;
    }

    /// A request, with what it carried; parameters of its address count as such.
    pub(super) fn sent(&mut self, method: &Method, url: &Url, carried: &[String]) -> io::Result<()> {
        let head = format!("{method} {}", place(url));
        let query = url.query_pairs().map(|(name, value)| format!("{name}={}", field(&name, &value)));
        let carried: Vec<String> = query.chain(carried.iter().cloned()).collect();
        self.exchange(">", "36", &head, &carried)
    }

    /// An answer, with what matters of it.
    pub(super) fn came(&mut self, status: u16, what: &[String]) -> io::Result<()> {
        let colour = if status < 400 { "32" } else { "33" };
        self.exchange("<", colour, &status.to_string(), what)
    }

    /// On one line where it fits.
    fn exchange(&mut self, mark: &str, colour: &str, head: &str, fields: &[String]) -> io::Result<()> {
        if self.hushed {
            return Ok(());
        }
        let painted = self.paint(colour, head);
        let inline = fields.join("  ");
        if INDENT.len() + head.len() + inline.len() <= WIDTH {
            let line = format!("   {mark} {painted}  {inline}");
            writeln!(self.out, "{}", line.trim_end())?;
        } else {
            writeln!(self.out, "   {mark} {painted}")?;
            for line in wrapped(fields) {
                writeln!(self.out, "{INDENT}{line}")?;
            }
        }
        self.out.flush()
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Lines of fields, none broken in itself.
fn wrapped(fields: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for field in fields {
        match lines.last_mut() {
            Some(line) if line.len() + field.len() + INDENT.len() + 2 <= WIDTH => {
                line.push_str("  ");
                line.push_str(field);
            }
            _ => lines.push(field.clone()),
        }
    }
    lines
}

/// Fields of a JSON object, those that are there, each as `name: value`.
pub(super) fn json_fields(value: &Value, names: &[&str]) -> Vec<String> {
    let shown = |name: &&str| Some(format!("{name}: {}", json_field(name, value.get(*name)?)));
    names.iter().filter_map(shown).collect()
}

fn json_field(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", field(name, text)),
        other => printable(&other.to_string()),
    }
}

/// Fields of a form, each as `name=value`.
pub(super) fn form_fields<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    pairs.into_iter().map(|(name, value)| format!("{name}={}", field(name, value))).collect()
}

fn field(name: &str, value: &str) -> String {
    match name {
        "password" | "client_secret" => "***".to_owned(),
        _ if value.starts_with("http") => {
            Url::parse(value).map_or_else(|_| shortened(value), |url| place(&url))
        }
        _ => shortened(value),
    }
}

/// An address without its parameters; a segment that is a secret is shortened.
pub(super) fn place(url: &Url) -> String {
    let segments = url.path_segments().into_iter().flatten().map(shortened);
    let path = segments.collect::<Vec<_>>().join("/");
    let text = format!("{}/{path}", url.origin().ascii_serialization());
    if path.is_empty() { text.trim_end_matches('/').to_owned() } else { text }
}

/// Its beginning and its end, where it may be a secret: one long word of the characters that tokens have.
pub(super) fn shortened(text: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "_-.~".contains(c);
    if text.len() <= 30 || !text.chars().all(is_token) {
        return printable(text);
    }
    let (head, tail) = (text.get(..7).unwrap_or_default(), text.get(text.len() - 2..).unwrap_or_default());
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TOKEN: &str = "sbx_AbCdefghijklmnopqrstuvwxyz0123456789_-9f";

    #[test]
    fn a_token_is_shortened_wherever_it_stands() {
        assert_eq!(shortened(TOKEN), "sbx_AbC…9f");
        assert_eq!(
            json_fields(&json!({"access_token": TOKEN, "n": 1, "x": 2}), &["access_token", "n"]),
            ["access_token: \"sbx_AbC…9f\"", "n: 1"]
        );
        let url = format!("http://127.0.0.1:1/i/{TOKEN}?state={TOKEN}");
        assert_eq!(place(&Url::parse(&url).unwrap()), "http://127.0.0.1:1/i/sbx_AbC…9f");
        assert_eq!(field("url", &url), "http://127.0.0.1:1/i/sbx_AbC…9f");
        assert_eq!(field("scope", "binb:read"), "binb:read");
        assert_eq!(form_fields([("password", "short"), ("user", "alice")]), ["password=***", "user=alice"]);
    }

    #[test]
    fn fields_are_put_into_lines() {
        let field = "x".repeat(60);
        assert_eq!(wrapped(&["a".into(), "b".into(), field.clone(), field.clone()]).len(), 2);
        assert!(wrapped(&[]).is_empty());
    }
}
