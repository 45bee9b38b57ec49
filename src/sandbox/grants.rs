//! Who holds what? Codes, grants (token families) and tokens, in memory, named by their hashes.

mod revoke;
mod spend;

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::{
    faults::Faults,
    ledger::{Presentation, RefreshEntry},
    opaque::{Id, mint},
    profile::{Profile, Rules},
};
use crate::model::entropy::Entropy;

/// How long a code waits for its exchange.
const CODE_LIFETIME: Duration = Duration::minutes(10);

/// All codes, grants and tokens.
#[derive(Debug, Default)]
pub(super) struct Book {
    codes: BTreeMap<Id, Code>,
    grants: BTreeMap<u64, Grant>,
    access: BTreeMap<Id, Access>,
    refresh: BTreeMap<Id, Refresh>,
    order: Vec<Id>,
}

/// What the person said yes to.
#[derive(Clone, Debug)]
pub(super) struct Consent {
    pub(super) client_id: String,
    pub(super) user: String,
    pub(super) scope: Vec<String>,
    pub(super) redirect_uri: Option<String>,
    pub(super) challenge: Option<String>,
    pub(super) nonce: Option<String>,
    /// Whether a refresh token was asked for, where that is a question.
    pub(super) offline: bool,
}

#[derive(Debug)]
struct Code {
    consent: Consent,
    expires_at: OffsetDateTime,
    grant: Option<u64>,
}

/// One consent and all tokens that came from it.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) user: String,
    pub(super) scope: Vec<String>,
    offline: bool,
    dead: bool,
    access: Vec<Id>,
    refresh: Vec<Id>,
}

#[derive(Debug)]
struct Access {
    grant: u64,
    scope: Vec<String>,
    issued_at: OffsetDateTime,
    expires_at: Option<OffsetDateTime>,
    dead: bool,
}

#[derive(Debug)]
struct Refresh {
    grant: u64,
    parent: Option<Id>,
    issued_at: OffsetDateTime,
    expires_at: Option<OffsetDateTime>,
    spent_at: Option<OffsetDateTime>,
    presentations: Vec<Presentation>,
}

/// Tokens just issued.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) scope: Vec<String>,
    pub(super) lifetime_s: Option<u64>,
    pub(super) refresh_lifetime_s: Option<u64>,
    pub(super) user: String,
    pub(super) nonce: Option<String>,
}

/// Why no tokens were issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    #[error("the client authentication failed")]
    InvalidClient,
    #[error("the request is malformed")]
    InvalidRequest,
    #[error("this grant type is not supported")]
    UnsupportedGrant,
    #[error("the code is unknown, expired, used or not this client's")]
    BadCode,
    #[error("the redirect URI is not the one of the authorization request")]
    RedirectMismatch,
    #[error("the code verifier does not fit the challenge")]
    BadVerifier,
    #[error("the refresh token is unknown, expired, revoked, used or not this client's")]
    BadRefreshToken,
}

/// A token as an API or `/introspect` sees it.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) client_id: String,
    pub(super) user: String,
    pub(super) scope: Vec<String>,
    pub(super) issued_at: OffsetDateTime,
    pub(super) expires_at: Option<OffsetDateTime>,
    pub(super) live: bool,
}

/// What a token request runs under.
pub(super) struct Terms<'a> {
    pub(super) profile: &'a Profile,
    pub(super) faults: &'a Faults,
    pub(super) now: OffsetDateTime,
    pub(super) entropy: &'a dyn Entropy,
}

impl Terms<'_> {
    fn rules(&self, scope: &[String]) -> Rules {
        self.profile.rules(scope, self.faults)
    }

    fn after(&self, seconds: Option<u64>) -> Option<OffsetDateTime> {
        let seconds = i64::try_from(seconds?).unwrap_or(i64::MAX);
        self.now.checked_add(Duration::seconds(seconds))
    }
}

/// What an authorization code is shown with.
pub(super) struct Exchange<'a> {
    pub(super) client_id: &'a str,
    pub(super) code: &'a str,
    pub(super) redirect_uri: Option<&'a str>,
    pub(super) challenge: Option<String>,
}

impl Book {
    /// Notes a consent and gives its code.
    pub(super) fn consent(&mut self, consent: Consent, now: OffsetDateTime, entropy: &dyn Entropy) -> String {
        let (code, id) = mint("", entropy);
        self.codes.insert(id, Code { consent, expires_at: now + CODE_LIFETIME, grant: None });
        code
    }

    /// Exchanges a code. Shown twice, it kills the grant it gave (RFC 6749 §4.1.2).
    pub(super) fn exchange(&mut self, with: &Exchange<'_>, terms: &Terms<'_>) -> Result<Issued, Denied> {
        let id = Id::of(with.code);
        let code = self.codes.get(&id).ok_or(Denied::BadCode)?;
        if code.consent.client_id != with.client_id || code.expires_at <= terms.now {
            return Err(Denied::BadCode);
        }
        if let Some(grant) = code.grant {
            self.kill(grant);
            return Err(Denied::BadCode);
        }
        if code.consent.redirect_uri.is_some() && code.consent.redirect_uri.as_deref() != with.redirect_uri {
            return Err(Denied::RedirectMismatch);
        }
        if code.consent.challenge != with.challenge {
            return Err(Denied::BadVerifier);
        }
        let consent = code.consent.clone();
        let grant = self.open(&consent, terms);
        if let Some(code) = self.codes.get_mut(&id) {
            code.grant = Some(grant);
        }
        let mut issued = self.issue(grant, None, terms);
        issued.nonce = consent.nonce;
        Ok(issued)
    }

    /// Opens a grant, and kills the oldest ones over the cap.
    fn open(&mut self, consent: &Consent, terms: &Terms<'_>) -> u64 {
        if let Some(cap) = terms.rules(&consent.scope).cap {
            let alike = |grant: &Grant| {
                grant.client_id == consent.client_id
                    && grant.user == consent.user
                    && grant.scope == consent.scope
            };
            let living = self.grants.iter().filter(|(_, g)| alike(g) && self.lives(g, terms.now));
            let living: Vec<u64> = living.map(|(number, _)| *number).collect();
            let surplus = (living.len() + 1).saturating_sub(cap);
            living.into_iter().take(surplus).for_each(|oldest| self.kill(oldest));
        }
        let number = self.grants.keys().next_back().map_or(1, |last| last + 1);
        let grant = Grant {
            client_id: consent.client_id.clone(),
            user: consent.user.clone(),
            scope: consent.scope.clone(),
            offline: consent.offline,
            dead: false,
            access: Vec::new(),
            refresh: Vec::new(),
        };
        self.grants.insert(number, grant);
        number
    }

    /// Issues an access token and, where the rules give one, a refresh token.
    fn issue(&mut self, number: u64, parent: Option<Id>, terms: &Terms<'_>) -> Issued {
        let grant = self.grants.get(&number);
        let granted = grant.map(|g| g.scope.clone()).unwrap_or_default();
        let user = grant.map(|g| g.user.clone()).unwrap_or_default();
        let rules = terms.rules(&granted);
        let scope = terms.faults.scope.as_ref().map_or(granted, |narrowed| terms.profile.scopes(narrowed));
        let access_token = self.add_access(number, scope.clone(), &rules, terms);
        let offline = self.grants.get(&number).is_some_and(|grant| grant.offline);
        let refresh_token =
            (rules.refreshable && offline).then(|| self.add_refresh(number, parent, &rules, terms));
        Issued {
            access_token,
            refresh_token,
            scope,
            lifetime_s: rules.lifetime_s,
            refresh_lifetime_s: rules.refresh_lifetime_s,
            user,
            nonce: None,
        }
    }

    fn add_access(&mut self, grant: u64, scope: Vec<String>, rules: &Rules, terms: &Terms<'_>) -> String {
        let (token, id) = mint(rules.access_prefix, terms.entropy);
        let expires_at = terms.after(rules.lifetime_s);
        let access = Access { grant, scope, issued_at: terms.now, expires_at, dead: false };
        self.access.insert(id.clone(), access);
        if let Some(grant) = self.grants.get_mut(&grant) {
            grant.access.push(id);
        }
        token
    }

    fn add_refresh(&mut self, grant: u64, parent: Option<Id>, rules: &Rules, terms: &Terms<'_>) -> String {
        let (token, id) = mint(rules.refresh_prefix, terms.entropy);
        let refresh = Refresh {
            grant,
            parent,
            issued_at: terms.now,
            expires_at: terms.after(rules.refresh_lifetime_s),
            spent_at: None,
            presentations: Vec::new(),
        };
        self.refresh.insert(id.clone(), refresh);
        self.order.push(id.clone());
        if let Some(grant) = self.grants.get_mut(&grant) {
            grant.refresh.push(id);
        }
        token
    }

    /// Whether a user has a living grant with a client that can be refreshed.
    pub(super) fn is_refreshable(&self, client_id: &str, user: &str, now: OffsetDateTime) -> bool {
        let meant = |grant: &&Grant| grant.client_id == client_id && grant.user == user && grant.offline;
        self.grants.values().filter(meant).any(|grant| self.lives(grant, now))
    }

    /// What an access token stands for, alive or dead.
    pub(super) fn find_access(&self, token: &str, now: OffsetDateTime) -> Option<Holder> {
        self.access.contains_key(&Id::of(token)).then(|| self.find(token, now))?
    }

    /// What an access or refresh token stands for, alive or dead.
    pub(super) fn find(&self, token: &str, now: OffsetDateTime) -> Option<Holder> {
        let id = Id::of(token);
        let (number, scope, issued_at, expires_at, live) = match (self.access.get(&id), self.refresh.get(&id))
        {
            (Some(a), _) => (a.grant, Some(&a.scope), a.issued_at, a.expires_at, !a.dead),
            (_, Some(r)) => (r.grant, None, r.issued_at, r.expires_at, r.spent_at.is_none()),
            _ => return None,
        };
        let grant = self.grants.get(&number)?;
        Some(Holder {
            client_id: grant.client_id.clone(),
            user: grant.user.clone(),
            scope: scope.unwrap_or(&grant.scope).clone(),
            issued_at,
            expires_at,
            live: live && !grant.dead && expires_at.is_none_or(|end| end > now),
        })
    }

    /// The refresh tokens as the ledger tells them, oldest first.
    pub(super) fn entries(&self, now: OffsetDateTime) -> Vec<RefreshEntry> {
        self.order.iter().filter_map(|id| self.entry(id, now)).collect()
    }

    fn entry(&self, id: &Id, now: OffsetDateTime) -> Option<RefreshEntry> {
        let refresh = self.refresh.get(id)?;
        let grant = self.grants.get(&refresh.grant)?;
        Some(RefreshEntry {
            id: id.as_str().into(),
            parent: refresh.parent.as_ref().map(|id| id.as_str().into()),
            grant: refresh.grant,
            client_id: grant.client_id.clone(),
            user: grant.user.clone(),
            issued_at: refresh.issued_at,
            live: !grant.dead && refresh.live(now),
            presented: refresh.presentations.len(),
            presentations: refresh.presentations.clone(),
        })
    }

    fn kill(&mut self, number: u64) {
        if let Some(grant) = self.grants.get_mut(&number) {
            grant.dead = true;
        }
    }

    fn lives(&self, grant: &Grant, now: OffsetDateTime) -> bool {
        let access = |id: &Id| {
            self.access.get(id).is_some_and(|a| !a.dead && a.expires_at.is_none_or(|end| end > now))
        };
        let refresh = |id: &Id| self.refresh.get(id).is_some_and(|r| r.live(now));
        !grant.dead && (grant.access.iter().any(access) || grant.refresh.iter().any(refresh))
    }
}

impl Refresh {
    fn live(&self, now: OffsetDateTime) -> bool {
        self.spent_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}
