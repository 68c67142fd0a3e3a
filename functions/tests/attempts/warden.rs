//! What becomes of steps when `liminal` is killed.
//!
//! The two ignored tests are no tests: this test program starts itself as them, to have a process to kill.

use std::fs;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use liminal_functions::local::warden;

use crate::harness::Place;
use crate::harness::Step;
use crate::harness::appears;
use crate::harness::gone;
use crate::harness::is_alive;

/// A program that is this one, as one of the ignored tests.
fn program(folder: &Path, test: &str) -> PathBuf {
    let path = folder.join(test);
    let this = std::env::current_exe().expect("a program");
    let script = format!("#!/bin/sh\nexec {} --exact warden::{test} --ignored --nocapture -q\n", this.display());
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

#[tokio::test]
async fn killing_liminal_leaves_no_orphans() {
    let folder = tempfile::tempdir().expect("a folder");
    program(folder.path(), "as_the_warden");
    let mut liminal = Command::new(program(folder.path(), "as_liminal"));
    liminal.current_dir(folder.path()).stdout(Stdio::null()).process_group(0);
    let mut liminal = liminal.spawn().expect("a process");
    let step = appears(&folder.path().join("step")).await;
    assert!(is_alive(&step));
    liminal.kill().expect("killed");
    liminal.wait().expect("ended");
    gone(&step).await;
}

#[tokio::test]
#[ignore = "started by another test"]
async fn as_liminal() {
    let folder = std::env::current_dir().expect("a folder");
    let mut place = Place::new();
    place.config.sandbox = false;
    place.config.warden = Some(folder.join("as_the_warden"));
    place.run(&Step::sh(&format!("sleep 600 & echo $! > {}/step; wait", folder.display()))).await;
}

#[test]
#[ignore = "started by another test"]
fn as_the_warden() {
    warden::run(BufReader::new(std::io::stdin())).expect("input");
}

#[test]
fn a_group_that_is_no_longer_watched_is_left_alone() {
    let mut sleeping = Command::new("sleep").arg("600").process_group(0).spawn().expect("a process");
    let id = sleeping.id();
    warden::run(format!("+7 /no/folder\n=7 {id}\n-7\nnonsense\n+x\n=8 {id}\n").as_bytes()).expect("input");
    assert!(is_alive(&id.to_string()));
    warden::run(format!("+7 /no/folder\n=7 {id}\n").as_bytes()).expect("input");
    sleeping.wait().expect("ended");
}

#[test]
fn a_process_whose_group_was_not_told_is_known_by_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sleeping = Command::new("sleep").arg("600").env("LIMINAL_WORK", folder.path()).spawn().expect("a process");
    warden::run(format!("+7 {}\n", folder.path().display()).as_bytes()).expect("input");
    sleeping.wait().expect("ended");
}
