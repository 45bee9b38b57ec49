//! What does Aircall's API say? The integration, a ping, and the company's calls under its rate limit.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::StatusCode, web};
use serde_json::{Value, json};

use super::bearer::{email, holder};
use crate::sandbox::{
    opaque::number,
    params::Params,
    profile::{Aircall, Profile},
    state::{State, Window},
};

/// The most records one query gives, however many there are.
const MOST: usize = 10_000;

/// A caller within its limit.
struct Caller {
    company: String,
    user: String,
    settings: Aircall,
    limits: [(&'static str, String); 3],
}

impl Caller {
    fn respond(&self, status: StatusCode) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        for (name, value) in &self.limits {
            response.insert_header((*name, value.as_str()));
        }
        response
    }
}

/// `GET /v1/integrations/me`.
pub(super) async fn integration(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let caller = match admit(&state, &request) {
        Ok(caller) => caller,
        Err(refusal) => return *refusal,
    };
    caller.respond(StatusCode::OK).json(json!({"integration": {
        "id": number(&format!("integration of {}", caller.company)),
        "name": "Sandbox integration",
        "company_id": number(&caller.company),
        "company_name": caller.company,
        "status": "active",
        "active": true,
        "user": {"id": number(&caller.user), "name": caller.user, "email": email(&caller.user)},
    }}))
}

/// `GET /v1/ping`.
pub(super) async fn ping(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    match admit(&state, &request) {
        Ok(caller) => caller.respond(StatusCode::OK).json(json!({"ping": "pong"})),
        Err(refusal) => *refusal,
    }
}

/// `GET /v1/calls?from&to&per_page&page`, oldest first.
pub(super) async fn calls(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let caller = match admit(&state, &request) {
        Ok(caller) => caller,
        Err(refusal) => return *refusal,
    };
    let params = Params::parse(request.query_string().as_bytes()).unwrap_or_default();
    let bound = |name: &str, default: i64| params.text(name).map_or(Ok(default), str::parse);
    let (Ok(from), Ok(to)) = (bound("from", i64::MIN), bound("to", i64::MAX)) else {
        let error = json!({"error": "Bad Request", "troubleshoot": "from and to are UNIX timestamps"});
        return caller.respond(StatusCode::BAD_REQUEST).json(error);
    };
    let per_page = params.number("per_page", 20, 1, 50);
    let page = params.number("page", 1, 1, MOST);
    let found = within(&state, &caller, from, to);
    let skipped = (page - 1) * per_page;
    let room = MOST.saturating_sub(skipped).min(per_page);
    let total = found.len();
    let items: Vec<Value> =
        found.into_iter().skip(skipped).take(room).map(|n| call(&state, &caller, n)).collect();
    let more = skipped + items.len() < total.min(MOST) && !items.is_empty();
    let link = |page: usize| page_link(&state, &params, per_page, page);
    caller.respond(StatusCode::OK).json(json!({
        "meta": {
            "count": items.len(),
            "total": total,
            "current_page": page,
            "per_page": per_page,
            "next_page_link": more.then(|| link(page + 1)),
            "previous_page_link": (page > 1).then(|| link(page - 1)),
        },
        "calls": items,
    }))
}

/// Lets a live token in and counts it against its company's minute.
fn admit(state: &State, request: &HttpRequest) -> Result<Caller, Box<HttpResponse>> {
    let unauthorized = json!({"error": "Unauthorized", "troubleshoot": "the token is not valid"});
    let holder =
        holder(state, request).ok_or_else(|| Box::new(HttpResponse::Unauthorized().json(unauthorized)))?;
    let settings = match state.client(&holder.client_id).map(|client| &client.profile) {
        Some(Profile::Aircall(settings)) => settings.clone(),
        _ => Aircall::default(),
    };
    let company =
        email(&holder.user).split_once('@').map(|(_, domain)| domain.to_owned()).unwrap_or_default();
    let window = count(state, &company);
    let limit = settings.limit_per_minute;
    let limits = [
        ("x-aircallapi-limit", limit.to_string()),
        ("x-aircallapi-remaining", limit.saturating_sub(window.used).to_string()),
        ("x-aircallapi-reset", window.ends_at.to_string()),
    ];
    let caller = Caller { company, user: holder.user, settings, limits };
    if window.used > limit {
        let error = json!({"error": "Too Many Requests", "troubleshoot": "wait until X-AircallApi-Reset"});
        return Err(Box::new(caller.respond(StatusCode::TOO_MANY_REQUESTS).json(error)));
    }
    Ok(caller)
}

fn count(state: &State, company: &str) -> Window {
    let now = state.clock.now().unix_timestamp();
    let mut changing = state.lock();
    let fresh = Window { ends_at: now + 60, used: 0 };
    let window = changing.windows.entry(company.to_owned()).or_insert(fresh);
    if window.ends_at <= now {
        *window = fresh;
    }
    window.used = window.used.saturating_add(1);
    *window
}

/// Numbers of the calls that started between two times, oldest first.
fn within(state: &State, caller: &Caller, from: i64, to: i64) -> Vec<u32> {
    let started = |n: &u32| (from..=to).contains(&started_at(state, &caller.settings, *n));
    (0..caller.settings.calls).filter(started).collect()
}

/// Calls are spread evenly over the days before the sandbox started.
fn started_at(state: &State, settings: &Aircall, n: u32) -> i64 {
    let span = i64::from(settings.days) * 86_400;
    let before = span * i64::from(settings.calls - n) / i64::from(settings.calls.max(1));
    state.started_at.unix_timestamp() - before
}

fn call(state: &State, caller: &Caller, n: u32) -> Value {
    let started = started_at(state, &caller.settings, n);
    let duration = 20 + i64::from(n % 17) * 31;
    let id = n + 1;
    json!({
        "id": id,
        "direct_link": format!("{}/v1/calls/{id}", state.issuer()),
        "direction": if n.is_multiple_of(2) { "inbound" } else { "outbound" },
        "status": "done",
        "started_at": started,
        "answered_at": started + 5,
        "ended_at": started + duration,
        "duration": duration,
        "raw_digits": format!("+33 1 00 00 {:02} {:02}", n / 100 % 100, n % 100),
        "user": {"id": number(&caller.user), "email": email(&caller.user)},
    })
}

fn page_link(state: &State, params: &Params, per_page: usize, page: usize) -> String {
    let mut link = format!("{}/v1/calls?per_page={per_page}&page={page}", state.issuer());
    for name in ["from", "to"] {
        if let Some(value) = params.text(name) {
            link.push_str(&format!("&{name}={value}"));
        }
    }
    link
}
