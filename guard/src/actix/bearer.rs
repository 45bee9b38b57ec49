//! Does the caller bring an access token with the scope that the handler needs?

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest};

use super::{Clock, Refusal, find, values};
use crate::{Claims, Guard, Refused, Secret, bearer};

/// What a token must allow, as a type of the service's own.
///
/// ```
/// use jeton_guard::actix::Scope;
///
/// struct TermsWrite;
/// impl Scope for TermsWrite {
///     const SCOPE: &'static str = "terms:write";
/// }
/// ```
pub trait Scope: 'static {
    /// Scope tokens separated by spaces (RFC 6749 §3.3); all of them are needed, none where it is empty.
    const SCOPE: &'static str;
}

/// Any good token will do.
impl Scope for () {
    const SCOPE: &'static str = "";
}

/// A verified access token that has the scope `S`; it dereferences to its [`Claims`], `authorization_details` among
/// them.
///
/// The [`Guard`] that judges is app data: `.app_data(web::Data::new(guard))`. Its first audience is the realm of the
/// challenges.
pub struct Bearer<S: Scope = ()> {
    claims: Arc<Claims>,
    token: Secret,
    scope: PhantomData<fn() -> S>,
}

impl<S: Scope> Bearer<S> {
    /// What the token says.
    pub fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    /// The token itself, to call others with.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    async fn judge(request: &HttpRequest) -> Result<Self, Refusal> {
        let guard = find::<Guard>(request).ok_or_else(|| Refusal::not_configured("Guard"))?;
        Self::verify(&guard, request).await.map_err(|refused| Refusal::new(guard.realm(), refused))
    }

    async fn verify(guard: &Guard, request: &HttpRequest) -> Result<Self, Refused> {
        let header = AUTHORIZATION.as_str();
        let token = bearer(values(request, header))
            .map_err(|cause| Refused::Header { name: header.to_owned(), cause })?
            .ok_or(Refused::Missing)?;
        let claims = guard.verify(token, Clock::now(request)).await?;
        let mut needed = S::SCOPE.split(' ').filter(|scope| !scope.is_empty());
        if !needed.all(|scope| claims.has_scope(scope)) {
            return Err(Refused::InsufficientScope(S::SCOPE));
        }
        Ok(Self { claims, token: Secret::new(token), scope: PhantomData })
    }
}

impl<S: Scope> Deref for Bearer<S> {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.claims
    }
}

impl<S: Scope> fmt::Debug for Bearer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("claims", &self.claims).field("token", &self.token).finish()
    }
}

impl<S: Scope> FromRequest for Bearer<S> {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::judge(&request).await })
    }
}
