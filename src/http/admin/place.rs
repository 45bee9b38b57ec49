//! Which app's connections of which connector does a route of the administration mean?

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, web};
use serde::de::DeserializeOwned;

use super::connections::{ConnectionResponse, FlowParams};
use super::may::{May, Need};
use crate::admin::apps::Apps;
use crate::admin::connectors::Connectors;
use crate::http::extract::{Segments, service};
use crate::http::problem::{Answer, Problem};
use crate::http::settings::WebSettings;
use crate::keeper::{self, SecretsKeeper, Status};
use crate::model::app::AppId;
use crate::model::connector::ConnectorId;

/// First [`May`], then the path's app and connector, both known; the connector by its id where the path has an alias.
pub(in crate::http) struct Place<N, B = (), Q = FlowParams> {
    /// Permission, query and body.
    pub(super) may: May<N, B, Q>,
    pub(super) app: AppId,
    pub(super) connector: ConnectorId,
    pub(super) keeper: web::Data<SecretsKeeper>,
    web: web::Data<WebSettings>,
}

impl<N, B, Q> Place<N, B, Q> {
    /// What the keeper gave; whoever must consent again is told where.
    pub(super) fn told<T>(&self, outcome: Result<T, keeper::Error>) -> Result<T, Problem> {
        outcome.map_err(|error| Problem::of_connection(error, &self.app, &self.connector, &self.web))
    }

    /// Answers the connection as it is now.
    pub(super) fn answer(&self, outcome: Result<Status, keeper::Error>) -> Answer {
        Ok(HttpResponse::Ok().json(ConnectionResponse::from(self.told(outcome)?)))
    }
}

impl<N, B, Q> FromRequest for Place<N, B, Q>
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
            let may = May::<N, B, Q>::from_request(&request, &mut payload).await?;
            let path = Segments::extract(&request).await?;
            let (apps, connectors) = (service::<Apps>(&request)?, service::<Connectors>(&request)?);
            let app = apps.require(&may.by, &path.app()?).await.map_err(Problem::from)?.id;
            let definition = connectors.require(&may.by, path.connector()?.as_str()).await;
            let connector = definition.map_err(Problem::from)?.id.clone();
            Ok(Self { may, app, connector, keeper: service(&request)?, web: service(&request)? })
        })
    }
}
