//! May a service provider get a third-party token for the person whose access token it holds (RFC 8693)?

use super::MayReceive;
use super::bearer::{Bearers, Error, GoodToken};
use crate::model::app::AppId;
use crate::model::client::Client;
use crate::model::connector::ConnectorId;
use crate::model::event::Origin;

/// Why a subject token is exchanged for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was issued to another client, or speaks for no person (RFC 8693 §2.2.2: the request is at fault).
    Subject,
    /// Neither client nor person has this app and connector.
    Target,
}

impl Bearers {
    /// The right to the tokens of one app's connector that a person shares with this client: the token was issued to
    /// this very client, the client's locations cover the app and connector, and the person belongs to the app now.
    pub async fn may_exchange(
        &self,
        subject: &GoodToken,
        client: &Client,
        app: &AppId,
        connector: &ConnectorId,
        origin: Origin,
    ) -> Result<Result<MayReceive, Refusal>, Error> {
        let Some(user) = subject.user.as_ref().filter(|_| subject.client.client_id == client.client_id)
        else {
            return Ok(Err(Refusal::Subject));
        };
        // A superadmin's plain sign-in carries no role: it opens what its apps open to any member.
        let member = self.is_member(user.id, app).await?;
        if !member || !client.allow.matches(app, connector) {
            return Ok(Err(Refusal::Target));
        }
        let (principal, only_of) = (subject.principal(origin), Some(user.id));
        let (app, connector) = (app.clone(), connector.clone());
        Ok(Ok(MayReceive { principal, app, connector, only_of }))
    }
}
