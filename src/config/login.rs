//! Section `login.oidc`: sign-in by another OpenID provider.

use url::Url;

use super::reader::Reader;

pub(super) fn read(reader: &mut Reader) {
    reader.hinted("login.oidc.issuer", "an https URL", |text| {
        Url::parse(text).ok().filter(|url| url.scheme() == "https")
    });
    reader.text("login.oidc.client_id");
    reader.secret("login.oidc.client_secret");
    reader.text("login.oidc.apps_claim");
    reader.list("login.oidc.superadmin_values", |text| Ok::<_, String>(text.to_owned()));
    for key in [
        "login.oidc.issuer",
        "login.oidc.client_id",
        "login.oidc.client_secret",
        "login.oidc.client_secret_file",
        "login.oidc.apps_claim",
        "login.oidc.superadmin_values",
    ] {
        reader.unsupported(key);
    }
}
