//! What dies when somebody takes something back? A person's withdrawal, a client's revocation.

use super::{Book, Grant};
use crate::sandbox::opaque::Id;

impl Book {
    /// The person takes back what was given, to one client or to all. Gives how many living grants died.
    pub(in crate::sandbox) fn withdraw(&mut self, user: &str, client_id: Option<&str>) -> usize {
        let meant = |grant: &Grant| {
            !grant.dead && grant.user == user && client_id.is_none_or(|client| grant.client_id == client)
        };
        let doomed: Vec<u64> = self.grants.iter().filter(|(_, g)| meant(g)).map(|(n, _)| *n).collect();
        doomed.iter().for_each(|number| self.kill(*number));
        doomed.len()
    }

    /// Kills the family of a token of this client; gives whose it was.
    pub(in crate::sandbox) fn revoke_family(&mut self, token: &str, client_id: &str) -> Option<String> {
        let id = Id::of(token);
        let number =
            self.refresh.get(&id).map(|r| r.grant).or_else(|| self.access.get(&id).map(|a| a.grant))?;
        let grant = self.grants.get(&number).filter(|grant| grant.client_id == client_id && !grant.dead)?;
        let user = grant.user.clone();
        self.kill(number);
        Some(user)
    }

    /// Kills every grant of the token's user with this client.
    pub(in crate::sandbox) fn revoke_all(&mut self, token: &str, client_id: &str) {
        if let Some(user) = self.revoke_family(token, client_id) {
            self.withdraw(&user, Some(client_id));
        }
    }

    /// RFC 7009: an access token dies alone, a refresh token takes its family along.
    pub(in crate::sandbox) fn revoke(&mut self, token: &str, client_id: &str) {
        let id = Id::of(token);
        let own = |number: &u64| self.grants.get(number).is_some_and(|grant| grant.client_id == client_id);
        match self.access.get_mut(&id) {
            Some(access) if own(&access.grant) => access.dead = true,
            Some(_) => {}
            None => {
                self.revoke_family(token, client_id);
            }
        }
    }
}
