//! One trace id and one log line for each request, and a panic that ends one request only.
//!
//! The line tells the route's template, never the path, the query or a header: those may hold one-time tokens.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use futures_util::FutureExt;
use tracing::Instrument;
use tracing::field::Empty;

use crate::figures::Figures;
use crate::http::layer::in_flight::InFlight;
use crate::http::oauth_error::refusal;
use crate::http::page::PREFIX;
use crate::http::problem::{Code, Outcome, Problem, SaidClient, TRACE_ID};
use crate::http::settings::WebSettings;
use crate::model::entropy::{Entropy, uuid};
use crate::model::event::Origin;
use crate::model::time::Clock;

/// Time and chance, for trace ids.
#[derive(Clone)]
pub struct Nature {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// Routes that hand out a provider's token.
const HAND_OUTS: [&str; 2] = ["/{app_id}/{connector}/binb-token", "/{app_id}/{connector}/token"];

/// Notes where the request came from, scopes its trace id, logs and counts how it ended. Every line that is logged
/// meanwhile carries the trace id, at every level: the span is never filtered out.
///
/// # Errors
/// A panic, as a ready 500.
#[expect(clippy::expect_used, reason = "the composition root gives both to every app")]
pub async fn follow(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let nature = request.app_data::<web::Data<Nature>>().expect("the app has its nature").clone();
    let settings = request.app_data::<web::Data<WebSettings>>().expect("the app has its settings").clone();
    let trace_id = uuid(&*nature.clock, &*nature.entropy);
    let peer = request.peer_addr().map(|peer| peer.ip());
    let address = settings.client_address(peer, request.headers());
    request.extensions_mut().insert(Origin { address, trace_id });
    let method = request.method().clone();
    let under_o = settings.is_under_o(request.path());
    let figures = request.app_data::<web::Data<Figures>>().cloned();
    let in_flight = request.app_data::<web::Data<InFlight>>().cloned().map(web::Data::into_inner);
    let _ticket = in_flight.as_ref().map(InFlight::begin);
    let (began, started) = (nature.clock.now(), Instant::now());
    let span = tracing::error_span!("http.request", %trace_id, app.id = Empty, connector = Empty);
    let work = AssertUnwindSafe(next.call(request).instrument(span.clone())).catch_unwind();
    let ended = TRACE_ID.scope(trace_id, PREFIX.scope(settings.prefix().to_owned(), work)).await;
    let ms = i64::try_from((nature.clock.now() - began).whole_milliseconds()).unwrap_or(i64::MAX);
    let count = |route: &str, status: u16| {
        figures.iter().for_each(|figures| figures.answered(route, status, started.elapsed()));
    };
    let _inside = span.enter();
    match ended {
        Ok(Ok(answer)) => {
            let route = answer.request().match_pattern().unwrap_or_else(|| "(none)".to_owned());
            let status = answer.status().as_u16();
            let code = answer.response().extensions().get::<Outcome>().map(|outcome| outcome.0);
            count(&route, status);
            if let Some(figures) = figures.filter(|_| HAND_OUTS.contains(&route.as_str())) {
                figures.handed_out(code.unwrap_or("ok"));
            }
            let said = || answer.request().extensions().get::<SaidClient>().map(|said| said.0.to_string());
            let client = (status >= 400).then(said).flatten();
            tracing::info!(%method, route, status, code, client.id = client, ms, "{method} {route} answered {status}");
            let mut answer = answer.map_into_boxed_body();
            if in_flight.is_some_and(|in_flight| in_flight.is_closing()) {
                answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            Ok(answer)
        }
        Ok(Err(error)) => {
            let status = error.as_response_error().status_code().as_u16();
            count("(none)", status);
            tracing::info!(%method, status, ms, "{method} was refused with {status}");
            Err(error)
        }
        Err(_) => {
            count("(none)", 500);
            tracing::error!(%method, ms, "a handler panicked");
            let answer = || refusal(Problem::new(Code::Internal), under_o);
            let prefix = settings.prefix().to_owned();
            let response = TRACE_ID.sync_scope(trace_id, || PREFIX.sync_scope(prefix, answer));
            Err(InternalError::from_response("panicked", response).into())
        }
    }
}

/// Makes panics log where they happened and nothing else: a panic's text may quote what a request sent.
pub fn log_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked at {place}");
    }));
}
