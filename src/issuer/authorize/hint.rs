//! Whom does a client expect to be signed in? (`id_token_hint`, OpenID Connect Core §3.1.2.1)

use jeton_guard::{GivenKeys, IdTokens, KeySet};

use crate::model::secret::Secret;

use super::super::Issuer;
use super::request::AuthorizationParams;

/// Whom a hint names that is not ours for this client.
const NOBODY: &str = "nobody";

impl Issuer {
    /// Puts whom `id_token_hint` names into its place: no token goes on in a link of ours.
    pub async fn read_hint(&self, params: &mut AuthorizationParams) {
        let Some(hint) = params.id_token_hint.take() else { return };
        let client = params.client_id.as_deref().unwrap_or_default();
        let subject = self.subject_of(&hint, client).await;
        params.expected = Some(subject.unwrap_or_else(|| NOBODY.to_owned()));
    }

    #[expect(clippy::disallowed_methods, reason = "door: the ID token is verified")]
    async fn subject_of(&self, hint: &Secret, client: &str) -> Option<String> {
        let now = self.clock.now();
        let keys = self.keys.current(now).await;
        let keys = KeySet::from_jwks(keys.jwks.as_bytes()).ok()?;
        let tokens = IdTokens::new(self.url(), client, GivenKeys::new(keys));
        Some(tokens.verify_hint(hint.expose_secret(), now).await.ok()?.subject)
    }
}
