//! Section `signup`: where a browser may be sent after a signup, beside our own pages.

use url::Url;

use super::reader::Reader;

pub(super) fn read(reader: &mut Reader) -> Vec<String> {
    reader.list("signup.return_to_origins", |text| {
        origin(text).ok_or_else(|| format!("`{text}` is no origin such as https://app.example.com"))
    })
}

fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let origin = url.origin().ascii_serialization();
    let bare = matches!(url.scheme(), "http" | "https") && text.trim_end_matches('/') == origin;
    bare.then_some(origin)
}
