//! A small HTTP/1.1 server for one request a connection: what an agent tells of itself, and what a webhook is told.
//!
//! Sizes and times are bounded before anything is done with a request: the head, then the announced length of the body,
//! which is checked before a byte of it is read.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// The longest head of a request, in bytes, and the most header lines: what common servers take.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// How long a client may take for its request, and for taking the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections are served at once; further ones wait. With the largest bodies of a webhook these are 400 MiB.
const CONNECTIONS: usize = 16;

/// How much of a body that is not wanted is read and thrown away, so that the client sees the answer and no reset.
const MAX_DRAINED_BYTES: u64 = 32 << 20;

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    /// Its method.
    pub(crate) method: String,
    /// Its path, without a query.
    pub(crate) path: String,
    headers: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Its status.
    pub(crate) status: u16,
    /// What the body is.
    pub(crate) content_type: &'static str,
    /// Its body.
    pub(crate) body: String,
}

/// Answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// The largest body that a request may have, in bytes.
    fn body_limit(&self) -> usize;

    /// Answers a request.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;
}

impl Request {
    /// A header; none when there is none, or more than one, since nobody can tell which is meant.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_slice())
    }
}

impl Response {
    /// An answer in plain text.
    pub(crate) fn text(status: u16, text: impl Into<String>) -> Self {
        let mut body = text.into();
        body.push('\n');
        Self { status, content_type: "text/plain; charset=utf-8", body }
    }
}

/// Serves connections until the listener fails, which it does only when the process is out of resources.
pub(crate) async fn serve<H: Handler>(listener: TcpListener, handler: Arc<H>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, as a rule: others are about to be given back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let handler = Arc::clone(&handler);
        tokio::spawn(async move {
            converse(stream, &*handler).await;
            drop(slot);
        });
    }
}

/// One request and its answer. A client that goes away or is too slow is no error of ours.
async fn converse<H: Handler>(mut stream: TcpStream, handler: &H) {
    let response = match tokio::time::timeout(PATIENCE, receive(&mut stream, handler.body_limit())).await {
        Ok(Ok(Some(request))) => handler.answer(request).await,
        Ok(Ok(None)) => return,
        Ok(Err(refusal)) => refusal,
        Err(_) => Response::text(408, "the request took too long"),
    };
    let refused = response.status == 413;
    let _ = tokio::time::timeout(PATIENCE, async {
        send(&mut stream, &response).await?;
        stream.shutdown().await?;
        if refused {
            let mut rest = (&mut stream).take(MAX_DRAINED_BYTES);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
        }
        Ok::<(), std::io::Error>(())
    })
    .await;
}

/// Reads a request; none when the client went away.
async fn receive(stream: &mut TcpStream, limit: usize) -> Result<Option<Request>, Response> {
    let mut bytes = Vec::with_capacity(2048);
    loop {
        if let Some((mut request, head, length, waits)) = parse(&bytes, limit)? {
            if waits && stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
                return Ok(None);
            }
            let mut body = bytes.split_off(head);
            body.truncate(length);
            let missing = u64::try_from(length - body.len()).unwrap_or(u64::MAX);
            match stream.take(missing).read_to_end(&mut body).await {
                Ok(_) if body.len() == length => {}
                Ok(_) | Err(_) => return Ok(None),
            }
            request.body = body;
            return Ok(Some(request));
        }
        if bytes.len() > MAX_HEAD_BYTES {
            return Err(Response::text(431, "the head of the request is too long"));
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// Parses the head of a request, once all of it is there: gives it, its length, the length of the body, and whether the
/// client waits to be told to go on.
fn parse(bytes: &[u8], limit: usize) -> Result<Option<(Request, usize, usize, bool)>, Response> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Response::text(400, format!("this is no HTTP request: {error}"))),
    };
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else { return Ok(None) };
    let headers = parsed.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect();
    let path = target.split(['?', '#']).next().unwrap_or_default().to_owned();
    let request = Request { method: method.to_owned(), path, headers, body: Vec::new() };
    let has = |name: &str| request.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if has("transfer-encoding") {
        return Err(Response::text(411, "say how long the body is, by Content-Length"));
    }
    let length = match request.header("content-length").map(std::str::from_utf8) {
        Some(Ok(text)) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().unwrap_or(usize::MAX)
        }
        None if !has("content-length") => 0,
        Some(_) | None => return Err(Response::text(400, "the Content-Length makes no sense")),
    };
    if length > limit {
        return Err(Response::text(413, format!("the body has more than {limit} bytes")));
    }
    let waits = request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
    Ok(Some((request, head, length, waits)))
}

async fn send(stream: &mut TcpStream, response: &Response) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        response.status,
        reason(response.status),
        response.content_type,
        response.body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(response.body.as_bytes()).await
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<(Request, usize, usize, bool)>, Response> {
        parse(text.as_bytes(), 100)
    }

    #[test]
    fn a_head_is_read_once_all_of_it_is_there() {
        assert!(matches!(head("GET /metrics HTTP/1.1\r\nHost: x\r\n"), Ok(None)));
        let text = "POST /hook?x=1 HTTP/1.1\r\ncontent-length: 7\r\nExpect: 100-continue\r\n\r\n";
        let (request, length, body, waits) = head(text).expect("fine").expect("whole");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook"));
        assert_eq!((length, body, waits), (text.len(), 7, true));
    }

    #[test]
    fn lengths_are_checked_before_a_byte_of_the_body_is_read() {
        let status = |text: &str| head(text).expect_err("refused").status;
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n"), 413);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n"), 413);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
        assert_eq!(status("nonsense\r\n\r\n"), 400);
    }
}
