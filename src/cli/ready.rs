//! `jeton ready`: asks the broker of this machine whether it can work, for images without a shell.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::Error;
use super::server_args::{ServerArgs, listen_flag};

/// Each of connecting, asking and reading; a broker whose database is away takes some seconds to say so.
const PATIENCE: Duration = Duration::from_secs(8);
/// More than the answer ever has.
const MOST_BYTES: u64 = 64 * 1024;

/// Ask the broker that listens here whether it can work: exit code 0, else 75 and why
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Where it listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

pub(super) fn run(args: Args) -> Result<(), Error> {
    let address = reachable(args.server.load(listen_flag(&args.listen))?.listen);
    let answer = ask(address).map_err(|source| Error::NotAsked { address, source: said(source) })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => {
            for warning in warnings(body) {
                writeln!(io::stderr(), "jeton: warning: {warning}")?;
            }
            Ok(writeln!(io::stderr(), "jeton: ready")?)
        }
        _ => Err(Error::NotReady(why(body))),
    }
}

/// Who listens on every address is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Nothing secret goes out, and whoever holds the port may answer: no more than HTTP/1.0 is needed.
fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A socket's timeout reads as "Resource temporarily unavailable".
fn said(source: io::Error) -> io::Error {
    match source.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, format!("it kept silent for {} s", PATIENCE.as_secs()))
        }
        _ => source,
    }
}

fn warnings(body: &str) -> Vec<String> {
    let told = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
    told.get("warnings").and_then(|list| serde_json::from_value(list.clone()).ok()).unwrap_or_default()
}

fn why(body: &str) -> String {
    let problem = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
    let told = problem.get("detail").and_then(|detail| detail.as_str());
    told.unwrap_or("it does not say why").to_owned()
}
