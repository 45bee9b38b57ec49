//! Sections `connectors.ID`: connectors of the catalog at other addresses (an installation in a company, a sandbox).

use url::Url;

use super::reader::Reader;
use crate::model::connector::ConnectorId;

/// Where a connector of the catalog is found instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorBase {
    /// Which connector.
    pub id: ConnectorId,
    /// For its authorization server.
    pub base_url: Option<Url>,
    /// For its API.
    pub api_base_url: Option<Url>,
}

pub(super) fn read(reader: &mut Reader) -> Vec<ConnectorBase> {
    // A name that no key is read for would leave nothing to compare an unknown key with.
    let names = reader.names_below("connectors");
    names.iter().filter_map(|name| one(reader, name)).collect()
}

fn one(reader: &mut Reader, name: &str) -> Option<ConnectorBase> {
    let mut url = |field: &str| {
        let hint = "an http or https URL without query";
        reader.hinted(&format!("connectors.{name}.{field}"), hint, |text| {
            let plain = |url: &Url| matches!(url.scheme(), "http" | "https") && url.query().is_none();
            Url::parse(text).ok().filter(plain)
        })
    };
    let (base_url, api_base_url) = (url("base_url"), url("api_base_url"));
    match ConnectorId::parse(name) {
        Ok(id) => Some(ConnectorBase { id, base_url, api_base_url }),
        Err(error) => {
            reader.refuse(&format!("connectors.{name}"), error.to_string());
            None
        }
    }
}
