//! `GET /{app_id}/connect`: what an app can connect to, and what is connected.

use actix_web::{HttpRequest, web};
use askama::Template;

use super::{member, query};
use crate::http::extract::Segments;
use crate::http::page::{Answer, Page};
use crate::http::person::Person;
use crate::keeper::Status;
use crate::model::connection::{Flow, State};
use crate::signup::{Offer, Signup};

#[derive(Template)]
#[template(path = "connect/connectors.html")]
struct ConnectorsPage {
    page: Page,
    app: String,
    notice: Option<String>,
    cards: Vec<Card>,
}

struct Card {
    name: String,
    link: String,
    connections: Vec<Line>,
}

struct Line {
    flow: Option<String>,
    class: &'static str,
    state: String,
    detail: Option<String>,
    connected_by: Option<String>,
    live: bool,
    link: String,
}

pub(super) async fn show_connectors(
    request: HttpRequest,
    path: Segments,
    person: Person,
    signup: web::Data<Signup>,
) -> Answer {
    let [just_connected] = query(&request, ["connected"])?;
    let by = member(&person, &path)?;
    let (app, offers) = signup.offers(&by).await?;
    let page = Page::new(format!("Connect accounts for {}", app.name)).of(&person);
    // What the address says is a wish only: the notice comes from what is connected.
    let notice = offers.iter().find_map(|offer| {
        let named = just_connected.as_deref() == Some(offer.definition.id.as_str());
        let live = offer.connections.iter().any(|status| status.state == State::Active);
        (named && live).then(|| offer.definition.display_name.clone())
    });
    let cards = offers.iter().map(|offer| card(&page, app.id.as_str(), offer)).collect();
    Ok(Page::render(&ConnectorsPage { page, app: app.id.to_string(), notice, cards }))
}

fn card(page: &Page, app: &str, offer: &Offer) -> Card {
    let link = page.link(&format!("/{app}/{}/signup", offer.definition.id));
    Card {
        name: offer.definition.display_name.clone(),
        connections: offer.connections.iter().map(|status| line(&link, status)).collect(),
        link,
    }
}

fn line(link: &str, status: &Status) -> Line {
    let other = (status.flow != Flow::default()).then(|| status.flow.to_string());
    let account = status.account.as_deref();
    let (class, state, detail) = match status.state {
        State::Active => (
            "good",
            account.map_or_else(|| "Connected".to_owned(), |name| format!("Connected as {name}")),
            None,
        ),
        State::Misconfigured => {
            let detail = "The provider refuses this service’s client. An admin must correct its credentials.";
            ("warning", "Waits for an admin".to_owned(), Some(detail.to_owned()))
        }
        _ => {
            let who = account.map(|name| format!("The connection with {name} has ended. "));
            let detail = format!("{}Connect the account again.", who.unwrap_or_default());
            ("bad", "Needs to be reconnected".to_owned(), Some(detail))
        }
    };
    Line {
        link: other.as_ref().map_or_else(|| link.to_owned(), |flow| format!("{link}?flow={flow}")),
        flow: other,
        class,
        state,
        detail,
        connected_by: status.connected_by.as_deref().map(connected_by),
        live: status.state == State::Active,
    }
}

/// People are told by name; a program that imported tokens by its client id.
fn connected_by(who: &str) -> String {
    match who.strip_prefix("client:") {
        Some(client) => format!("imported by the client {client}"),
        None => format!("by {who}"),
    }
}
