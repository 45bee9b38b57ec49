//! Which connectors does the product know by itself?

use std::sync::Arc;

use url::Url;

use crate::model::connector::{Definition, origin_of};

/// One file a provider.
const FILES: [&str; 7] = [
    include_str!("../../catalog/aircall.toml"),
    include_str!("../../catalog/github.toml"),
    include_str!("../../catalog/github-app.toml"),
    include_str!("../../catalog/google.toml"),
    include_str!("../../catalog/hubspot.toml"),
    include_str!("../../catalog/salesforce.toml"),
    include_str!("../../catalog/sandbox.toml"),
];

/// The definitions that come with the product, at the addresses the operator gave them.
#[derive(Clone, Debug)]
pub struct Catalog(Vec<Arc<Definition>>);

impl Catalog {
    /// The definitions as they are shipped.
    #[expect(clippy::expect_used, reason = "the files are part of the binary and each is parsed by a test")]
    pub fn builtin() -> Self {
        let parse = |text| Arc::new(toml::from_str(text).expect("catalog files are definitions"));
        Self(FILES.into_iter().map(parse).collect())
    }

    /// Moves every address of `id` to the origin of `base`, below its path: a sandbox on loopback, or a
    /// provider's installation in a company. An unknown id changes nothing.
    #[must_use]
    pub fn with_base(self, id: &str, base: &Url) -> Self {
        self.rewritten(id, |url, _| rebased(url, base))
    }

    /// Moves the addresses below `api_base_url` of `id` to below `base` (GitHub Enterprise has its API under
    /// `/api/v3`). Use it before [`Catalog::with_base`], which moves the rest.
    #[must_use]
    pub fn with_api_base(self, id: &str, base: &Url) -> Self {
        let base = base.as_str().trim_end_matches('/').to_owned();
        self.rewritten(id, |url, api| match api.and_then(|api| url.strip_prefix(api)) {
            Some(path) => format!("{base}{path}"),
            None => url.to_owned(),
        })
    }

    /// A definition by id or alias, without regard to case.
    pub fn find(&self, name: &str) -> Option<&Arc<Definition>> {
        self.0.iter().find(|definition| definition.is_called(name))
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.0.iter()
    }

    /// The same with one definition changed.
    #[cfg(test)]
    pub(crate) fn with_changed(mut self, id: &str, change: impl Fn(&mut Definition)) -> Self {
        for definition in self.0.iter_mut().filter(|definition| definition.id.as_str() == id) {
            change(Arc::make_mut(definition));
        }
        self
    }

    fn rewritten(mut self, id: &str, rewrite: impl Fn(&str, Option<&str>) -> String) -> Self {
        for definition in self.0.iter_mut().filter(|definition| definition.id.as_str() == id) {
            let mut changed = Definition::clone(definition);
            let api = changed.api_base_url.clone();
            for url in changed.addresses_mut() {
                *url = rewrite(url, api.as_deref());
            }
            *definition = Arc::new(changed);
        }
        self
    }
}

/// Text, not a parsed URL: templates stay templates, and an issuer keeps having no slash at its end.
fn rebased(url: &str, base: &Url) -> String {
    let rest = url.get(origin_of(url).len()..).unwrap_or_default();
    let base = format!("{}{}", base.origin().ascii_serialization(), base.path().trim_end_matches('/'));
    format!("{base}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::connector::Rules;

    const SHIPPED: Rules = Rules { allow_loopback: false, builtin: true };

    #[test]
    fn every_file_is_a_valid_definition() {
        let ids: Vec<_> = Catalog::builtin().iter().map(|definition| definition.id.to_string()).collect();
        assert_eq!(ids, ["aircall", "github", "github-app", "google", "hubspot", "salesforce", "sandbox"]);
        for definition in Catalog::builtin().iter() {
            let rules = Rules { allow_loopback: definition.id.as_str() == "sandbox", ..SHIPPED };
            assert_eq!(definition.validate(rules), Ok(()), "{}", definition.id);
            assert!(!definition.needs_app_credentials());
        }
    }

    #[test]
    fn names_are_found_without_regard_to_case() {
        let catalog = Catalog::builtin();
        assert_eq!(catalog.find("GitHub").map(|d| d.id.as_str()), Some("github"));
        assert!(catalog.find("gitlab").is_none());
    }

    #[test]
    fn a_base_moves_every_address_and_keeps_paths() {
        let base: Url = "http://localhost:4711".parse().unwrap();
        for id in ["aircall", "github", "github-app", "google", "hubspot", "salesforce", "sandbox"] {
            let catalog = Catalog::builtin().with_base(id, &base);
            let definition = catalog.find(id).unwrap();
            let origins: Vec<_> = definition.origins().into_iter().collect();
            assert_eq!(origins, ["http://localhost:4711"], "{id}");
            assert_eq!(definition.validate(Rules { allow_loopback: true, ..SHIPPED }), Ok(()));
        }
        let catalog = Catalog::builtin().with_base("sandbox", &base);
        let sandbox = catalog.find("sandbox").unwrap();
        assert_eq!(sandbox.issuer.as_deref(), Some("http://localhost:4711"));
        assert_eq!(sandbox.token_url, "http://localhost:4711/token");
        assert_eq!(catalog.find("github").unwrap().token_origin(), "https://github.com");
    }

    #[test]
    fn an_api_base_has_its_own_path() {
        let catalog = Catalog::builtin()
            .with_api_base("github", &"https://git.example.com/api/v3".parse().unwrap())
            .with_base("github", &"https://git.example.com/".parse().unwrap());
        let github = catalog.find("github").unwrap();
        assert_eq!(github.api_base_url.as_deref(), Some("https://git.example.com/api/v3"));
        assert_eq!(github.identity.as_ref().unwrap().url, "https://git.example.com/api/v3/user");
        assert_eq!(github.token_url, "https://git.example.com/login/oauth/access_token");
    }
}
