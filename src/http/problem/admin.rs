//! Problems of the administration.

use serde_json::json;

use crate::admin::{apps, connections, connectors, credentials, keys};
use crate::http::problem::{Code, Problem};
use crate::issuer;
use crate::model::app::AppId;
use crate::model::connector::Violation;

impl From<apps::Error> for Problem {
    fn from(error: apps::Error) -> Self {
        match error {
            apps::Error::NotFound(id) => no_app(&id),
            apps::Error::Taken(id) => {
                Self::of(Code::AlreadyExists, format!("the id `{id}` is or was in use"))
            }
            apps::Error::Reserved(_) => Self::invalid("/id", "is a reserved name"),
            apps::Error::Unconfirmed(id) => Self::invalid("confirm", format!("must repeat the id `{id}`")),
            apps::Error::Keeper(cause) => cause.into(),
            apps::Error::Vault(cause) => cause.into(),
            apps::Error::Audit(cause) => cause.into(),
            apps::Error::Store(cause) => cause.into(),
        }
    }
}

impl From<connectors::Error> for Problem {
    fn from(error: connectors::Error) -> Self {
        match error {
            connectors::Error::NotFound(name) => no_connector(&name),
            connectors::Error::BuiltIn(id) => {
                Self::of(Code::AlreadyExists, format!("`{id}` is defined by the catalog and stays as it is"))
            }
            connectors::Error::Taken(name) => {
                Self::of(Code::AlreadyExists, format!("`{name}` is or was the name of another connector"))
            }
            connectors::Error::OtherId(id) => {
                Self::invalid("/id", format!("`{id}` is not the connector of the path"))
            }
            connectors::Error::Invalid(violations) => violated(&violations),
            connectors::Error::OtherOrigin(origin) => {
                Self::invalid("confirm_origin", format!("must repeat what is new: {origin}"))
            }
            connectors::Error::InUse(id) => Self::of(
                Code::InvalidRequest,
                format!("connections use `{id}`: delete them first, so that their grants are revoked"),
            ),
            connectors::Error::Changed(id) => {
                Self::of(Code::PreconditionFailed, format!("`{id}` was changed at the same time"))
            }
            connectors::Error::Registry(cause) => cause.into(),
            connectors::Error::Audit(cause) => cause.into(),
            connectors::Error::Store(cause) => cause.into(),
        }
    }
}

impl From<credentials::Error> for Problem {
    fn from(error: credentials::Error) -> Self {
        match error {
            credentials::Error::AppNotFound(id) => no_app(&id),
            credentials::Error::ConnectorNotFound(name) => no_connector(&name),
            credentials::Error::None { redirect_uri } => Self::of(
                Code::NotFound,
                format!("no credentials are stored here; the redirect URI to register is {redirect_uri}"),
            )
            .with("redirect_uri", redirect_uri),
            credentials::Error::AppOnly => Self::of(
                Code::InvalidRequest,
                "the connector's variables can lead anywhere: it takes credentials of an app only",
            ),
            credentials::Error::Invalid(violations) => violated(&violations),
            credentials::Error::Changed => Self::new(Code::PreconditionFailed),
            credentials::Error::Vault(cause) => cause.into(),
            credentials::Error::Registry(cause) => cause.into(),
            credentials::Error::Audit(cause) => cause.into(),
            credentials::Error::Store(cause) => cause.into(),
        }
    }
}

impl From<connections::Error> for Problem {
    fn from(error: connections::Error) -> Self {
        match error {
            connections::Error::AppNotFound(id) => no_app(&id),
            connections::Error::ConnectorNotFound(name) => no_connector(&name),
            connections::Error::Invalid(violations) => violated(&violations),
            connections::Error::Keeper(cause) => cause.into(),
            connections::Error::Registry(cause) => cause.into(),
            connections::Error::Store(cause) => cause.into(),
        }
    }
}

impl From<keys::Error> for Problem {
    fn from(error: keys::Error) -> Self {
        match error {
            keys::Error::NotFound(kid) => {
                Self::of(Code::NotFound, format!("there is no signing key `{}`", kid.simple()))
            }
            keys::Error::Changed => Self::of(Code::StorageUnavailable, error.to_string()),
            keys::Error::Keys(cause) => cause.into(),
            keys::Error::Audit(cause) => cause.into(),
            keys::Error::Store(cause) => cause.into(),
        }
    }
}

impl From<issuer::keys::Error> for Problem {
    fn from(error: issuer::keys::Error) -> Self {
        match error {
            issuer::keys::Error::Store(cause) => cause.into(),
            issuer::keys::Error::Vault(cause) => cause.into(),
            issuer::keys::Error::NoActiveKey
            | issuer::keys::Error::Malformed(_)
            | issuer::keys::Error::NotOurs(_)
            | issuer::keys::Error::Crypto => Self::internal(&error),
        }
    }
}

fn no_app(id: &AppId) -> Problem {
    Problem::of(Code::AppNotFound, format!("there is no app `{id}`"))
}

fn no_connector(name: &str) -> Problem {
    Problem::of(Code::ConnectorNotFound, format!("no connector is called `{name}`"))
}

/// One problem that points at everything that is wrong.
fn violated(violations: &[Violation]) -> Problem {
    let errors: Vec<_> = violations
        .iter()
        .map(|violation| json!({ "pointer": violation.pointer, "detail": violation.detail }))
        .collect();
    let detail =
        violations.first().map_or_else(String::new, |first| format!("{}: {}", first.pointer, first.detail));
    Problem::of(Code::InvalidRequest, detail).with("errors", errors)
}
