//! HTTP/1.1 requests, read whole.

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
    /// As it is sent: still in chunks, if it came in chunks.
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Reads the next request; none when the client is done.
    pub(super) fn read(client: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                break end + 4;
            }
            if bytes.len() > MAX_HEAD_BYTES || !read_more(client, &mut bytes)? {
                return Ok(None);
            }
        };
        let rest = bytes.split_off(end);
        let head = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines = head.split("\r\n");
        let mut start = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (start.next().unwrap_or_default(), start.next().unwrap_or_default());
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        let mut request = Self { method: method.to_owned(), target: target.to_owned(), headers, body: rest };
        if request.header("expect").is_some() {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        while !request.is_whole() {
            if !read_more(client, &mut request.body)? {
                return Ok(None);
            }
        }
        Ok(Some(request))
    }

    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn is_whole(&self) -> bool {
        if self.header("transfer-encoding").is_some() {
            // Trailers may follow the last chunk, which is empty.
            return self.body.ends_with(b"\r\n\r\n")
                && (self.body.starts_with(b"0\r\n") || find(&self.body, b"\r\n0\r\n").is_some());
        }
        let length = self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        self.body.len() >= length
    }

    /// The head, asking for the connection to be closed after the answer.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            if !matches!(name.as_str(), "connection" | "expect") {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str("connection: close\r\n\r\n");
        head.into_bytes()
    }
}

/// A refusal, in the form of the service that the request is for: JSON services name an operation in a header.
pub(super) fn refusal(request: &Request, status: u16, code: &str) -> String {
    let (kind, body) = if request.header("x-amz-target").is_some() {
        ("application/x-amz-json-1.0", format!("{{\"__type\":\"{code}\",\"message\":\"a fault of the test\"}}"))
    } else {
        let body = format!("<Error><Code>{code}</Code><Message>a fault of the test</Message></Error>");
        ("application/xml", body)
    };
    let body = if request.method == "HEAD" { String::new() } else { body };
    format!(
        "HTTP/1.1 {status} Fault\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nx-amzn-requestid: fault\r\n\r\n{body}",
        body.len()
    )
}

fn read_more(client: &mut TcpStream, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 16 << 10];
    let count = client.read(&mut buffer)?;
    into.extend_from_slice(&buffer[..count]);
    Ok(count > 0)
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}
