//! Is docs/sandbox.md true? Its commands are run as they stand, and every fault of its table is one.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::support::app::Home;
use crate::support::jar::Jar;
use crate::support::program::{Serving, exit_code, jeton, stderr};

const GUIDE: &str = include_str!("../../docs/sandbox.md");

fn blocks(language: &str) -> Vec<&'static str> {
    let open = format!("```{language}\n");
    GUIDE.split(open.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The faults of the table's first column.
fn faults() -> Vec<&'static str> {
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `{")?.split(" | ").next());
    rows.flat_map(|cell| cell.split("`, `"))
        .map(|fault| fault.trim_start_matches('{').trim_end_matches('`'))
        .collect()
}

/// A machine on which the page is followed.
struct Reader {
    home: Home,
    provider: String,
    broker: String,
    environment: Vec<(String, String)>,
}

impl Reader {
    fn new() -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { home: Home::sqlite(), provider: free(), broker: free(), environment: Vec::new() }
    }

    /// A line as it stands; ours are the ports alone.
    fn command(&self, line: &str) -> Command {
        let (_, provider_port) = self.provider.rsplit_once(':').unwrap();
        let script = line
            .replace("localhost:8081", &format!("localhost:{provider_port}"))
            .replace("http://127.0.0.1:8080", &format!("http://{}", self.broker))
            .replace("jeton sandbox", &format!("exec jeton sandbox --listen {}", self.provider))
            .replace(" jeton serve", &format!(" exec jeton serve --listen {}", self.broker));
        let built = Path::new(env!("CARGO_BIN_EXE_jeton")).parent().unwrap();
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &script]).env_clear().current_dir(self.home.path());
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", built.display()));
        command.env("JETON_URL", format!("http://{}", self.broker)).envs(self.environment.clone());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs a block line by line; each ends as its comment says. What all of them printed.
    fn follow(&self, block: &str) -> String {
        let mut printed = String::new();
        for line in block.lines() {
            let (_, exit) = line.split_once("# exit ").unwrap_or((line, "0"));
            let output = self.run(line);
            assert_eq!(exit_code(&output).to_string(), exit, "{line}: {}", stderr(&output));
            printed.push_str(&String::from_utf8(output.stdout).unwrap());
        }
        printed
    }
}

/// `jeton sandbox`, ended when the test ends.
struct Provider(Child);

impl Provider {
    /// Starts it and waits until it says where it is.
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = lines.next().unwrap();
        assert!(said.starts_with("The sandbox provider is at http://localhost:"), "{said}");
        assert!(lines.any(|line| line.ends_with("Ctrl-C ends it.")));
        Self(child)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn after(text: &str, word: &str) -> String {
    let rest = text.split_once(word).unwrap_or_else(|| panic!("no {word} in {text}")).1;
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_for_connector_authors_can_be_followed_to_a_lost_answer() {
    let [start, serve, register, connected, limited, lost, end] = blocks("sh")[..] else {
        panic!("other blocks than were tested")
    };
    let mut reader = Reader::new();
    let provider = Provider::start(reader.command(start));
    let (init, serve) = serve.split_once('\n').unwrap();
    reader.follow(init);
    let first = std::fs::read_to_string(reader.home.path().join("first-credentials.txt")).unwrap();
    for name in ["JETON_CLIENT_ID", "JETON_CLIENT_SECRET"] {
        reader.environment.push((name.to_owned(), after(&first, &format!("{name}="))));
    }
    let serving = Serving::of(reader.command(serve));
    let (_, port) = reader.provider.rsplit_once(':').unwrap();
    let definition = blocks("toml")[0].replace("localhost:8081", &format!("localhost:{port}"));
    std::fs::write(reader.home.path().join("example.toml"), definition).unwrap();
    let invitation = after(&reader.follow(register), "\nurl ");

    let mut ada = Jar::new();
    ada.accept(&invitation, "Ada").await;
    let authorize = ada.start(&format!("{}/acme/example/signup", serving.url)).await;
    let back = ada.decide(&authorize, "alice", "approve").await;
    assert_eq!(ada.get(back.as_str()).await.to().path(), "/acme/connect");
    let handed: Value = serde_json::from_str(&reader.follow(connected)).unwrap();
    assert_eq!((&handed["app_id"], &handed["connector"]), (&"acme".into(), &"example".into()));

    reader.follow(limited);
    let told = reader.follow(lost);
    let ledger: Value = serde_json::from_str(
        told.split_once("{\"refresh_tokens\"")
            .map_or(told.as_str(), |(head, _)| told.get(head.len()..).unwrap()),
    )
    .unwrap();
    let presentations = ledger["refresh_tokens"].as_array().unwrap().iter();
    let presentations = presentations.flat_map(|token| token["presentations"].as_array().unwrap());
    let lost: Vec<_> = presentations.filter(|one| one["trouble"] == "reset").collect();
    assert_eq!(
        (lost.len(), &lost[0]["outcome"]),
        (1, &"rotated".into()),
        "sent once, and never again by itself"
    );
    assert!(reader.follow(end).contains("\"revoked\":1"));

    for fault in faults() {
        let body = format!(r#"{{"client_id":"sandbox-standard","faults":{{{fault}}}"#);
        let put = format!("curl -sf -X PUT http://localhost:8081/_sandbox/faults --json '{body}'");
        assert_eq!(exit_code(&reader.run(&put)), 0, "{fault}");
    }
    assert!(faults().len() > 30, "{:?}", faults());
    assert_eq!(serving.terminate().0, Some(0));
    drop(provider);
}

#[test]
fn what_the_sandbox_prints_names_its_clients_for_programs_too() {
    let home = Home::sqlite();
    let mut command = jeton(&home);
    command.args(["sandbox", "--listen", "127.0.0.1:0", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let stream = serde_json::Deserializer::from_reader(child.stdout.take().unwrap()).into_iter::<Value>();
    let said = stream.map(Result::unwrap).next().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said["url"].as_str().unwrap().starts_with("http://localhost:"));
    let clients = said["clients"].as_array().unwrap();
    let described = clients.iter().map(|client| client["client_id"].as_str().unwrap());
    let missing: Vec<_> = described.filter(|id| !GUIDE.contains(&format!("`{id}`"))).collect();
    assert_eq!(missing, [""; 0], "clients that the page does not know");
}
