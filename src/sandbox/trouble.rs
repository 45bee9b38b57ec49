//! What does trouble look like on the wire? Resets, halves, floods and bombs as actix responses.
//!
//! A reset is a response whose body fails before its first byte: actix then drops the connection with the head
//! still in its buffer, so that the client sees a connection closed without an answer (hyper: `IncompleteMessage`).
//! A truncation is a body that promises more than it sends, fails after a pause in which the first part is
//! flushed, and so ends short of its `Content-Length`.

use std::{io, time::Duration};

use actix_web::{
    HttpResponse,
    body::SizedStream,
    http::{StatusCode, header},
    web::Bytes,
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;

use super::faults::Trouble;

const MIB: usize = 1024 * 1024;
/// Length of a chunk of the flood.
const CHUNK: usize = 64 * 1024;
/// Matches in the bomb: each unpacks to 258 bytes.
const MATCHES: usize = 260_112;
/// CRC-32 of the `1 + 258 * MATCHES` zero bytes the bomb unpacks to.
const BOMB_CRC: u32 = 0xb74b_9eb2;

/// The response in place of a proper one.
pub(super) fn respond(trouble: &Trouble, issuer: &str) -> HttpResponse {
    match trouble {
        Trouble::Reset => reset(),
        Trouble::RateLimited { retry_after_s } => HttpResponse::TooManyRequests()
            .insert_header((header::RETRY_AFTER, retry_after_s.to_string()))
            .json(json!({"error": "rate_limited", "error_description": "too many token requests"})),
        Trouble::Status(status) => HttpResponse::build(code(*status))
            .content_type("text/plain; charset=utf-8")
            .body("something went wrong on our side\n"),
        Trouble::Error { status, code: error } => HttpResponse::build(code(*status))
            .json(json!({"error": error, "error_description": "a fault of the sandbox says so"})),
        Trouble::Html => HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .body("<!doctype html><title>Maintenance</title><p>Back in a minute."),
        Trouble::Truncated => truncated(),
        Trouble::BrokenJson => HttpResponse::Ok()
            .content_type("application/json")
            .body(r#"{"access_token":"cut-in-the-middle","token_type":"Bea"#),
        Trouble::Huge => huge(),
        Trouble::GzipBomb => HttpResponse::Ok()
            .content_type("application/json")
            .insert_header((header::CONTENT_ENCODING, "gzip"))
            .body(gzip_bomb()),
        Trouble::Redirect => HttpResponse::TemporaryRedirect()
            .insert_header((header::LOCATION, format!("{issuer}/redirected")))
            .finish(),
    }
}

/// A good answer whose body trickles over `total`.
pub(super) fn trickle(
    mut response: actix_web::HttpResponseBuilder,
    body: Bytes,
    total: Duration,
) -> HttpResponse {
    const PARTS: u32 = 10;
    let length = body.len();
    let step = length.div_ceil(10).max(1);
    let parts: Vec<Bytes> =
        (0..length).step_by(step).map(|at| body.slice(at..(at + step).min(length))).collect();
    let slow = stream::iter(parts).then(move |part| async move {
        tokio::time::sleep(total / PARTS).await;
        Ok::<_, io::Error>(part)
    });
    response.body(SizedStream::new(widen(length), Box::pin(slow)))
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn reset() -> HttpResponse {
    HttpResponse::Ok().streaming(stream::once(async { Err::<Bytes, _>(broken()) }).boxed_local())
}

fn truncated() -> HttpResponse {
    let first = Bytes::from_static(br#"{"access_token":"cut-in-the-"#);
    let promised = widen(first.len() * 4);
    let end = stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err::<Bytes, _>(broken())
    });
    let body = stream::iter([Ok(first)]).chain(end).boxed_local();
    HttpResponse::Ok().content_type("application/json").body(SizedStream::new(promised, body))
}

fn huge() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").streaming(flood())
}

fn flood() -> impl Stream<Item = Result<Bytes, io::Error>> {
    let filler = Bytes::from(vec![b'a'; CHUNK]);
    let head = Bytes::from_static(br#"{"access_token":""#);
    let tail = Bytes::from_static(br#"","token_type":"Bearer"}"#);
    let middle = stream::iter((0..64 * MIB / CHUNK).map(move |_| Ok(filler.clone())));
    stream::iter([Ok(head)]).chain(middle).chain(stream::iter([Ok(tail)]))
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the sandbox breaks this connection on purpose")
}

fn widen(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// 64 MiB of zero bytes as one gzip member: a literal, then the longest match (258 bytes, distance 1) again and
/// again, in fixed Huffman codes (RFC 1951 §3.2.6).
fn gzip_bomb() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.push(0b1, 1); // last block
    bits.push(0b01, 2); // fixed codes
    bits.push_code(0b0011_0000, 8); // the literal 0
    for _ in 0..MATCHES {
        bits.push_code(0b1100_0101, 8); // length 258
        bits.push_code(0, 5); // distance 1
    }
    bits.push_code(0, 7); // end of block
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    member.extend(bits.finish());
    member.extend(BOMB_CRC.to_le_bytes());
    let length = u32::try_from(1 + 258 * MATCHES).unwrap_or(u32::MAX);
    member.extend(length.to_le_bytes());
    member
}

/// Bits packed from the lowest of each byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    current: u8,
    filled: u32,
}

impl Bits {
    fn push(&mut self, value: u8, count: u32) {
        for bit in 0..count {
            self.current |= ((value >> bit) & 1) << self.filled;
            self.filled += 1;
            if self.filled == 8 {
                self.bytes.push(std::mem::take(&mut self.current));
                self.filled = 0;
            }
        }
    }

    /// Huffman codes go in from their highest bit.
    fn push_code(&mut self, code: u8, count: u32) {
        for bit in (0..count).rev() {
            self.push((code >> bit) & 1, 1);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.bytes.push(self.current);
        }
        self.bytes
    }
}
