//! What does every fault of the sandbox come to at every provider of the catalog? Asserted, and written down.

mod cases;
mod memory;
mod table;

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use jeton::model::entropy::SystemEntropy;
use jeton::model::time::ShiftedClock;
use jeton::sandbox::{Client, Outcome, Profile, Sandbox, Settings, start};
use reqwest::Method;
use serde_json::{Value, json};

use self::cases::{Case, Course, Kind, PROVIDERS, Provider, Seen, all};
use crate::support::app::Home;
use crate::support::house::{CLIENT_SECRET, House};
use crate::support::provider::consent_to;

/// How many connections are made at once.
const AT_ONCE: usize = 12;
/// How many calls are under way at once: five connections in trouble would be taken for a provider that is away.
const IN_TROUBLE: usize = 4;
/// The app and client of a connection that the provider always answers.
const HEALTHY: &str = "healthy";
/// Seconds that a token lives whose refresh is due: under the margin of a minute.
const LEFT: i64 = 55;

/// One fault at one provider, for a token that lives or has expired, in an app of its own.
struct Trial {
    case: Arc<Case>,
    provider: Provider,
    lives: bool,
}

impl Trial {
    fn all() -> Vec<Self> {
        let cases: Vec<Arc<Case>> = all().into_iter().map(Arc::new).collect();
        let of = |case: &Arc<Case>, lives: bool| {
            let case = Arc::clone(case);
            PROVIDERS.map(move |provider| Self { case: Arc::clone(&case), provider, lives })
        };
        // Those that have expired are made first, and looked at last.
        [false, true]
            .into_iter()
            .flat_map(|lives| cases.iter().flat_map(move |case| of(case, lives)))
            .collect()
    }

    fn app(&self) -> String {
        format!("{}-{}", self.case.id, if self.lives { "due" } else { "over" })
    }

    fn client_id(&self) -> String {
        format!("{}-{}", self.app(), self.provider.connector)
    }

    fn client(&self) -> Client {
        let client = Client::new(self.client_id(), (self.provider.profile)());
        let mut faults = self.case.faults.clone();
        if self.case.kind == Kind::Narrowed {
            faults.scope = self.provider.scope.split(' ').next().map(String::from);
        }
        Client { any_loopback_redirect: true, faults, ..client }
    }

    /// A grant of the provider, imported.
    async fn connect(&self, house: &House, bearer: &str) {
        let write = async |method: Method, path: String, body: &Value| {
            let url = house.broker.at(&format!("/admin/v1/apps/{}{path}", self.app()));
            let answer =
                house.broker.http.request(method, url).bearer_auth(bearer).json(body).send().await.unwrap();
            assert!(answer.status().is_success(), "{}{path}: {}", self.client_id(), answer.status());
        };
        let connector = self.provider.connector;
        let client = json!({"client_id": self.client_id(), "client_secret": CLIENT_SECRET});
        write(Method::PUT, format!("/connectors/{connector}/credentials"), &client).await;
        let granted = consent_to(&house.sandbox, &self.client_id(), self.provider.scope).await;
        let expires_in = match (self.provider.refreshes, self.lives) {
            (false, _) => Value::Null,
            (true, true) => json!(3_600),
            (true, false) => json!(1_800),
        };
        let import = json!({
            "access_token": granted["access_token"], "refresh_token": granted["refresh_token"],
            "expires_in": expires_in, "scope": self.provider.scope,
        });
        write(Method::POST, format!("/connections/{connector}/import"), &import).await;
    }

    /// One call of a job, and what the connection is then.
    async fn call(&self, house: &House, bearer: &str) -> Seen {
        let get = async |what: &str| -> (u16, Value) {
            let url = house.broker.at(&format!("/{}/{}/{what}", self.app(), self.provider.connector));
            let answer = house.broker.http.get(url).bearer_auth(bearer).send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        };
        let (status, body) = get("binb-token").await;
        let word = if status == 200 { &body["degraded"]["code"] } else { &body["code"] };
        let comma = if status == 200 { "," } else { "" };
        let answer =
            word.as_str().map_or_else(|| status.to_string(), |word| format!("{status}{comma} `{word}`"));
        let (_, row) = get("status").await;
        let state = row["reason"].as_str().or(row["state"].as_str()).unwrap().to_owned();
        Seen { answer, state, calls: self.calls(house) }
    }

    /// How often the provider was shown a refresh token of this connection.
    fn calls(&self, house: &House) -> usize {
        let tokens = house.sandbox.handle().ledger().refresh_tokens;
        tokens.iter().filter(|token| token.client_id == self.client_id()).map(|token| token.presented).sum()
    }
}

async fn look(trials: &[&Trial], house: &House) -> Vec<Seen> {
    let bearer = house.broker.token_of(&house.broker.superadmin).await;
    let mut seen = Vec::new();
    for some in trials.chunks(IN_TROUBLE) {
        seen.extend(join_all(some.iter().map(|trial| trial.call(house, &bearer))).await);
        // An answer of the provider ends the count of those it left without.
        let path = format!("/apps/{HEALTHY}/connections/sandbox");
        let row =
            house.ask(Method::GET, &format!("/admin/v1{path}"), None).await.json::<Value>().await.unwrap();
        let again = json!({"generation": row["generation"]});
        house.write(Method::POST, &format!("{path}/refresh"), &again).await;
    }
    seen
}

/// A connection that nothing goes wrong with.
async fn connect_healthy(house: &House) {
    house.app(HEALTHY, HEALTHY).await;
    let client = json!({"client_id": HEALTHY, "client_secret": CLIENT_SECRET});
    house.write(Method::PUT, &format!("/apps/{HEALTHY}/connectors/sandbox/credentials"), &client).await;
    let granted = consent_to(&house.sandbox, HEALTHY, "read").await;
    let import = json!({"access_token": granted["access_token"], "refresh_token": granted["refresh_token"],
        "expires_in": granted["expires_in"]});
    house.write(Method::POST, &format!("/apps/{HEALTHY}/connections/sandbox/import"), &import).await;
}

fn provider(clients: Vec<Client>, clock: Arc<ShiftedClock>) -> Sandbox {
    let settings = Settings { clients, ..Settings::new(([127, 0, 0, 1], 0).into()) };
    start(settings, clock, Arc::new(SystemEntropy)).unwrap()
}

/// Every trial at one database; the courses in the same order.
async fn courses(home: Home, trials: &[Trial]) -> Vec<Course> {
    let clock = Arc::new(ShiftedClock::default());
    let healthy = Client { any_loopback_redirect: true, ..Client::new(HEALTHY, Profile::standard()) };
    let clients = trials.iter().map(Trial::client).chain([healthy]);
    let sandbox = provider(clients.collect(), clock.clone());
    let timeouts = [("refresh.timeout_s", "5"), ("refresh.connect_timeout_s", "5")];
    let house = House::with(home, sandbox, clock, &timeouts).await;
    let apps: std::collections::BTreeSet<String> = trials.iter().map(Trial::app).collect();
    for app in apps {
        house.app(&app, &app).await;
    }
    connect_healthy(&house).await;
    let bearer = house.broker.token_of(&house.broker.superadmin).await;
    stream::iter(trials).for_each_concurrent(AT_ONCE, |trial| trial.connect(&house, &bearer)).await;
    house.pass(3_600 - LEFT);
    let (due, over): (Vec<&Trial>, Vec<&Trial>) = trials.iter().partition(|trial| trial.lives);
    let (due, over) = (look(&due, &house).await, look(&over, &house).await);
    // What the slow ones do, they have done.
    let waiting = |sandbox: &Sandbox| {
        let tokens = sandbox.handle().ledger().refresh_tokens;
        tokens.iter().any(|token| token.presentations.iter().any(|one| one.outcome == Outcome::Waiting))
    };
    while waiting(&house.sandbox) {
        tokio::task::yield_now().await;
    }
    house.pass(9 * 3_600);
    let later = look(&trials.iter().collect::<Vec<_>>(), &house).await;
    house.stop().await;
    let first = over.into_iter().chain(due);
    first.zip(later).map(|(first, later)| Course { first, later }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_comes_to_what_the_design_says_at_every_provider() {
    let trials = Trial::all();
    let mut wrong = Vec::new();
    for home in Home::each().await {
        let name = home.name;
        let seen = courses(home, &trials).await;
        assert_eq!(seen.len(), trials.len(), "{name}");
        for (trial, seen) in trials.iter().zip(&seen) {
            let expected = trial.provider.expected(trial.case.kind, trial.lives);
            if expected != *seen {
                wrong.push(format!("{name}, {}:\n  {seen:?}, expected\n  {expected:?}", trial.client_id()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), trials.len(), wrong.join("\n"));
}

#[test]
fn the_page_of_faults_says_what_is_asserted() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.md");
    std::fs::write(&fresh, table::page()).unwrap();
    let said = std::fs::read_to_string(committed).unwrap_or_default();
    assert!(said == table::page(), "docs/faults.md is not what the tests assert: {} is", fresh.display());
}
