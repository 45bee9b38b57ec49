//! Which token sets are a tenant's? Those of its connections, whoever names their ids.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{EntityTrait, QueryFilter, Select};

use crate::store::AppRows;
use crate::store::entity::{connection, token_set};

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
}
