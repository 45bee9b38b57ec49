//! Which faults are there, at which providers, and what does the design say that each comes to?

use jeton::sandbox::{ExpiresIn, Faults, Format, Profile, Rotation, Trouble};

/// Milliseconds longer than a provider call may take.
const TOO_LONG: u64 = 7_000;

/// What a fault is to the broker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An answer like any other.
    Read,
    /// An answer that names no lifetime.
    Timeless,
    /// An answer that grants less.
    Narrowed,
    /// Told to come back; nothing was spent.
    Limited,
    /// The grant is gone.
    GrantRefused,
    /// Our client is refused.
    ClientRefused,
    /// The request is refused, for another reason.
    RequestRefused,
    /// Nobody knows whether the refresh token was spent. This is whether it was, at a provider that rotates.
    Unknown {
        /// And its successor is lost.
        spent: bool,
    },
}

/// One fault, met by the next refresh alone.
pub(super) struct Case {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) faults: Faults,
    pub(super) kind: Kind,
}

/// A connector of the catalog and the provider behind it.
#[derive(Clone, Copy)]
pub(super) struct Provider {
    pub(super) connector: &'static str,
    pub(super) profile: fn() -> Profile,
    /// What is asked for at the consent.
    pub(super) scope: &'static str,
    /// Whether there is a refresh at all.
    pub(super) refreshes: bool,
    /// Whether a refresh spends the refresh token.
    rotates: bool,
    /// Whether the broker must take it for one that does: by definition, or until it has learnt otherwise.
    strict: bool,
    /// Whether a lifetime that no answer names is found by introspection.
    introspects: bool,
    /// Whether answers themselves name a lifetime, and a scope that can be read.
    tells: (bool, bool),
}

const PLAIN: Provider = Provider {
    connector: "sandbox",
    profile: Profile::standard,
    scope: "read write",
    refreshes: true,
    rotates: true,
    strict: true,
    introspects: true,
    tells: (true, true),
};

pub(super) const PROVIDERS: [Provider; 7] = [
    PLAIN,
    Provider { connector: "github", profile: Profile::github, introspects: false, ..PLAIN },
    Provider {
        connector: "github-app",
        profile: Profile::github_app,
        introspects: false,
        tells: (true, false),
        ..PLAIN
    },
    Provider {
        connector: "google",
        profile: Profile::google,
        scope: "openid email",
        rotates: false,
        strict: false,
        introspects: false,
        ..PLAIN
    },
    Provider {
        connector: "hubspot",
        profile: Profile::hubspot,
        rotates: false,
        introspects: false,
        tells: (true, false),
        ..PLAIN
    },
    Provider {
        connector: "salesforce",
        profile: Profile::salesforce,
        scope: "api refresh_token",
        rotates: false,
        tells: (false, true),
        ..PLAIN
    },
    Provider {
        connector: "aircall",
        profile: Profile::aircall,
        scope: "public_api",
        refreshes: false,
        ..PLAIN
    },
];

/// What was answered and what the connection was then, at once and long after the fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Course {
    pub(super) first: Seen,
    pub(super) later: Seen,
}

/// One call: the answer, the state after it, and how often the refresh token was sent so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) answer: String,
    pub(super) state: String,
    pub(super) calls: usize,
}

fn seen(answer: &str, state: &str, calls: usize) -> Seen {
    Seen { answer: answer.to_owned(), state: state.to_owned(), calls }
}

impl Provider {
    /// What the design says (docs/protocol.md, and the states of a connection): `lives` tells whether the token in
    /// hand does while its refresh is due.
    pub(super) fn expected(&self, kind: Kind, lives: bool) -> Course {
        let fine = |calls| seen("200", "active", calls);
        if !self.refreshes {
            return Course { first: fine(0), later: fine(0) };
        }
        let kind = match kind {
            // What an answer never tells cannot be told wrong.
            Kind::Timeless if self.introspects || !self.tells.0 => Kind::Read,
            Kind::Narrowed if !self.tells.1 => Kind::Read,
            other => other,
        };
        // A token that lives is served with a warning; an error is for whom it does not suffice.
        let degraded = |code: &str, error: &str| match lives {
            true => format!("200, `{code}`"),
            false => error.to_owned(),
        };
        let away = || degraded("provider_unavailable", "503 `provider_unavailable`");
        let wrong = || degraded("provider_misconfigured", "502 `provider_misconfigured`");
        let gone = "409 `reauthorization_required`";
        let (first, later) = match kind {
            Kind::Read => (fine(1), fine(2)),
            Kind::Timeless => (fine(1), fine(1)),
            Kind::Narrowed => (seen("200, `scope_narrowed`", "active", 1), fine(2)),
            Kind::Limited => (seen(&away(), "active", 1), fine(2)),
            Kind::RequestRefused => (seen(&wrong(), "active", 1), fine(2)),
            Kind::ClientRefused => {
                let parked = seen("502 `provider_misconfigured`", "misconfigured", 1);
                (seen(&wrong(), "misconfigured", 1), parked)
            }
            Kind::GrantRefused => {
                let first = degraded("reauthorization_required", gone);
                (seen(&first, "revoked", 1), seen(gone, "revoked", 1))
            }
            Kind::Unknown { spent } => {
                let barred =
                    if self.strict { "503 `refresh_in_progress`" } else { "503 `provider_unavailable`" };
                let lost = seen(gone, "lost_rotation", 2);
                let later = if spent && self.rotates { lost } else { fine(2) };
                (seen(&degraded("provider_unavailable", barred), "active", 1), later)
            }
        };
        Course { first, later }
    }
}

fn case(id: &'static str, title: &'static str, kind: Kind, faults: Faults) -> Case {
    Case { id, title, kind, faults: faults.times(1).on_refresh() }
}

fn before(id: &'static str, title: &'static str, kind: Kind, trouble: Trouble) -> Case {
    case(id, title, kind, Faults::before(trouble))
}

fn error(id: &'static str, title: &'static str, kind: Kind, status: u16, code: &str) -> Case {
    before(id, title, kind, Trouble::Error { status, code: code.to_owned() })
}

/// The provider did its work, and what it said came to nobody.
fn lost(id: &'static str, title: &'static str, faults: Faults) -> Case {
    case(id, title, Kind::Unknown { spent: true }, faults)
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = lost_answers();
    cases.extend(unread_answers());
    cases.extend(refusals());
    cases.extend(bent_answers());
    cases
}

/// The slow ones lead: they are under way while the others are looked at.
fn lost_answers() -> Vec<Case> {
    let none = Faults::default;
    let grace = Some(Rotation::Grace(100_000));
    let then = Some(Box::new(Faults { rotation: grace, ..none() }));
    let graced = Faults { rotation: grace, then, ..Faults::after(Trouble::Reset) };
    vec![
        lost("late", "works after the caller gave up", Faults { delay_ms: Some(TOO_LONG), ..none() }),
        lost("slow-head", "slow head, past the time-out", Faults { slow_head_ms: Some(TOO_LONG), ..none() }),
        lost("slow-body", "slow body, past the time-out", Faults { slow_body_ms: Some(TOO_LONG), ..none() }),
        lost("reset-after", "reset after the work", Faults::after(Trouble::Reset)),
        lost("error-after", "500 after the work", Faults::after(Trouble::Status(500))),
        lost("html-after", "HTML after the work", Faults::after(Trouble::Html)),
        lost("cut-after", "truncated after the work", Faults::after(Trouble::Truncated)),
        case("graced", "reset after the work, with a grace window", Kind::Unknown { spent: false }, graced),
    ]
}

fn unread_answers() -> Vec<Case> {
    let unknown = Kind::Unknown { spent: false };
    vec![
        before("reset", "reset before the work", unknown, Trouble::Reset),
        before("error", "500", unknown, Trouble::Status(500)),
        before("gateway", "503", unknown, Trouble::Status(503)),
        before("missing", "404 without an OAuth error", unknown, Trouble::Status(404)),
        before("html", "200 with HTML", unknown, Trouble::Html),
        before("truncated", "truncated", unknown, Trouble::Truncated),
        before("broken", "broken JSON", unknown, Trouble::BrokenJson),
        before("huge", "64 MiB", unknown, Trouble::Huge),
        before("bomb", "gzip bomb", unknown, Trouble::GzipBomb),
        before("redirect", "redirect", unknown, Trouble::Redirect),
        before("limited", "429 with Retry-After", Kind::Limited, Trouble::RateLimited { retry_after_s: 7 }),
    ]
}

fn refusals() -> Vec<Case> {
    let (grant, client, request) = (Kind::GrantRefused, Kind::ClientRefused, Kind::RequestRefused);
    vec![
        error("grant-400", "400 `invalid_grant`", grant, 400, "invalid_grant"),
        error("grant-401", "401 `invalid_grant`", grant, 401, "invalid_grant"),
        error("grant-403", "403 `invalid_grant`", grant, 403, "invalid_grant"),
        error("grant-200", "200 with `bad_refresh_token`", grant, 200, "bad_refresh_token"),
        error("client-401", "401 `invalid_client`", client, 401, "invalid_client"),
        error("client-400", "400 `unauthorized_client`", client, 400, "unauthorized_client"),
        error(
            "client-200",
            "200 with `incorrect_client_credentials`",
            client,
            200,
            "incorrect_client_credentials",
        ),
        error("scope", "400 `invalid_scope`", request, 400, "invalid_scope"),
        error("denied", "403 `access_denied`", request, 403, "access_denied"),
    ]
}

fn bent_answers() -> Vec<Case> {
    let none = Faults::default;
    let told = |expires_in| Faults { expires_in: Some(expires_in), ..none() };
    let rotation = |rotation| Faults { rotation: Some(rotation), ..none() };
    vec![
        case("none", "none", Kind::Read, none()),
        case("slow", "slow, within the time-out", Kind::Read, Faults { delay_ms: Some(100), ..none() }),
        case("strict", "strict rotation", Kind::Read, rotation(Rotation::Strict)),
        case("single-use", "rotation, single use", Kind::Read, rotation(Rotation::SingleUse)),
        case("keeps", "no rotation", Kind::Read, rotation(Rotation::None)),
        case(
            "omits",
            "no refresh token in the answer",
            Kind::Read,
            Faults { omit_refresh_token: true, ..none() },
        ),
        case(
            "kills",
            "the old access token dies",
            Kind::Read,
            Faults { kills_access_token: Some(true), ..none() },
        ),
        case("form", "form-encoded", Kind::Read, Faults { format: Some(Format::Form), ..none() }),
        case("string", "`expires_in` is a string", Kind::Read, told(ExpiresIn::String)),
        case("timeless", "no `expires_in`", Kind::Timeless, told(ExpiresIn::Missing)),
        case("negative", "negative `expires_in`", Kind::Timeless, told(ExpiresIn::Negative)),
        case("absurd", "`expires_in` of 30,000 years", Kind::Timeless, told(ExpiresIn::Absurd)),
        case("narrowed", "a narrower scope", Kind::Narrowed, none()),
    ]
}
