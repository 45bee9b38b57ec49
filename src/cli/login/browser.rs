//! How does a person sign a machine in whose browser they sit at? By a redirect to a port of loopback (RFC 8252 §7.3).
//!
//! The port is open until the answer to this very request has come. Others who come by (a browser that opens
//! connections ahead, a page that guesses) are answered 400 and change nothing.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jeton_client::{Login, LoginClient, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::super::Error;
use super::super::remote::failing;
use super::say;
use crate::model::entropy::{SystemEntropy, token};

/// As long as a device waits.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a connection may take to say what it wants.
const REQUEST: Duration = Duration::from_secs(10);
/// What the browser shows; nothing else is fetched for it.
const PAGE: &str = include_str!("browser.html");
/// How many connections are read at once.
const CONNECTIONS: usize = 32;

pub(super) async fn sign_in(client: &LoginClient, scope: Option<&str>) -> Result<Login, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let host = listener.local_addr()?.to_string();
    let redirect_uri = format!("http://{host}/");
    let (state, verifier) = (token::<32>(&SystemEntropy), token::<32>(&SystemEntropy));
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    let verifier = Secret::new(verifier);
    let address = client.authorization_url(&redirect_uri, &state, &challenge, scope);
    let address = address.map_err(failing("cannot sign in"))?;
    say(&format!("Open {address}"))?;
    open(address.as_str());
    let answer = tokio::time::timeout(PATIENCE, answer(&listener, &host, client, &state)).await;
    let code = answer.map_err(|_| Error::NoAnswer("nobody came back in ten minutes".to_owned()))??;
    client.redeem(&code, &verifier, &redirect_uri).await.map_err(failing("cannot sign in"))
}

/// Opens a browser where there is one; who sits elsewhere has the address.
fn open(address: &str) {
    for program in ["xdg-open", "open"] {
        let mut command = Command::new(program);
        command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if command.spawn().is_ok() {
            return;
        }
    }
}

async fn answer(
    listener: &TcpListener,
    host: &str,
    client: &LoginClient,
    state: &str,
) -> Result<Secret, Error> {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            came = listener.accept(), if open.len() < CONNECTIONS => {
                let (stream, host) = (came?.0, host.to_owned());
                open.spawn(async move { tokio::time::timeout(REQUEST, request(stream, &host)).await });
            }
            Some(read) = open.join_next(), if !open.is_empty() => {
                let Ok(Ok(Some((stream, query)))) = read else { continue };
                match client.code(&query, state) {
                    None => reply(stream, "400 Bad Request", "This is not the answer that is waited for.").await,
                    Some(Ok(code)) => {
                        reply(stream, "200 OK", "You are signed in. You can close this page.").await;
                        return Ok(code);
                    }
                    Some(Err(error)) => {
                        reply(stream, "200 OK", "You are not signed in. You can close this page.").await;
                        return Err(failing("cannot sign in")(error));
                    }
                }
            }
        }
    }
}

/// The query of `GET /?...`; another request is answered at once.
async fn request(mut stream: TcpStream, host: &str) -> Option<(TcpStream, String)> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() > 16 * 1024 || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let query = head.split("\r\n").next()?.strip_prefix("GET /?").and_then(|line| line.split_once(' '));
    // A name that was made to lead here is another site's.
    let mut hosts = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let to_us = hosts.any(|(name, value)| name.eq_ignore_ascii_case("host") && value.trim() == host);
    match query.filter(|_| to_us) {
        Some((query, _)) => Some((stream, query.to_owned())),
        None => {
            reply(stream, "404 Not Found", "Nothing is here.").await;
            None
        }
    }
}

async fn reply(mut stream: TcpStream, status: &str, sentence: &str) {
    let body = PAGE.replace("SENTENCE", sentence);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n\
         Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\r\n",
        body.len()
    );
    // A browser that has gone away knows no more and needs no more.
    stream.write_all(format!("{head}{body}").as_bytes()).await.ok();
    stream.shutdown().await.ok();
}
