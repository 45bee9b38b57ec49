//! How a service provider sends its own people here: a link, and who they are to us.

use uuid::Uuid;

use super::app::AppId;
use super::client::ClientId;
use super::connection::Flow;
use super::connector::ConnectorId;
use super::own::Own;
use super::principal::UserId;

/// A link by which a client sends one of its people to connect an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignupLink {
    /// Also in the link.
    pub id: Uuid,
    /// Who sends.
    pub client_id: ClientId,
    /// For which app.
    pub app: AppId,
    /// To connect what.
    pub connector: ConnectorId,
    /// As which connection.
    pub flow: Flow,
    /// Whom, as the client calls them; said by the client, proved to nobody.
    pub external_id: String,
    /// Whom, for people.
    pub label: String,
    /// Where the person goes afterwards.
    pub return_to: Option<String>,
}

impl Own for SignupLink {
    const TABLE: &'static str = "signup_link";

    fn covered(&self) -> Vec<Vec<u8>> {
        // No address and an empty one are not the same.
        let return_to = self.return_to.as_ref().map_or_else(Vec::new, |text| format!("={text}").into_bytes());
        let texts = [
            self.client_id.as_str(),
            self.app.as_str(),
            self.connector.as_str(),
            self.flow.as_str(),
            &self.external_id,
            &self.label,
        ];
        let parts = texts.into_iter().map(|text| text.as_bytes().to_vec());
        std::iter::once(self.id.as_bytes().to_vec()).chain(parts).chain([return_to]).collect()
    }
}

/// One of a client's people, and who that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderUser {
    /// Whose.
    pub client_id: ClientId,
    /// As the client calls them.
    pub external_id: String,
    /// As we do.
    pub user: UserId,
}

impl Own for ProviderUser {
    const TABLE: &'static str = "provider_user";

    fn covered(&self) -> Vec<Vec<u8>> {
        let user = self.user.0.as_bytes().to_vec();
        vec![self.client_id.as_str().as_bytes().to_vec(), self.external_id.clone().into_bytes(), user]
    }
}
