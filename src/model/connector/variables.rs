//! May these values fill a definition's URLs, and where could they lead?

use std::collections::BTreeMap;

use super::template::{Placement, Template};
use super::validate::{Findings, Violation};
use super::{Definition, fill};

impl Definition {
    /// Checks values for the variables: each is declared, matches its pattern, and moves no host. Values not
    /// given yet are no violation.
    ///
    /// # Errors
    /// At least one violation, its pointer `/{variable}`.
    pub fn check_variables(&self, values: &BTreeMap<String, String>) -> Result<(), Vec<Violation>> {
        let mut found = Findings::default();
        for (name, value) in values {
            match self.url_variables.get(name) {
                None => found.add(format!("/{name}"), "the connector has no such variable"),
                Some(pattern) if !matches(pattern, value) => {
                    found.add(format!("/{name}"), format!("must match {pattern}"));
                }
                Some(_) if value.len() > 128 => found.add(format!("/{name}"), "is longer than 128 bytes"),
                Some(_) => {}
            }
        }
        for (_, template) in self.urls() {
            self.check_filled(template, values, &mut found);
        }
        found.into_result()
    }

    /// Whether a variable can lead to hosts of anybody's choice: then instance credentials would be sent
    /// wherever a person says, so each app brings its own.
    pub fn needs_app_credentials(&self) -> bool {
        self.urls().iter().any(|(_, url)| {
            Template::parse(url)
                .is_ok_and(|parsed| parsed.variables().iter().any(|(_, at)| *at == Placement::AnyHost))
        })
    }

    /// Checks one filled URL, as far as its variables have values: it parses to the very host that was
    /// written.
    fn check_filled(&self, template: &str, values: &BTreeMap<String, String>, found: &mut Findings) {
        let Ok(parsed) = Template::parse(template) else { return };
        let variables = parsed.variables();
        for (name, placement) in &variables {
            if let Some(value) = values.get(*name)
                && !placement.admits(value)
            {
                found.add(format!("/{name}"), format!("must be {}", placement.wants()));
                return;
            }
        }
        if variables.is_empty() || variables.iter().any(|(name, _)| !values.contains_key(*name)) {
            return;
        }
        let written = parsed.host_filled(values);
        let stays = fill(template, values).is_ok_and(|url| url.host_str() == Some(written.as_str()));
        if !stays {
            let names = variables.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            found.add(format!("/{names}"), format!("gives no address under the host of `{template}`"));
        }
    }
}

/// The pattern bound to the whole value, whatever alternatives it has. It must compile by itself too, lest
/// it close our group.
pub(super) fn compile(pattern: &str) -> Option<regex_lite::Regex> {
    regex_lite::Regex::new(pattern).ok()?;
    regex_lite::RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).size_limit(1 << 20).build().ok()
}

fn matches(pattern: &str, value: &str) -> bool {
    compile(pattern).is_some_and(|regex| regex.is_match(value))
}
