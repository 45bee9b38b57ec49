//! As whom does this program sign in to the broker?

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::broker::{Wire, join};
use crate::error::Error;
use crate::grant::{Asked, ClientProof, Grant, is_replaced, refused, unreached};
use crate::login::{Login, now, renew};
use crate::patience::Patience;
use crate::secret::Secret;
use crate::secret_store::{ServiceCredential, StoredCredential};
use crate::settings::Credential;
use crate::token_source::{Bearer, Mint, TokenSource, ticks};

/// Bearers for the broker of these settings.
pub(crate) fn source(wire: &Arc<Wire>) -> TokenSource {
    TokenSource::of(Arc::new(SignIn(Arc::clone(wire))), wire.settings.ahead, ticks())
}

struct SignIn(Arc<Wire>);

impl Mint for SignIn {
    fn token(self: Arc<Self>, refused: Option<Secret>) -> BoxFuture<'static, Result<Arc<Bearer>, Error>> {
        async move {
            match &self.0.settings.credential {
                Credential::ClientSecret { client_id, client_secret } => {
                    self.client_credentials(client_id.clone(), client_secret.clone(), None).await
                }
                Credential::Stored(credential) => self.stored(credential).await,
                Credential::Login(store) => of_login(&renew::living(&self.0, store, refused.as_ref()).await?),
            }
        }
        .boxed()
    }
}

impl SignIn {
    async fn stored(&self, credential: &StoredCredential) -> Result<Arc<Bearer>, Error> {
        let used = credential.current();
        let asked = self.by(&used).await;
        if is_replaced(credential, &used, &asked).await? {
            return self.by(&credential.current()).await.map_err(refused(credential));
        }
        // JETON_URL may say another address than the credential.
        let named = used.issuer == self.0.settings.url;
        let asked = asked.map_err(|error| if named { unreached(credential, &used)(error) } else { error });
        asked.map_err(refused(credential))
    }

    async fn by(&self, credential: &ServiceCredential) -> Result<Arc<Bearer>, Error> {
        // What is kept may be for a resource server; here the broker itself is meant.
        let scope = credential.scope.clone().filter(|_| credential.audience.is_none());
        self.client_credentials(credential.client_id.clone(), credential.client_secret.clone(), scope).await
    }

    async fn client_credentials(
        &self,
        client_id: String,
        secret: Secret,
        scope: Option<String>,
    ) -> Result<Arc<Bearer>, Error> {
        let token_endpoint = join(&self.0.settings.url, &["o", "token", ""])?;
        let proof = ClientProof::Secret(secret);
        let grant = Grant { token_endpoint, client_id, proof, scope, resource: None };
        let asked =
            Asked { http: &self.0.http, grant: &grant, grant_type: "client_credentials", more: vec![] };
        // A sign-in changes nothing at the broker, so any broken connection may be tried again.
        asked.send(&mut Patience::of(&self.0.settings), &ticks(), |_| true).await?.bearer()
    }
}

fn of_login(login: &Login) -> Result<Arc<Bearer>, Error> {
    Bearer::new(login.access_token.clone(), login.left(now()).unwrap_or_default(), std::time::Instant::now())
}
