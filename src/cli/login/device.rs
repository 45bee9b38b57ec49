//! How does a person sign a terminal in that has no browser? By a code that is typed into one somewhere else.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use jeton_client::{Device, Login, LoginClient};

use super::super::Error;
use super::super::remote::failing;
use super::say;

pub(super) async fn sign_in(client: &LoginClient, scope: Option<&str>) -> Result<Login, Error> {
    let device = client.begin(scope).await.map_err(failing("cannot sign in"))?;
    say(&format!("Open {} in any browser and type the code {}", device.verification_uri, device.user_code))?;
    if let Some(address) = &device.verification_uri_complete {
        say(&format!("(or open {address} and compare the code)"))?;
    }
    let asked = client.wait(&device);
    tokio::pin!(asked);
    let login = if io::stderr().is_terminal() {
        loop {
            show(&device)?;
            tokio::select! {
                login = &mut asked => break login,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    } else {
        say("waiting")?;
        asked.await
    };
    if io::stderr().is_terminal() {
        write!(io::stderr(), "\r\x1b[K")?;
    }
    login.map_err(failing("cannot sign in"))
}

/// One line that is written over every second.
fn show(device: &Device) -> io::Result<()> {
    let left = device.until.saturating_duration_since(Instant::now()).as_secs();
    let mut terminal = io::stderr();
    write!(terminal, "\rwaiting, {}:{:02} left \x1b[K", left / 60, left % 60)?;
    terminal.flush()
}
