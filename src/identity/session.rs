//! Which person a browser belongs to, and whether a form came from our own page.
//!
//! A session lives twelve hours whatever happens in it, gets a new id at each sign-in, and is worth nothing
//! without the half that only its cookie holds. Rights are read from the rows at each request. Form tokens are
//! keyed hashes of that half, so they end with the session; before sign-in a random cookie stands for it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::Principal;
use super::tools::Tools;
use crate::model::client::ClientId;
use crate::model::entropy::token;
use crate::model::event::{Action, Origin};
use crate::model::person::{OpenedBy, Session, User};
use crate::model::principal::UserId;
use crate::model::secret::{KeyedHash, Secret};
use crate::model::ticket::Ticket;
use crate::model::time::to_micros;
use crate::store::Conn;

/// How long a session lives at most.
const LIFE: Duration = Duration::hours(12);
/// The same, of one that a service provider's link opened: as long as its client may confirm.
const SENT_LIFE: Duration = Duration::hours(1);

/// Why a session could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database gave nothing.
    #[error("the sessions cannot be read or written")]
    Store(#[from] crate::store::Error),
    /// The audit trail took nothing.
    #[error("the audit record was not written")]
    Audit(#[from] crate::audit::Error),
}

/// A form token: what our own page carries and another site cannot know.
#[derive(Clone)]
pub struct FormToken(String);

impl FormToken {
    /// As written into the form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a form carried it; in constant time.
    pub fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }

    fn of(hash: KeyedHash) -> Self {
        Self(URL_SAFE_NO_PAD.encode(hash.0))
    }
}

/// A signed-in browser.
#[derive(Clone)]
pub struct SignedIn {
    /// With the rights of this moment.
    pub principal: Principal,
    /// The person.
    pub user: User,
    /// The session's id.
    pub session_id: Uuid,
    /// When the person signed in, here or at the provider; `None`: the provider did not tell.
    pub signed_in_at: Option<OffsetDateTime>,
    /// How the session came to be.
    pub opened_by: OpenedBy,
    /// For its forms.
    pub form_token: FormToken,
}

impl SignedIn {
    /// Whether the person can let this client in here: whoever was made to open somebody else's link must not do so in
    /// that one's name.
    pub fn may_let_in(&self, client: &ClientId) -> bool {
        match &self.opened_by {
            OpenedBy::SignIn | OpenedBy::Upstream(_) | OpenedBy::Proxy(_) => true,
            OpenedBy::Link(sender) => sender == client,
        }
    }
}

/// A session just made: its ticket goes into the cookie and nowhere else.
#[derive(Clone)]
pub struct Opened {
    /// The cookie's value.
    pub ticket: Ticket,
    /// The row.
    pub session: Session,
    /// Shows at the next sign-in that this person has signed in from this browser before.
    pub known_browser: Secret,
}

/// Opens, resumes and ends sessions.
pub struct Sessions {
    tools: Tools,
}

impl Sessions {
    /// With its tools.
    pub fn new(tools: Tools) -> Self {
        Self { tools }
    }

    /// The person whose browser sent this cookie; `None` for anything but a live session of an enabled person.
    pub async fn resume(&self, cookie: &str, origin: Origin) -> Result<Option<SignedIn>, Error> {
        let Some(ticket) = Ticket::parse(cookie) else { return Ok(None) };
        let conn = self.tools.store.conn();
        let Some((session, hash)) = conn.find_session(ticket.id).await? else { return Ok(None) };
        if !self.tools.fits(
            "session",
            &ticket,
            &whose(session.user, &session.opened_by, (session.created_at, session.expires_at)),
            &hash,
        ) {
            return Ok(None);
        }
        let Some(user) = conn.find_user(session.user).await?.filter(|user| !user.disabled) else {
            return Ok(None);
        };
        let memberships = conn.memberships_of(user.id).await?;
        Ok(Some(SignedIn {
            principal: Principal::of_user(user.id, user.role, memberships, origin),
            form_token: self.form_token("session", &ticket.id.into_bytes(), &ticket.secret),
            session_id: session.id,
            signed_in_at: match session.opened_by {
                OpenedBy::SignIn | OpenedBy::Link(_) => Some(session.created_at),
                OpenedBy::Upstream(at) | OpenedBy::Proxy(at) => at,
            },
            opened_by: session.opened_by,
            user,
        }))
    }

    /// The person of a session that was just opened.
    #[expect(clippy::disallowed_methods, reason = "door: the ticket is read as its cookie will be")]
    pub(in crate::identity) async fn resume_opened(
        &self,
        opened: &Opened,
        origin: Origin,
    ) -> Result<Option<SignedIn>, Error> {
        self.resume(opened.ticket.text().expose_secret(), origin).await
    }

    /// Ends one session, as its browser asked.
    pub async fn end(&self, signed_in: &SignedIn) -> Result<(), Error> {
        let tx = self.tools.store.begin().await?;
        if tx.conn().delete_session(signed_in.session_id).await? {
            let event = signed_in.principal.event(Action::Logout);
            self.tools.audit.record_in(tx.conn(), event).await?;
        }
        Ok(tx.commit().await?)
    }

    /// A value for the cookie of a browser that is not signed in.
    pub fn new_visit(&self) -> Secret {
        Secret::new(token::<32>(&*self.tools.entropy))
    }

    /// The form token that belongs to such a cookie.
    pub fn visit_token(&self, cookie: &Secret) -> FormToken {
        self.form_token("visit", b"", cookie)
    }

    /// Makes a session inside the caller's transaction, in place of the browser's former one.
    pub(in crate::identity) async fn open_in(
        &self,
        conn: Conn<'_>,
        user: &User,
        former: Option<Uuid>,
        origin: Origin,
    ) -> Result<Opened, crate::store::Error> {
        self.open(conn, user, OpenedBy::SignIn, former, origin).await
    }

    /// The same of a session that came to be in this way.
    pub(in crate::identity) async fn open(
        &self,
        conn: Conn<'_>,
        user: &User,
        opened_by: OpenedBy,
        former: Option<Uuid>,
        origin: Origin,
    ) -> Result<Opened, crate::store::Error> {
        self.open_with(conn, user, (opened_by, self.tools.ticket()), former, origin).await
    }

    /// The session that was opened by this very forwarded token, or a new one: a browser that keeps no cookie makes no
    /// row with each page. Whether it is new.
    pub(in crate::identity) async fn open_at_proxy(
        &self,
        conn: Conn<'_>,
        user: &User,
        (opened_by, token): (OpenedBy, KeyedHash),
        origin: Origin,
    ) -> Result<(Opened, bool), crate::store::Error> {
        for (session, hash) in conn.sessions_at_proxy_of(user.id).await? {
            let ticket = self.ticket_at_proxy(session.id, token);
            let times = (session.created_at, session.expires_at);
            let whose = whose(session.user, &session.opened_by, times);
            if self.tools.fits("session", &ticket, &whose, &hash) {
                let known_browser = self.new_known_browser(user.id);
                return Ok((Opened { ticket, session, known_browser }, false));
            }
        }
        let ticket = self.ticket_at_proxy(self.tools.id(), token);
        let opened = self.open_with(conn, user, (opened_by, ticket), None, origin).await?;
        Ok((opened, true))
    }

    /// Its secret half is a keyed hash of its id and the token, so that it can be made again.
    fn ticket_at_proxy(&self, id: Uuid, token: KeyedHash) -> Ticket {
        let hash = self.tools.vault.hash("session", "ticket_at_proxy", id.as_bytes(), &token.0);
        Ticket { id, secret: Secret::new(URL_SAFE_NO_PAD.encode(hash.0)) }
    }

    async fn open_with(
        &self,
        conn: Conn<'_>,
        user: &User,
        (opened_by, ticket): (OpenedBy, Ticket),
        former: Option<Uuid>,
        origin: Origin,
    ) -> Result<Opened, crate::store::Error> {
        if let Some(former) = former {
            conn.delete_session(former).await?;
        }
        conn.purge_sessions().await?;
        let now = self.tools.clock.now();
        let life = if matches!(opened_by, OpenedBy::Link(_)) { SENT_LIFE } else { LIFE };
        let times = (now, now + life);
        let hash = self.tools.hash("session", &ticket, &whose(user.id, &opened_by, times));
        let session = conn.insert_session(ticket.id, hash, (user.id, &opened_by), origin, times).await?;
        Ok(Opened { ticket, session, known_browser: self.new_known_browser(user.id) })
    }

    /// What tells one browser of this person from another, where `cookie` was given to one of theirs.
    pub(in crate::identity) fn known_browser<'c>(&self, user: UserId, cookie: &'c str) -> Option<&'c str> {
        let (browser, tag) = cookie.split_once('.')?;
        FormToken::of(self.known_tag(user, browser)).matches(tag).then_some(browser)
    }

    fn new_known_browser(&self, user: UserId) -> Secret {
        let browser = token::<32>(&*self.tools.entropy);
        let tag = FormToken::of(self.known_tag(user, &browser));
        Secret::new(format!("{browser}.{}", tag.as_str()))
    }

    fn known_tag(&self, user: UserId, browser: &str) -> KeyedHash {
        self.tools.vault.hash("user", "known_browser", user.0.as_bytes(), browser.as_bytes())
    }

    fn form_token(&self, table: &'static str, row: &[u8], secret: &Secret) -> FormToken {
        FormToken::of(self.tools.vault.hash_secret(table, "csrf_token", row, secret))
    }
}
/// What a session's hash covers.
pub(crate) fn whose(
    user: UserId,
    opened_by: &OpenedBy,
    (created_at, expires_at): (OffsetDateTime, OffsetDateTime),
) -> Vec<u8> {
    let times = [created_at, expires_at].map(|at| to_micros(at).to_be_bytes());
    let how = opened_by.to_text().unwrap_or_default();
    [&user.0.as_bytes()[..], &times.concat(), how.as_bytes()].concat()
}
