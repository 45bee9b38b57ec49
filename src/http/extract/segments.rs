//! Ids in the path of a URL.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use uuid::Uuid;

use crate::http::problem::{Code, Problem};
use crate::model::app::AppId;
use crate::model::client::ClientId;
use crate::model::connector::ConnectorId;

/// The named segments of the path. Taking one never fails before the handler asks for it, so that who may not
/// call a route learns nothing from it; an id that cannot exist is answered as one that does not.
#[derive(Clone, Debug)]
pub struct Segments(pub(super) HttpRequest);

impl Segments {
    /// `{app_id}`, else `app_not_found`.
    pub fn app(&self) -> Result<AppId, Problem> {
        AppId::parse(self.text("app_id")).map_err(|_| Problem::new(Code::AppNotFound))
    }

    /// `{connector}`, without regard to case, else `connector_not_found`.
    pub fn connector(&self) -> Result<ConnectorId, Problem> {
        ConnectorId::parse(self.text("connector")).map_err(|_| Problem::new(Code::ConnectorNotFound))
    }

    /// `{client_id}`, else `not_found`.
    pub fn client(&self) -> Result<ClientId, Problem> {
        ClientId::parse(self.text("client_id")).ok_or_else(|| Problem::new(Code::NotFound))
    }

    /// A UUID by the name of its segment, else `not_found`.
    pub fn uuid(&self, name: &str) -> Result<Uuid, Problem> {
        Uuid::try_parse(self.text(name)).map_err(|_| Problem::new(Code::NotFound))
    }

    /// A segment as it stands in the URL; empty where the route has none of this name.
    pub fn text(&self, name: &str) -> &str {
        self.0.match_info().get(name).unwrap_or_default()
    }
}

impl FromRequest for Segments {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.clone())))
    }
}
