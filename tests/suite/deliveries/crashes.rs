//! What becomes of a delivery when the broker is killed in the midst of it? What OpenBao, moto's AWS, or what stands in
//! for Azure has done is done, and nobody wrote so. Then logs and databases are searched for all that was secret in it.

use std::net::SocketAddr;
use std::process::Output;
use std::time::{Duration, Instant};

use jeton_client::secret_store::{Reference, ServiceCredential, Variables, open};
use serde_json::Value;
use tokio::task::block_in_place;

use super::gate::Gate;
use super::servers::{Azure, Bao, Moto, application, keys};
use super::{command, secret_of, stdout};
use crate::canary::{Canaries, everything_in};
use crate::support::app::{Home, http};
use crate::support::cluster::own_address;
use crate::support::program::{Serving, exit_code, jeton, run, stderr};
use crate::support::sql::Sql;

/// A broker that is a process of its own, with a gate before its store, and its superadmin at the command line.
struct Office<'o> {
    home: Home,
    gate: Gate,
    address: SocketAddr,
    /// Where credentials go, and as whom the broker speaks to the store.
    variables: Vec<(&'static str, String)>,
    admin: (String, String),
    place: &'o str,
    /// `document` or `pair`.
    form: &'static str,
    reference: Reference,
    /// As whom the test itself looks into the store, without the gate.
    looks: Variables,
    serving: Option<Serving>,
    /// All that its brokers have logged.
    log: String,
}

impl<'o> Office<'o> {
    fn open(
        home: Home,
        gate: Gate,
        as_whom: &[(&'static str, &str)],
        looks: &[(&str, &str)],
        [place, reference]: [&'o str; 2],
    ) -> Self {
        let made = run(&home, "init", &["--json"]);
        let made: Value = serde_json::from_str(&stdout(&made)).unwrap();
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let own = [
            ("JETON_SECRET_STORES__DELIVER_TO", place),
            ("JETON_INSTANCE__STACK", "prod"),
            ("RUST_LOG", "trace"),
        ];
        let variables = own.iter().chain(as_whom).map(|(name, value)| (*name, (*value).to_owned()));
        let mut own = Self {
            home,
            gate,
            address: own_address(),
            variables: variables.collect(),
            admin: (text("client_id"), text("client_secret")),
            place,
            form: "document",
            reference: reference.parse().unwrap(),
            looks: Variables::of(looks.iter().copied()),
            serving: None,
            log: String::new(),
        };
        own.serve();
        own
    }

    fn delivering(self, form: &'static str) -> Self {
        Self { form, ..self }
    }

    /// Starts the broker, where it was before: what was delivered names its address. One that runs is killed.
    fn serve(&mut self) {
        block_in_place(|| {
            self.log.extend(self.serving.take().map(Serving::kill));
            let mut command = jeton(&self.home);
            command.arg("serve").args(self.home.flags()).args(["--listen", &self.address.to_string()]);
            command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
            self.serving = Some(Serving::of(command));
        });
    }

    async fn command(&self, line: &[&str]) -> Output {
        let url = format!("http://{}", self.address);
        let own = [
            ("JETON_URL", url.as_str()),
            ("JETON_CLIENT_ID", &self.admin.0),
            ("JETON_CLIENT_SECRET", &self.admin.1),
        ];
        command("/nowhere", line, &own).await
    }

    /// The broker is killed when the store has done this step of a command, and has not said so.
    async fn dies_at(&mut self, step: &'static str, line: &[&str]) {
        let serving = self.serving.take().unwrap();
        let (log, told) = {
            let mut command = std::pin::pin!(self.command(line));
            tokio::select! {
                output = &mut command => panic!("{step}: it ended: {}", stderr(&output)),
                () = self.gate.keeps(step) => {}
            }
            (block_in_place(|| serving.kill()), command.await)
        };
        self.log.push_str(&log);
        assert_eq!(exit_code(&told), 75, "{step}: {}", stderr(&told));
    }

    /// What `client check` ends with, and what it says of the one delivery: client, state, drift.
    async fn check(&self) -> (i32, [String; 3]) {
        let output = self.command(&["client", "check", "--json"]).await;
        let told: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
        let text = |key: &str| told[0][key].as_str().unwrap_or_default().to_owned();
        (exit_code(&output), ["client_id", "state", "drift_code"].map(text))
    }

    /// Of the delivery, which counts pairs too.
    async fn version(&self) -> u64 {
        let output = self.command(&["client", "check", "--json"]).await;
        serde_json::from_slice::<Value>(&output.stdout).unwrap()[0]["version"].as_u64().unwrap()
    }

    async fn is_well(&self) -> bool {
        let (code, [_, state, drift]) = self.check().await;
        (code, state.as_str(), drift.as_str()) == (0, "delivered", "")
    }

    /// Half-done, and told so; the client's id.
    async fn pending(&self) -> String {
        let (code, [id, state, drift]) = self.check().await;
        assert_eq!((code, state.as_str(), drift.as_str()), (78, "pending", "pending"));
        id
    }

    async fn live_secrets(&self, id: &str) -> usize {
        let shown = stdout(&self.command(&["client", "show", id, "--json"]).await);
        serde_json::from_str::<Value>(&shown).unwrap()["secrets"].as_array().unwrap().len()
    }

    /// What whoever reads the store now gets.
    async fn held(&self) -> ServiceCredential {
        let stored = open(&self.reference, &self.looks).unwrap().get().await.unwrap().unwrap();
        assert_eq!(ServiceCredential::read(&stored.value).is_ok(), self.form == "document");
        let url = format!("http://{}", self.address).parse().unwrap();
        ServiceCredential::read_at(&stored.value, Some(&url)).unwrap()
    }

    /// For the delivery and for the use of secrets; no hash covers when they were.
    async fn days_pass(&self, days: i64) {
        let us = days * 86_400_000_000;
        let sql = Sql::open(&self.home).await;
        sql.run(&format!("UPDATE delivery SET changed_at = changed_at - {us}")).await;
        sql.run(&format!("UPDATE client_secret SET used_at = used_at - {us}")).await;
    }

    /// A first delivery is cut off at the first step, and new secrets at each of the others; `true`: what was written
    /// then is read by nobody yet. What was delivered.
    async fn goes_on(&mut self, first: &'static str, others: [(&'static str, bool); 2]) -> Canaries {
        let name = self.home.name;
        let to = ["--deliver-to", self.place, "--deliver-as", self.form];
        self.dies_at(first, &[&["client", "add-service", "pipeline"][..], &to].concat()).await;
        self.serve();
        let id = self.pending().await;
        let written = self.held().await;
        stdout(&self.command(&["client", "deliver", &id]).await);
        let mut old = self.held().await;
        let mut delivered = Canaries::default();
        delivered.add("what was delivered first", secret_of(&written));
        assert_eq!(secret_of(&old), secret_of(&written), "{name}: nothing is made anew");
        assert_eq!(self.version().await, 1, "{name}");
        assert!(self.is_well().await && is_let_in(&old).await, "{name}");
        assert_eq!(self.live_secrets(&id).await, 1, "{name}");

        for (step, anew) in others {
            let before = self.version().await;
            self.dies_at(step, &["client", "deliver", &id]).await;
            self.serve();
            assert_eq!(self.pending().await, id);
            let given = self.held().await;
            assert_eq!(secret_of(&given) == secret_of(&old), anew, "{name}, {step}");
            assert!(is_let_in(&given).await && is_let_in(&old).await, "{name}, {step}");
            delivered.add("what was written before the kill", secret_of(&given));
            if anew {
                // Somebody may be at it still.
                let refused = self.command(&["client", "deliver", &id]).await;
                let told = stderr(&refused);
                assert!(
                    exit_code(&refused) == 75 && told.contains("try again in 120 s"),
                    "{name}, {step}: {told}"
                );
            }
            // However long it is pending, and however often the broker looks what it can retire.
            self.days_pass(2).await;
            self.serve();
            assert_eq!(self.pending().await, id);
            assert!(is_let_in(&old).await, "{name}, {step}: it is what jobs have");

            stdout(&self.command(&["client", "deliver", &id]).await);
            let fresh = self.held().await;
            assert_eq!(self.version().await, before + if anew { 2 } else { 1 }, "{name}, {step}");
            assert_ne!(secret_of(&fresh), secret_of(&old));
            assert!(self.is_well().await && is_let_in(&fresh).await, "{name}, {step}");
            assert!(is_let_in(&old).await, "{name}, {step}: until nobody uses it");
            assert_eq!(self.live_secrets(&id).await, 2, "{name}, {step}: what nobody read is gone");

            self.days_pass(2).await;
            self.serve();
            // It looks as soon as it has started.
            let begun = Instant::now();
            while self.live_secrets(&id).await != 1 {
                assert!(begun.elapsed() < Duration::from_secs(20), "{name}, {step}: never retired");
            }
            assert!(!is_let_in(&old).await && is_let_in(&fresh).await, "{name}, {step}");
            assert!(self.is_well().await, "{name}, {step}");
            delivered.add("what was delivered after it", secret_of(&fresh));
            old = fresh;
        }
        delivered
    }

    /// None of these secrets is in a log or in the database, nor that by which the broker speaks to the store.
    async fn kept_none(mut self, mut secrets: Canaries) {
        let own = |name: &str| ["AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET", "BAO_TOKEN"].contains(&name);
        let (_, own) = self.variables.iter().find(|(name, _)| own(name)).unwrap();
        secrets.add("the broker's own secret", own);
        self.log.push_str(&block_in_place(|| self.serving.take().unwrap().kill()));
        assert!(self.log.contains("/admin/v1/clients"), "it says much: {} bytes", self.log.len());
        let database = everything_in(&self.home).await;
        assert!(database.contains(&self.reference.to_string()), "{}: it is read", self.home.name);
        secrets.absent_from("the log", &self.log);
        secrets.absent_from("the database", &database);
        self.gate.close().await;
    }
}

async fn is_let_in(held: &ServiceCredential) -> bool {
    let asked = http().post(held.token_endpoint.clone());
    let asked = asked.basic_auth(&held.client_id, Some(secret_of(held)));
    asked.form(&[("grant_type", "client_credentials")]).send().await.unwrap().status() == 200
}

/// A document on each database, and a pair on one.
async fn homes() -> Vec<(Home, &'static str)> {
    let mut homes: Vec<_> = Home::each().await.into_iter().map(|home| (home, "document")).collect();
    homes.push((Home::sqlite(), "pair"));
    homes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_openbao_survives_that_the_broker_is_killed() {
    let Some(bao) = Bao::start() else { return };
    for (home, form) in homes().await {
        let gate = Gate::before(&bao.url);
        // Each has a mount of its own.
        let mount = format!("{}-{form}", home.name);
        let (place, reference) =
            (format!("vault:{mount}/"), format!("vault:{mount}/prod/pipeline#credential"));
        let engine = serde_json::json!({"type": "kv-v2"});
        bao.call(reqwest::Method::POST, &format!("sys/mounts/{mount}"), &engine).await;
        let url = gate.url.clone();
        let as_whom = [("BAO_ADDR", url.as_str()), ("BAO_TOKEN", Bao::ROOT)];
        let looks = [("BAO_ADDR", bao.url.as_str()), ("BAO_TOKEN", Bao::ROOT)];
        let mut office = Office::open(home, gate, &as_whom, &looks, [&place, &reference]).delivering(form);
        let secrets = office.goes_on("POST ", [("POST ", false), ("?version=", false)]).await;
        office.kept_none(secrets).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_aws_survives_that_the_broker_is_killed() {
    let Some(moto) = Moto::start() else { return };
    for ((home, form), region) in homes().await.into_iter().zip(["eu-west-1", "eu-west-2", "eu-west-3"]) {
        let gate = Gate::before(&moto.url);
        let url = gate.url.clone();
        let [_, (_, id), (_, secret)] = moto.may();
        let as_whom = keys(&url, id, secret);
        let (place, reference) = (format!("aws-sm:{region}/"), format!("aws-sm:{region}/prod/pipeline"));
        let mut office =
            Office::open(home, gate, &as_whom, &moto.may(), [&place, &reference]).delivering(form);
        let steps = [("PutSecretValue", true), ("UpdateSecretVersionStage", false)];
        let secrets = office.goes_on("CreateSecret", steps).await;
        office.kept_none(secrets).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_azure_survives_that_the_broker_is_killed() {
    for (home, form) in homes().await {
        let Some(azure) = Azure::start() else { return };
        let gate = Gate::before(&azure.plain);
        let url = gate.url.clone();
        let (as_whom, looks) = (application(&url, Azure::SECRET), application(&azure.plain, Azure::SECRET));
        let place = ["azure-kv:corp-vault/", "azure-kv:corp-vault/prod-pipeline"];
        let mut office = Office::open(home, gate, &as_whom, &looks, place).delivering(form);
        let steps = [("PUT ", false), ("/prod-pipeline/ not /versions?", false)];
        let mut secrets = office.goes_on("PUT ", steps).await;
        let seen = azure.set("deny", "none").await;
        let tokens = seen["tokens"].as_array().unwrap();
        assert!(!tokens.is_empty(), "the broker had at least one");
        for token in tokens {
            secrets.add("an access token for Azure", token.as_str().unwrap());
        }
        office.kept_none(secrets).await;
    }
}
