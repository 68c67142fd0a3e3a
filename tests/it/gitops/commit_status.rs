//! What a code host is told of commits, over real HTTP.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::mpsc;

use super::world::DEFINITION;
use super::world::World;
use crate::harness::Project;

const TOKEN: &str = "token-that-nobody-may-see";

/// A server that notes requests and answers each with a status.
fn server(status: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut text = String::new();
            let mut bytes = [0_u8; 4096];
            while !text.contains("\r\n\r\n") || !text.trim_end().ends_with('}') {
                match stream.read(&mut bytes) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => text.push_str(&String::from_utf8_lossy(&bytes[..read])),
                }
            }
            let body = "{\"message\": \"so it is\"}";
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

fn agent(world: &World, api: &str) -> Project {
    let _ = world.push("main").exits(0);
    Project::empty().env("GITHUB_TOKEN", TOKEN).env("GITHUB_API_URL", api)
}

fn once(world: &World, place: &Project) -> crate::harness::Outcome {
    let remote = world.path().display().to_string();
    let args = ["gitops", "agent", "--once", "--home", "home", "--remote", &remote, "--github-status", "me/churn"];
    place.liminal(&args)
}

#[test]
fn the_code_host_is_told_what_became_of_a_commit() {
    let world = World::new(DEFINITION);
    let (api, requests) = server("201 Created");
    let place = agent(&world, &api);
    let commit = world.clone.git(&["rev-parse", "HEAD"]);
    let _ = once(&world, &place).exits(0);
    let request = requests.try_recv().expect("a request");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with(&format!("POST /repos/me/churn/statuses/{commit} HTTP/1.1")), "{head}");
    let head = head.to_lowercase();
    for header in ["accept: application/vnd.github+json", "x-github-api-version: 2022-11-28", "user-agent: liminal/"] {
        assert!(head.contains(header), "{header}: {head}");
    }
    assert!(head.contains(&format!("authorization: bearer {TOKEN}")), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let expected = serde_json::json!({"state": "success", "description": "applied", "context": "liminal/staging"});
    assert_eq!(body, expected);

    let _ = once(&world, &place).exits(0);
    assert!(requests.try_recv().is_err(), "what is applied already is not told again");
    world.clone.edit("liminal.yml", "outputs: {text", "output: {text");
    world.clone.commit("Break the definition");
    let _ = world.push("main").exits(0);
    let _ = once(&world, &place).exits(1);
    assert!(requests.try_recv().expect("a request").contains("\"state\":\"failure\""));
}

#[test]
fn a_code_host_that_refuses_keeps_nothing_back_and_learns_no_more() {
    let world = World::new(DEFINITION);
    let (api, _requests) = server("403 Forbidden");
    let place = agent(&world, &api);
    let told = once(&world, &place).exits(0).says("answered 403: so it is").prints("Applied");
    assert!(!format!("{}{}", told.stdout, told.stderr).contains(TOKEN));
    let place = Project::empty().env("GITHUB_TOKEN", TOKEN).env("GITHUB_API_URL", "http://127.0.0.1:1");
    let _ = once(&world, &place).exits(0).says("can not be reached");
    let _ = once(&world, &Project::empty()).exits(4).says("GITHUB_TOKEN");
}
