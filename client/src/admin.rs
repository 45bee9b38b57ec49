//! How does a program speak the admin REST?

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::broker::{Broker, Call};
use crate::error::Error;

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

impl Broker {
    /// Calls a route under `/admin/v1`, named by its path segments, and answers its JSON; null where the
    /// route answers nothing.
    ///
    /// # Errors
    /// [`Error::action`] says what to do.
    pub async fn admin(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let path = [&["admin", "v1"], path].concat();
        Ok(self.call(method, &path, query, body).await?.1)
    }

    /// Calls any route, named by its path segments; answers the status of a success and its JSON, null where
    /// the route answers nothing.
    ///
    /// # Errors
    /// [`Error::action`] says what to do.
    pub async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<(u16, Value), Error> {
        let answer = self.send(&Call { method, path, query, body }).await?;
        let value = if answer.body.is_empty() { Value::Null } else { answer.parse("a call")? };
        Ok((answer.status, value))
    }

    /// All items of a collection under `/admin/v1`, page after page.
    ///
    /// # Errors
    /// [`Error::action`] says what to do.
    pub async fn admin_items(&self, path: &[&str], query: &[(&str, String)]) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.extend(cursor.clone().map(|cursor| ("cursor", cursor)));
            let page = self.admin(Method::GET, path, &query, None).await?;
            let page: Page = serde_json::from_value(page).map_err(|_| Error::Garbled("a list"))?;
            items.extend(page.items);
            match page.next_cursor {
                None => return Ok(items),
                // A cursor that does not move would never end.
                next if next == cursor => return Err(Error::Garbled("a list")),
                next => cursor = next,
            }
        }
    }
}
