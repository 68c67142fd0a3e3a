//! A service that gives prepared answers, for what no emulator says.

use std::sync::Arc;
use std::sync::Mutex;

use liminal_functions::aws::clients::AccessKeys;
use liminal_functions::aws::clients::Clients;
use liminal_functions::aws::clients::Connection;
use serde_json::Value;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// Gives the answers one after the other, the last one again and again, and keeps what it was asked.
pub struct Answers {
    endpoint: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Answers {
    pub async fn of(answers: &'static [(u16, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream, answers, Arc::clone(&kept)));
            }
        });
        Self { endpoint, asked }
    }

    pub async fn clients(&self) -> Clients {
        let keys = AccessKeys { id: "test".to_owned(), secret: "test".to_owned(), session: None };
        Clients::connect(Connection {
            region: Some("eu-central-1".to_owned()),
            endpoint: Some(self.endpoint.clone()),
            keys: Some(keys),
        })
        .await
    }

    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().expect("never poisoned").clone()
    }
}

async fn serve(stream: TcpStream, answers: &[(u16, &str)], asked: Arc<Mutex<Vec<Value>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a number");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.expect("a body");
        let (status, answer) = {
            let mut asked = asked.lock().expect("never poisoned");
            asked.push(serde_json::from_slice(&body).expect("JSON"));
            answers[(asked.len() - 1).min(answers.len() - 1)]
        };
        let head = format!(
            "HTTP/1.1 {status} Any\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes()).await.expect("written");
        stream.write_all(answer.as_bytes()).await.expect("written");
    }
}
