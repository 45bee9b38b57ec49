//! Where do a URL template's variables stand, and what may fill them there?

use std::collections::BTreeMap;

/// Suffixes under which anybody can register a name: a label below them is a whole host of somebody's choice.
/// The public suffix list is too large to carry; country domains with a generic second level (`co.uk`,
/// `com.au`) are told by their form.
const OPEN_SUFFIXES: [&str; 30] = [
    "appspot.com",
    "azurecontainerapps.io",
    "azurestaticapps.net",
    "azurewebsites.net",
    "blogspot.com",
    "cloudapp.net",
    "cloudfront.net",
    "cloudfunctions.net",
    "deno.dev",
    "duckdns.org",
    "dyndns.org",
    "firebaseapp.com",
    "fly.dev",
    "github.io",
    "gitlab.io",
    "herokuapp.com",
    "loca.lt",
    "netlify.app",
    "ngrok.app",
    "ngrok.io",
    "ngrok-free.app",
    "nip.io",
    "onrender.com",
    "pages.dev",
    "railway.app",
    "sslip.io",
    "trycloudflare.com",
    "vercel.app",
    "web.app",
    "workers.dev",
];

/// Clouds that rent out names at every depth below these.
const CLOUDS: [&str; 4] = ["amazonaws.com", "azure.com", "on.aws", "windows.net"];

/// Second levels that are registries of their country.
const GENERIC_LABELS: [&str; 12] =
    ["ac", "co", "com", "edu", "gob", "gov", "gouv", "ltd", "me", "net", "ne", "org"];

/// What a variable fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// (A part of) a path segment.
    Segment,
    /// (A part of) the left-most DNS label, under at least two fixed labels that are no public suffix.
    Label,
    /// More of the host: it can lead anywhere.
    AnyHost,
}

impl Placement {
    /// Whether a value can stand there without ending what it stands in. A list of what is allowed, since
    /// URL parsers take more for separators than one would think (`\` among them).
    pub(super) fn admits(self, value: &str) -> bool {
        let bytes = |allowed: &[u8]| {
            !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || allowed.contains(&b))
        };
        match self {
            Self::Segment => bytes(b"-._~") && !value.bytes().all(|b| b == b'.'),
            Self::Label => {
                bytes(b"-") && value.len() <= 63 && !value.starts_with('-') && !value.ends_with('-')
            }
            Self::AnyHost => {
                bytes(b"-.")
                    && !value.contains("..")
                    && !value.starts_with(['-', '.'])
                    && !value.ends_with(['-', '.'])
            }
        }
    }

    /// What [`Placement::admits`] wants, for people.
    pub(super) fn wants(self) -> &'static str {
        match self {
            Self::Segment => "letters, digits and -._~",
            Self::Label => "one DNS label: letters, digits and -",
            Self::AnyHost => "a host name: letters, digits, - and .",
        }
    }
}

/// A URL template taken apart: scheme, authority and the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template<'a> {
    scheme: &'a str,
    host: &'a str,
    port: &'a str,
    path: &'a str,
    rest: &'a str,
}

impl<'a> Template<'a> {
    /// Takes a template apart; variables may stand in host and path alone.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.bytes().any(|b| b <= b' ' || b == b'\\' || b == 0x7f || !b.is_ascii()) {
            return Err("must be printable ASCII without spaces and backslashes");
        }
        let (scheme, after) = text.split_once("://").ok_or("is no absolute URL")?;
        let authority_end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (authority, tail) = after.split_at(authority_end);
        let path_end = tail.find(['?', '#']).unwrap_or(tail.len());
        let (path, rest) = tail.split_at(path_end);
        if authority.contains('@') {
            return Err("must not hold a user name or password");
        }
        let literal_v6 = authority.ends_with(']');
        let port_start = authority.rfind(':').filter(|_| !literal_v6).unwrap_or(authority.len());
        let (host, port) = authority.split_at(port_start);
        if [scheme, port, rest].iter().any(|part| part.contains(['{', '}'])) {
            return Err("can hold variables in host and path only");
        }
        let template = Self { scheme, host, port, path, rest };
        if names(host).is_none() || names(path).is_none() {
            return Err("has a brace without its other, or a variable without a name");
        }
        Ok(template)
    }

    /// Each variable and what it fills.
    pub(super) fn variables(&self) -> Vec<(&'a str, Placement)> {
        let placement = host_placement(self.host);
        let in_host = names(self.host).unwrap_or_default().into_iter().map(|name| (name, placement));
        let in_path = names(self.path).unwrap_or_default().into_iter().map(|name| (name, Placement::Segment));
        in_host.chain(in_path).collect()
    }

    /// The template with every variable filled by something harmless.
    pub(super) fn sample(&self) -> String {
        let Self { scheme, port, rest, .. } = self;
        format!(
            "{scheme}://{}{port}{}{rest}",
            replace(self.host, |_| "x.example"),
            replace(self.path, |_| "x")
        )
    }

    /// The host after filling in values, folded as URL parsers do.
    pub(super) fn host_filled(&self, values: &BTreeMap<String, String>) -> String {
        replace(self.host, |name| values.get(name).map_or("", String::as_str)).to_ascii_lowercase()
    }
}

fn host_placement(host: &str) -> Placement {
    let Some((first, fixed)) = host.split_once('.') else { return Placement::AnyHost };
    let fixed = fixed.to_ascii_lowercase();
    let one_variable = first.matches('{').count() == 1;
    if one_variable && !fixed.contains('{') && is_registrable(&fixed) {
        Placement::Label
    } else {
        Placement::AnyHost
    }
}

/// Whether a fixed suffix belongs to one owner, as far as its form tells.
fn is_registrable(suffix: &str) -> bool {
    let labels: Vec<&str> = suffix.trim_end_matches('.').split('.').collect();
    let below = |name: &str, above: &str| name == above || name.ends_with(&format!(".{above}"));
    let open = OPEN_SUFFIXES.iter().any(|open| below(open, suffix))
        || CLOUDS.iter().any(|cloud| below(suffix, cloud));
    match labels.as_slice() {
        [] | [_] => false,
        [second, top] if top.len() == 2 && GENERIC_LABELS.contains(second) => false,
        _ => !open && labels.iter().all(|label| !label.is_empty()),
    }
}

/// The variables of a part, in order; nothing where braces don't match.
fn names(part: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    let mut rest = part;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}')?;
        if before.contains('}') || name.is_empty() || name.contains('{') {
            return None;
        }
        found.push(name);
        rest = tail;
    }
    if rest.contains('}') { None } else { Some(found) }
}

fn replace<'v>(part: &str, value: impl Fn(&str) -> &'v str) -> String {
    let mut filled = String::with_capacity(part.len());
    let mut rest = part;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(value(name));
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(url: &str) -> Placement {
        Template::parse(url).unwrap().variables()[0].1
    }

    #[test]
    fn a_variable_is_a_segment_a_label_or_any_host() {
        for url in [
            "https://{shop}.myshopify.com/x",
            "https://{dc}-api.mail.example.com",
            "https://{a}.example.co.uk/",
        ] {
            assert_eq!(placement(url), Placement::Label, "{url}");
        }
        for url in [
            "https://{host}/oauth/token",
            "https://{shop}.com/",
            "https://{x}.co.uk/",
            "https://{x}.com.au/",
            "https://{x}.github.io/",
            "https://{x}.HerokuApp.com/",
            "https://{x}.s3.amazonaws.com/",
            "https://api.{region}.example.com/",
            "https://{a}{b}.example.com/",
            "https://{a}.{b}.example.com/",
            "https://x{a}/",
            "https://{x}.localhost/",
        ] {
            assert_eq!(placement(url), Placement::AnyHost, "{url}");
        }
        assert_eq!(placement("https://login.example.com/{tenant}/token"), Placement::Segment);
    }

    #[test]
    fn variables_elsewhere_and_lonely_braces_are_refused() {
        for url in [
            "{scheme}://example.com/",
            "https://example.com:{port}/",
            "https://example.com/?tenant={x}",
            "https://example.com/#{x}",
            "https://{user}@example.com/",
            "https://example.com/{",
            "https://example.com/}",
            "https://example.com/{}",
            "https://example.com/{a{b}}",
            "https://exa mple.com/",
            "https:\\\\example.com/",
        ] {
            assert!(Template::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn values_stay_inside_what_they_fill() {
        for value in ["", "a/b", "a?b", "a#b", "a@b", "a:1", "a%2fb", "a\\b", "a b", "a\n", "é", ".", ".."] {
            assert!(!Placement::Segment.admits(value), "{value:?}");
            assert!(!Placement::Label.admits(value), "{value:?}");
            assert!(!Placement::AnyHost.admits(value), "{value:?}");
        }
        assert!(
            !Placement::Label.admits("a.b")
                && !Placement::Label.admits("-a")
                && !Placement::Label.admits("a-")
        );
        assert!(Placement::Segment.admits("v1.2_x~") && Placement::Label.admits("acme-1"));
        assert!(Placement::AnyHost.admits("git.acme.example") && !Placement::AnyHost.admits("a..b"));
    }
}
