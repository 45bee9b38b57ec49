//! Who may call a route of the administration? Decided before query and body are read.

use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::extract::{Caller, Query};
use crate::identity::Superadmin;
use crate::model::scope::Scope;

/// A scope as a type, so that a handler's signature says what it needs.
pub(in crate::http) trait Need: 'static {
    /// The scope.
    const SCOPE: Scope;
}

macro_rules! needs {
    ($($name:ident)*) => {
        $(
            #[doc = concat!("Needs the scope `", stringify!($name), "`.")]
            pub(in crate::http) struct $name;
            impl Need for $name {
                const SCOPE: Scope = Scope::$name;
            }
        )*
    };
}

needs! { AppsRead AppsWrite ClientsRead ClientsWrite ConnectionsRead ConnectionsWrite ConnectorsWrite KeysWrite }

/// No query parameters at all.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NoParams {}

/// An unconfined superadmin with the scope `N`, then the query `Q`, then the body `B`, in this order: who may
/// not call a route learns nothing of what it would take.
pub(in crate::http) struct May<N, B = (), Q = NoParams> {
    /// The permission.
    pub(in crate::http) by: Superadmin,
    /// The body.
    pub(in crate::http) body: B,
    /// The query.
    pub(in crate::http) query: Q,
    need: PhantomData<N>,
}

impl<N, B, Q> FromRequest for May<N, B, Q>
where
    N: Need,
    B: FromRequest + 'static,
    Q: DeserializeOwned + 'static,
{
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = Caller::from_request(&request, &mut Payload::None).await?;
            let by = caller.superadmin(N::SCOPE)?;
            let Query(query) = Query::from_request(&request, &mut Payload::None).await?;
            let body = B::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self { by, body, query, need: PhantomData })
        })
    }
}
