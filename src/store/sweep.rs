//! Rows whose time is over go a hundred at a time: whoever stores a row clears up behind others, and waits for no more.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Order, Query, SimpleExpr};

use crate::store::{Conn, Error};

/// Rows removed at a time.
pub(super) const SWEPT: u64 = 100;

impl Conn<'_> {
    /// Removes some rows of a table that `over` holds for; `key` is its primary key.
    pub(super) async fn sweep<E: EntityTrait>(&self, key: E::Column, over: SimpleExpr) -> Result<(), Error> {
        let some = Query::select().column(key).from(E::default()).and_where(over).limit(SWEPT).to_owned();
        E::delete_many().filter(key.in_subquery(some)).exec(&self.db()).await?;
        Ok(())
    }

    /// Removes what is older than the `most` newest of the rows that `of` holds for; `made` is when one was made.
    pub(super) async fn keep_newest<E: EntityTrait>(
        &self,
        (key, made): (E::Column, E::Column),
        of: SimpleExpr,
        most: u64,
    ) -> Result<(), Error> {
        let older = Query::select()
            .column(key)
            .from(E::default())
            .and_where(of.clone())
            .order_by(made, Order::Desc)
            .order_by(key, Order::Desc)
            .limit(SWEPT)
            .offset(most)
            .to_owned();
        // Asked again of each: it may have changed while this waited for it.
        E::delete_many().filter(of).filter(key.in_subquery(older)).exec(&self.db()).await?;
        Ok(())
    }
}
