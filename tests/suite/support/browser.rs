//! A headless Chromium with an empty profile, driven over WebDriver and ended when the test ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

use super::peer::{is_here, skipped};

/// What is wrong with the page as it is shown now: a list of sentences.
const FAULTS: &str = include_str!("browser/faults.js");
/// How long a page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const SHIFT: &str = "\u{e008}";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// What a person has in front of them.
pub(crate) struct Browser {
    pub(crate) client: Client,
    session: String,
    port: u16,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None`, with the reason printed, where there is no Chromium or no driver for it.
    pub(crate) async fn start() -> Option<Self> {
        for program in ["chromium", "chromedriver"] {
            if !is_here(program) {
                return skipped(&format!("tests in a browser: no {program} here"));
            }
        }
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver says its port");
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities(profile.path()))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        Some(Self { client, session, port, driver, _profile: profile })
    }

    /// A command of the DevTools protocol.
    pub(crate) async fn devtools(&self, cmd: &'static str, params: Value) -> Value {
        self.client.issue_cmd(DevTools { cmd, params }).await.unwrap()
    }

    /// How wide the screen is, and whether the person likes it dark.
    pub(crate) async fn screen(&self, width: u32, dark: bool) {
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// What is wrong with the page as it stands, in sentences: 360 and 1280 pixels wide, light and dark. Pictures of it are
    /// left in the build's directory for tests (`target/tmp/pages`).
    pub(crate) async fn look(&self, name: &str) -> Vec<String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
        std::fs::create_dir_all(&folder).unwrap();
        let mut faults = Vec::new();
        for (width, dark) in [(360, false), (360, true), (1280, false), (1280, true)] {
            self.screen(width, dark).await;
            let tone = if dark { "dark" } else { "light" };
            let found = self.client.execute(FAULTS, vec![]).await.unwrap();
            let found = found.as_array().unwrap().iter();
            faults.extend(found.map(|one| format!("{name}, {width} px, {tone}: {}", one.as_str().unwrap())));
            std::fs::write(folder.join(format!("{name}-{width}-{tone}.png")), self.picture().await).unwrap();
        }
        faults
    }

    /// A PNG of the whole page; of a very long one as much as the browser can draw.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let size =
            self.eval("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]").await;
        let (width, height) = (size[0].as_u64().unwrap(), size[1].as_u64().unwrap().min(30_000));
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let params = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let taken = self.devtools("Page.captureScreenshot", params).await;
        STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()
    }

    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// The one element, as soon as it is there.
    pub(crate) async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("{css}: {error}\n{}", self.text().await),
        }
    }

    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Presses a key on whatever has the focus.
    pub(crate) async fn tab(&self) {
        self.client.active_element().await.unwrap().send_keys(TAB).await.unwrap();
    }

    pub(crate) async fn tab_back(&self) {
        self.client.active_element().await.unwrap().send_keys(&format!("{SHIFT}{TAB}{SHIFT}")).await.unwrap();
    }

    pub(crate) async fn enter(&self) {
        self.client.active_element().await.unwrap().send_keys(ENTER).await.unwrap();
    }

    /// Types into whatever has the focus.
    pub(crate) async fn type_text(&self, text: &str) {
        self.client.active_element().await.unwrap().send_keys(text).await.unwrap();
    }

    /// Evaluates an expression in the page.
    pub(crate) async fn eval(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), vec![]).await.unwrap()
    }

    /// What the page says, and where it is.
    pub(crate) async fn text(&self) -> String {
        let url = self.client.current_url().await.map(String::from).unwrap_or_default();
        let body = self.client.find(Locator::Css("body")).await;
        let text = match body {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        format!("{url}\n{text}")
    }

    /// Waits until the address begins so.
    pub(crate) async fn arrive(&self, prefix: &str) {
        let arrived = async || -> Result<bool, CmdError> {
            Ok(self.client.current_url().await?.as_str().starts_with(prefix))
        };
        let waited = tokio::time::timeout(PATIENCE, async {
            while !arrived().await.unwrap_or(false) {
                tokio::task::yield_now().await;
            }
        });
        if waited.await.is_err() {
            panic!("never arrived at {prefix}: {}", self.text().await);
        }
    }

    pub(crate) async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}

impl Drop for Browser {
    /// A failed test leaves no browser behind either: ending the session ends Chromium.
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok();
            let request = format!(
                "DELETE /session/{} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\r\n",
                self.session, self.port
            );
            stream.write_all(request.as_bytes()).ok();
            stream.read_to_string(&mut String::new()).ok();
        }
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}

fn capabilities(profile: &std::path::Path) -> serde_json::Map<String, Value> {
    let user_data_dir = format!("--user-data-dir={}", profile.display());
    // No name but this machine's resolves: what a page links to elsewhere is not fetched.
    let names = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost";
    let args = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        names,
        user_data_dir.as_str(),
    ];
    let capabilities = json!({"browserName": "chrome", "goog:chromeOptions": {"args": args}});
    capabilities.as_object().unwrap().clone()
}

#[derive(Debug)]
struct DevTools {
    cmd: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({"cmd": self.cmd, "params": self.params}).to_string()))
    }
}
