//! Whom has the proxy in front of this service signed in?

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::{Clock, Refusal, find, values};
use crate::{Forwarded, OidcProxyScheme, Refused};

/// Somebody the proxy has signed in, or nobody: `None` where the scheme's `auto_error` is false and the request has no
/// identity, a refusal where it is true.
///
/// The scheme is app data: `.app_data(web::Data::new(scheme))`.
#[derive(Clone, Debug)]
pub struct MaybeForwarded(pub Option<Forwarded>);

type Judged<T> = Pin<Box<dyn Future<Output = Result<T, Refusal>>>>;

/// Somebody for certain, whatever `auto_error` says. (`Option<Forwarded>` would be `None` for a token that nobody can
/// judge yet as well; [`MaybeForwarded`] answers that with 503.)
impl FromRequest for Forwarded {
    type Error = Refusal;
    type Future = Judged<Self>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        judge(request, async |scheme, request| {
            let peer = request.peer_addr().as_ref().map(SocketAddr::ip);
            scheme.require(peer, |name| values(request, name), Clock::now(request)).await
        })
    }
}

impl FromRequest for MaybeForwarded {
    type Error = Refusal;
    type Future = Judged<Self>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        judge(request, async |scheme, request| {
            let peer = request.peer_addr().as_ref().map(SocketAddr::ip);
            scheme.find(peer, |name| values(request, name), Clock::now(request)).await.map(Self)
        })
    }
}

fn judge<T: 'static>(
    request: &HttpRequest,
    how: impl AsyncFn(&OidcProxyScheme, &HttpRequest) -> Result<T, Refused> + 'static,
) -> Judged<T> {
    let request = request.clone();
    Box::pin(async move {
        let scheme =
            find::<OidcProxyScheme>(&request).ok_or_else(|| Refusal::not_configured("OidcProxyScheme"))?;
        how(&scheme, &request).await.map_err(|refused| Refusal::new(scheme.scheme_name(), refused))
    })
}
