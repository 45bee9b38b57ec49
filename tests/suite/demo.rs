//! What does a stranger see who runs `jeton demo`?

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::app::Home;
use crate::support::jar::Jar;
use crate::support::program::{exit_code, jeton, stderr};

fn demo(home: &Home) -> Command {
    let mut command = jeton(home);
    // What is left over would be found.
    command.arg("demo").env("TMPDIR", home.path());
    command
}

#[test]
fn the_demonstration_ends_well_and_tells_every_step() {
    let home = Home::sqlite();
    let began = Instant::now();
    let output = demo(&home).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!((exit_code(&output), stderr(&output).as_str()), (0, ""), "{text}");
    for line in [
        "   > POST http://127.0.0.1:",
        "/acme/sandbox/signup",
        "/authorize\n",
        "   < 401  error: \"invalid_token\"\n",
        "   ok 50 answers of 200, all with the same token\n",
        "refresh token 1: presented once  refresh token 2: not presented yet\n",
        "   < 409\n        code: \"reauthorization_required\"  action: \"reauthorize\"  reason: \"revoked\"\n",
        "/acme/sandbox/signup\"\n",
        "generation: 3  ",
        "\nEverything was stopped, and what was stored is removed.\n",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    assert!(!text.contains('\x1b'), "colour is for terminals");
    let is_token = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let words = text.split(|c| !is_token(c));
    assert_eq!(words.filter(|word| word.len() > 40).collect::<Vec<_>>(), [""; 0], "a secret in full");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left");
    assert!(began.elapsed().as_secs() < 60, "it took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_browser_it_stays_until_it_is_interrupted() {
    let home = Home::sqlite();
    let mut child = demo(&home).arg("--browser").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut told = |word: &str| {
        let line = lines.by_ref().find(|line| line.trim_start().starts_with(word));
        let line = line.unwrap_or_else(|| panic!("it never said {word}"));
        line.trim_start().strip_prefix(word).unwrap().trim().to_owned()
    };
    let (page, email, password) = (told("Open "), told("E-mail "), told("Password "));
    told("No browser could be opened from here.");

    let broker = page.strip_suffix("/acme/connect").unwrap();
    let mut ada = Jar::new();
    assert_eq!(password, crate::support::house::PASSWORD);
    ada.sign_in(broker, &email).await;
    assert!(ada.get(&page).await.body.contains("Not connected"));
    let authorize = ada.start(&format!("{broker}/acme/sandbox/signup")).await;
    let back = ada.decide(&authorize, "bob", "approve").await;
    assert_eq!(ada.get(back.as_str()).await.to().path(), "/acme/connect");
    told("5. The account is connected, and the job gets its token");
    told("access_token:");

    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left");
}
