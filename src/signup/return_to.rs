//! Where may a browser go when a consent has ended?

use url::Url;

use crate::model::public_url::PublicUrl;
use crate::signup::{Error, Settings};

const LONGEST: usize = 2_048;

impl Settings {
    /// Reads a `return_to`: a path at our own origin, or an address at an allow-listed one.
    pub(super) fn read_return_to(&self, text: &str) -> Result<String, Error> {
        let printable = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        if text.len() > LONGEST || !printable {
            return Err(Error::ReturnTo);
        }
        if text.starts_with('/') { self.read_path(text) } else { self.read_address(text) }
    }

    /// What `//evil` or `/.//evil` would lead to is decided by the parser browsers use.
    fn read_path(&self, text: &str) -> Result<String, Error> {
        let ours = base(&self.public_url).ok_or(Error::ReturnTo)?;
        let target = ours.join(text).map_err(|_| Error::ReturnTo)?;
        let path = target.path();
        if target.origin() != ours.origin() || text.starts_with("//") || path.starts_with("//") {
            return Err(Error::ReturnTo);
        }
        Ok(text.to_owned())
    }

    fn read_address(&self, text: &str) -> Result<String, Error> {
        let target = Url::parse(text).map_err(|_| Error::ReturnTo)?;
        let plain = target.username().is_empty() && target.password().is_none();
        if !plain || !matches!(target.scheme(), "https" | "http") {
            return Err(Error::ReturnTo);
        }
        let listed = |allowed: &String| Url::parse(allowed).is_ok_and(|url| url.origin() == target.origin());
        if self.return_to_origins.iter().any(listed) { Ok(target.into()) } else { Err(Error::ReturnTo) }
    }

    /// Reads an address at the origin of one of these.
    pub(super) fn read_address_at<'a>(
        &self,
        text: &str,
        origins: impl Iterator<Item = &'a str>,
    ) -> Result<String, Error> {
        let return_to_origins = origins.map(str::to_owned).collect();
        let printable = text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        if text.len() > LONGEST || !printable {
            return Err(Error::ReturnTo);
        }
        Self { return_to_origins, ..self.clone() }.read_address(text)
    }
}

fn base(public_url: &PublicUrl) -> Option<Url> {
    Url::parse(&public_url.join("/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            public_url: PublicUrl::parse("https://api.example.com/laputa").unwrap(),
            return_to_origins: vec!["https://app.example.com".into(), "http://localhost:3000/".into()],
            bounds: Default::default(),
        }
    }

    #[test]
    fn paths_of_ours_and_listed_origins_are_taken() {
        for good in ["/", "/acme/connect?x=1#y", "https://app.example.com/done", "http://localhost:3000"] {
            assert!(settings().read_return_to(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "//evil",
            "/\\evil",
            "\\\\evil",
            "/.//evil",
            "/x/..//evil",
            "acme/connect",
            "https://evil.example",
            "https://app.example.com.evil.example",
            "https://app.example.com:444/",
            "https://app.example.com@evil.example/",
            "https://u:p@app.example.com/",
            "http://app.example.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/\tevil",
            "/x\r\nSet-Cookie: a=b",
        ] {
            assert!(matches!(settings().read_return_to(bad), Err(Error::ReturnTo)), "{bad}");
        }
        assert!(settings().read_return_to(&format!("/{}", "a".repeat(2_048))).is_err());
    }
}
