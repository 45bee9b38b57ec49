//! Which tokens does this request get? The token endpoint, from arrival through the faults to the answer.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::header, rt, web};

use super::{
    client_auth,
    token_answer::{self, Answer, Dialect},
};
use crate::sandbox::{
    faults::{Faults, Trouble},
    grants::{Denied, Exchange, Issued, Terms},
    ledger::Outcome,
    opaque::challenge,
    params::Params,
    profile::Profile,
    state::State,
    trouble,
};

/// What will go over the wire, once the waiting is done.
enum Reply {
    Trouble(Trouble),
    Answer(Answer),
}

/// `POST`: exchanges a code or spends a refresh token. The work runs as a task of its own: a caller who hangs up
/// during a delay does not stop the provider from spending the token.
pub(super) async fn token(state: web::Data<State>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let dialect = Dialect::plain(&request);
    let params = match read(&request, &body) {
        Ok(params) => params,
        Err(denied) => return token_answer::write(&token_answer::denied(denied, dialect), None),
    };
    let Some(client) = client_auth::named(&state, &request, &params) else {
        return token_answer::write(&token_answer::denied(Denied::InvalidClient, dialect), None);
    };
    let client_id = client.client_id.clone();
    let grant_type = grant_type(&params, &client.profile).to_owned();
    let faults = arrive(&state, &client_id, &grant_type);
    let waiting = faults.clone();
    let issuer = state.issuer().to_owned();
    let work =
        rt::spawn(async move { work(&state, &request, &params, &grant_type, &client_id, &faults).await });
    let Ok(reply) = work.await else { return HttpResponse::InternalServerError().finish() };
    pause(waiting.slow_head_ms).await;
    match reply {
        Reply::Trouble(kind) => trouble::respond(&kind, &issuer),
        Reply::Answer(answer) => {
            token_answer::write(&answer, waiting.slow_body_ms.map(Duration::from_millis))
        }
    }
}

fn read(request: &HttpRequest, body: &[u8]) -> Result<Params, Denied> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let form = content_type.is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
    let params = Params::parse(body).map_err(|_| Denied::InvalidRequest)?;
    if form { Ok(params) } else { Err(Denied::InvalidRequest) }
}

/// GitHub's exchange may leave the grant type out.
fn grant_type<'a>(params: &'a Params, profile: &Profile) -> &'a str {
    match (params.text("grant_type"), profile) {
        (Some(named), _) => named,
        (None, Profile::Github(_)) => "authorization_code",
        (None, _) => "",
    }
}

/// Counts the request and takes the faults it meets.
fn arrive(state: &State, client_id: &str, grant_type: &str) -> Faults {
    let counted = match grant_type {
        known @ ("authorization_code" | "refresh_token") => known,
        _ => "invalid",
    };
    let mut changing = state.lock();
    *changing.counters(client_id).token_requests.entry(counted.to_owned()).or_default() += 1;
    changing.faults.get_mut(client_id).map(|faults| faults.meet(grant_type)).unwrap_or_default()
}

async fn work(
    state: &State,
    request: &HttpRequest,
    params: &Params,
    grant_type: &str,
    client_id: &str,
    faults: &Faults,
) -> Reply {
    let presented = params.text("refresh_token").filter(|_| grant_type == "refresh_token");
    let arrival = presented.and_then(|token| {
        let mut changing = state.lock();
        let arrival = changing.book.arrive(token, faults, state.clock.now());
        if arrival.is_none() {
            changing.counters(client_id).unknown_refresh_tokens += 1;
        }
        arrival
    });
    pause(faults.delay_ms).await;
    let (outcome, reply) = match &faults.before {
        Some(kind) => (Outcome::NotProcessed, Reply::Trouble(kind.clone())),
        None => process(state, request, params, grant_type, faults),
    };
    if let Some(arrival) = arrival {
        state.lock().book.settle(&arrival, outcome);
    }
    match &faults.after {
        Some(kind) if faults.before.is_none() => Reply::Trouble(kind.clone()),
        _ => reply,
    }
}

fn process(
    state: &State,
    request: &HttpRequest,
    params: &Params,
    grant_type: &str,
    faults: &Faults,
) -> (Outcome, Reply) {
    let client = match client_auth::authenticate(state, request, params) {
        Ok(client) => client,
        Err(denied) => {
            let dialect = client_auth::named(state, request, params)
                .map_or(Dialect::plain(request), |client| Dialect::of(&client.profile, request));
            return (Outcome::Refused, Reply::Answer(token_answer::denied(denied, dialect)));
        }
    };
    let now = state.clock.now();
    let terms = Terms { profile: &client.profile, faults, now, entropy: state.entropy.as_ref() };
    let (outcome, result) = match grant_type {
        "authorization_code" => (Outcome::Refused, exchange(state, &client.client_id, params, &terms)),
        "refresh_token" => match params.text("refresh_token") {
            Some(token) => state.lock().book.spend(token, &client.client_id, &terms),
            None => (Outcome::Refused, Err(Denied::InvalidRequest)),
        },
        "" => (Outcome::Refused, Err(Denied::InvalidRequest)),
        _ => (Outcome::Refused, Err(Denied::UnsupportedGrant)),
    };
    let dialect = Dialect::of(&client.profile, request);
    let answer = match result {
        Ok(issued) => token_answer::issued(state, &client.client_id, &issued, faults, dialect, now),
        Err(denied) => token_answer::denied(denied, dialect),
    };
    (outcome, Reply::Answer(answer))
}

fn exchange(state: &State, client_id: &str, params: &Params, terms: &Terms<'_>) -> Result<Issued, Denied> {
    let with = Exchange {
        client_id,
        code: params.text("code").ok_or(Denied::InvalidRequest)?,
        redirect_uri: params.text("redirect_uri"),
        challenge: params.text("code_verifier").map(challenge),
    };
    let mut changing = state.lock();
    let issued = changing.book.exchange(&with, terms)?;
    changing.counters(client_id).code_exchanges += 1;
    Ok(issued)
}

pub(super) async fn pause(millis: Option<u64>) {
    if let Some(millis) = millis {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
