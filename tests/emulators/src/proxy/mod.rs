//! A proxy in front of an emulator that makes happen what networks and busy services do.
//!
//! It speaks as much HTTP/1.1 as the SDKs need: each request is read whole, judged by the rules, and sent on over a
//! connection of its own. Threads, not tasks, so that it serves whatever runtime a test has, or a process of its own.

mod message;
mod rule;

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use self::message::Request;
pub use self::rule::Fault;
pub use self::rule::Rule;
use crate::emulator::Emulator;
use crate::emulator::variables;

/// A request that came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path with the query.
    pub target: String,
    /// The operation that JSON services name in a header, or nothing.
    pub operation: String,
    /// The size of the body, in bytes.
    pub body_bytes: usize,
    /// What happened to it, if not what should.
    pub fault: Option<Fault>,
}

/// A running proxy. It ends when this is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: u16,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    ended: AtomicBool,
}

impl FaultProxy {
    /// Starts one in front of an emulator. Without rules, all goes through.
    pub fn start(emulator: &Emulator) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port is found");
        let address = listener.local_addr().expect("the port is known");
        let shared = Arc::new(Shared {
            upstream: emulator.port(),
            rules: Mutex::default(),
            seen: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), serving) = (client, Arc::clone(&serving)) else { continue };
                // A connection that breaks is what this is for.
                std::thread::spawn(move || drop(serving.serve(client)));
            }
        });
        Self { address, shared }
    }

    /// Adds a rule. The first rule that fits a request, and has not been used up, applies.
    pub fn add(&self, rule: Rule) {
        lock(&self.shared.rules).push(rule);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        lock(&self.shared.rules).clear();
    }

    /// The requests that came by since the last time that this was asked.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.shared.seen))
    }

    /// Where clients reach it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables with which every SDK and the AWS CLI find it: see [`Emulator::env`].
    pub fn env(&self) -> Vec<(String, String)> {
        variables(self.address.port())
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        while let Some(request) = Request::read(&mut client)? {
            let fault = self.judge(&request);
            lock(&self.seen).push(Seen {
                method: request.method.clone(),
                target: request.target.clone(),
                operation: request.header("x-amz-target").unwrap_or_default().to_owned(),
                body_bytes: request.body.len(),
                fault,
            });
            match fault {
                None => self.answer(&mut client, &request, usize::MAX)?,
                Some(Fault::Slow(pause)) => {
                    std::thread::sleep(pause);
                    self.answer(&mut client, &request, usize::MAX)?;
                }
                Some(Fault::Reset) => return client.shutdown(Shutdown::Both),
                Some(Fault::LoseResponse) => {
                    self.forward(&request)?;
                    return client.shutdown(Shutdown::Both);
                }
                Some(Fault::CutResponse(bytes)) => {
                    self.answer(&mut client, &request, bytes)?;
                    return client.shutdown(Shutdown::Both);
                }
                Some(Fault::Answer { status, code }) => {
                    client.write_all(message::refusal(&request, status, code).as_bytes())?;
                }
            }
            // The emulator was told to close, and its answer says so.
            if fault.is_none_or(|fault| matches!(fault, Fault::Slow(_))) {
                return client.shutdown(Shutdown::Both);
            }
        }
        Ok(())
    }

    fn judge(&self, request: &Request) -> Option<Fault> {
        lock(&self.rules).iter_mut().find_map(|rule| rule.apply(request))
    }

    /// Sends a request on and its answer back as it comes, up to so many bytes.
    fn answer(&self, client: &mut TcpStream, request: &Request, limit: usize) -> io::Result<()> {
        let mut upstream = self.send(request)?;
        let mut left = limit;
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let count = upstream.read(&mut buffer)?.min(left);
            if count == 0 {
                break;
            }
            client.write_all(&buffer[..count])?;
            left -= count;
        }
        client.flush()
    }

    /// Sends a request on and waits until it is carried out.
    fn forward(&self, request: &Request) -> io::Result<()> {
        let mut answer = Vec::new();
        self.send(request)?.read_to_end(&mut answer).map(drop)
    }

    fn send(&self, request: &Request) -> io::Result<TcpStream> {
        let mut upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream))?;
        upstream.set_nodelay(true)?;
        upstream.write_all(&request.head())?;
        upstream.write_all(&request.body)?;
        Ok(upstream)
    }
}

/// What is guarded here is whole whenever a thread panics.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
