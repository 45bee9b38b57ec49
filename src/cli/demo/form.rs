//! What does a page ask for? Its title and the form of its content, as a browser would send it.

use url::Url;

/// A form with the values it came with.
pub(super) struct Form {
    pub(super) action: Url,
    pub(super) fields: Vec<(String, String)>,
}

impl Form {
    /// The first form of the page's content; the head of a page has one of its own, for signing out.
    pub(super) fn read(page: &Url, html: &str) -> Option<Self> {
        let (_, content) = html.split_once("<main")?;
        let (_, form) = content.split_once("<form")?;
        let (form, _) = form.split_once("</form>")?;
        let (tag, inside) = form.split_once('>')?;
        let action = attribute(tag, "action").map_or_else(|| Some(page.clone()), |to| page.join(&to).ok())?;
        let inputs = inside.split("<input").skip(1).filter_map(|rest| rest.split('>').next());
        let hidden = inputs.filter(|tag| attribute(tag, "type").as_deref() == Some("hidden"));
        let fields = hidden.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)));
        Some(Self { action, fields: fields.collect() })
    }

    /// With what the person filled in.
    pub(super) fn with(mut self, filled: &[(&str, &str)]) -> Self {
        self.fields
            .splice(0..0, filled.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }
}

/// What stands in the window's head.
pub(super) fn title(html: &str) -> String {
    let inside = html.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    plain(inside.map_or("", |(title, _)| title))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| plain(value))
}

fn plain(html: &str) -> String {
    let marks =
        [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&"), ("&amp;", "&")];
    marks.iter().fold(html.to_owned(), |text, (mark, character)| text.replace(mark, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<title>Tom &#38; Co</title><form action="/logout"><input type="hidden" name="n" value="0"></form>
        <main id="content"><form method="post" action="/go?a=1&#38;b=2">
        <input type="hidden" name="csrf_token" value="a&#34;b"><input id="u" name="user" value="alice"></form></main>"#;

    #[test]
    fn the_form_of_the_content_is_read_with_its_hidden_fields() {
        let form = Form::read(&Url::parse("http://h/x").unwrap(), PAGE).unwrap().with(&[("user", "bob")]);
        assert_eq!(form.action.as_str(), "http://h/go?a=1&b=2");
        assert_eq!(form.fields, [("user".into(), "bob".into()), ("csrf_token".into(), "a\"b".into())]);
        assert_eq!(title(PAGE), "Tom & Co");
    }

    #[test]
    fn a_form_without_action_is_sent_to_its_page() {
        let page = Url::parse("http://h/x?y=1").unwrap();
        assert_eq!(Form::read(&page, "<main><form method=\"post\"></form>").unwrap().action, page);
        assert!(Form::read(&page, "<main></main>").is_none());
    }
}
