//! Which token sets are a tenant's? Those of its connections, whoever names their ids.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Select};

use crate::model::token_set::TokenSetId;
use crate::store::entity::{connection, token_set};
use crate::store::{AppRows, Error};

/// SQL that holds for the token sets of one tenant alone, whose id is the parameter `$n`.
pub(super) fn of_tenant(n: usize) -> String {
    format!("EXISTS (SELECT 1 FROM connection c WHERE c.id = token_set.connection_id AND c.app = ${n})")
}

impl AppRows<'_> {
    /// This tenant's sets alone.
    pub(super) fn token_sets(&self) -> Select<token_set::Entity> {
        let owner = Query::select()
            .expr(Expr::val(1))
            .from(connection::Entity)
            .and_where(
                Expr::col((connection::Entity, connection::Column::Id))
                    .equals((token_set::Entity, token_set::Column::ConnectionId)),
            )
            .and_where(Expr::col((connection::Entity, connection::Column::App)).eq(self.app.as_str()))
            .to_owned();
        token_set::Entity::find().filter(Expr::exists(owner))
    }

    /// The token endpoint's origin that a set's refresh token is bound to.
    pub async fn find_origin(&self, set: TokenSetId) -> Result<Option<String>, Error> {
        let origin = self.token_sets().filter(token_set::Column::Id.eq(set.0)).select_only();
        Ok(origin.column(token_set::Column::Origin).into_tuple().one(&self.conn.db()).await?)
    }
}
