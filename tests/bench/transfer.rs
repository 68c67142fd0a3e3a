//! Files to a store and back: the artifacts' adapter beside s5cmd and boto3, against one server. The emulator is slower than
//! any of them, so that what counts is the processor time of the client: what it takes from the step beside it.
//!
//! The adapter hashes every byte on both ways, which the others do not: what that takes of it has a row of its own.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use liminal_emulators::Emulator;
use liminal_emulators::MiniStack;
use liminal_emulators::s5cmd;
use liminal_emulators::tools;
use liminal_functions::attempt::outputs::FoundOutput;
use liminal_functions::attempt::outputs::hash_file;
use liminal_functions::aws::artifacts::S3Artifacts;
use liminal_functions::aws::clients::Clients;
use liminal_functions::aws::clients::Connection;
use liminal_functions::aws::place::Place;
use liminal_schemas::digest::Digest;
use liminal_schemas::run::Artifact;
use liminal_schemas::run::DirectoryListing;
use liminal_schemas::run::ListedFile;
use liminal_schemas::step::ArtifactKind;

use crate::cases::write_noise;
use crate::measure;
use crate::measure::Sample;
use crate::measure::repeat;
use crate::report::Goal;
use crate::report::Outcome;

/// The word by which this program is told to be the adapter's client.
pub const CLIENT: &str = "transfer-client";

const SMALL_FILES: usize = 2000;
const REPETITIONS: usize = 3;

/// Runs a program and prints the processor seconds, user and system, of it and its children.
const WATCH: &str = "import resource, subprocess, sys\nsubprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n\
                     used = resource.getrusage(resource.RUSAGE_CHILDREN)\nprint(used.ru_utime + used.ru_stime)\n";

const BOTO3: &str = r#"
import os, sys
from concurrent.futures import ThreadPoolExecutor
import boto3
way, folder, prefix = sys.argv[1:]
s3 = boto3.client("s3")
def one(name):
    if way == "up":
        s3.upload_file(os.path.join(folder, name), "bench", prefix + name)
    else:
        s3.download_file("bench", prefix + name, os.path.join(folder, name))
names = os.listdir(folder) if way == "up" else [line.strip() for line in sys.stdin]
with ThreadPoolExecutor(10) as pool:
    list(pool.map(one, names))
"#;

/// One file of 1 GiB, and 2,000 of 64 KiB.
pub fn transfer() -> Vec<Outcome> {
    let emulator = MiniStack::start();
    measure::run(tools().aws(&emulator).args(["s3", "mb", "s3://bench"]));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (large, small) = (folder.path().join("large"), folder.path().join("small"));
    for path in [&large, &small] {
        std::fs::create_dir(path).expect("made");
    }
    write_noise(&large.join("file"), 1 << 30);
    write_noise(&folder.path().join("noise"), SMALL_FILES * (64 << 10));
    let noise = std::fs::read(folder.path().join("noise")).expect("read");
    for (number, content) in noise.chunks(64 << 10).enumerate() {
        let content = [&number.to_le_bytes()[..], &content[8..]].concat();
        std::fs::write(small.join(format!("{number:05}")), content).expect("written");
    }
    let mut outcomes = vec![hashing(&large.join("file"))];
    for (what, from) in [("1 × 1 GiB", &large), ("2,000 × 64 KiB", &small)] {
        remember(from);
        let bench = Bench { emulator: &emulator, from, to: folder.path().join("to") };
        let [ours, s5cmd, boto3] = [Client::Ours, Client::S5cmd, Client::Boto3].map(|client| bench.measure(client));
        let others = [("s5cmd", s5cmd), ("boto3", boto3)];
        for (index, way) in ["up", "down"].into_iter().enumerate() {
            let peers = others.iter().map(|(name, samples)| (*name, &samples[index]));
            let (name, faster) = peers.min_by(|one, other| one.1.min.total_cmp(&other.1.min)).expect("two of them");
            for (name, samples) in &others {
                eprintln!("{what} {way}: {name} {:.2} s of processor time", samples[index].min);
            }
            outcomes.push(Outcome {
                case: format!("{what} {way}: processor time of the client"),
                value: ours[index].min / faster.min,
                unit: "×",
                goal: Goal::AtMost(1.0),
                measured: ours[index].clone(),
                floor: Some((format!("{name}, processor time"), faster.clone())),
            });
        }
    }
    outcomes
}

/// What each way includes.
fn hashing(file: &Path) -> Outcome {
    let hashed = repeat(3, || {
        hash_file(file).expect("hashed");
    });
    Outcome {
        case: "1 GiB hashed, as on each way".to_owned(),
        value: hashed.min,
        unit: "s",
        goal: Goal::None,
        measured: hashed,
        floor: None,
    }
}

#[derive(Clone, Copy)]
enum Client {
    Ours,
    S5cmd,
    Boto3,
}

struct Bench<'a> {
    emulator: &'a Emulator,
    from: &'a Path,
    to: PathBuf,
}

impl Bench<'_> {
    /// Processor seconds of uploads and of downloads.
    fn measure(&self, client: Client) -> [Sample; 2] {
        let mut seconds = [Vec::new(), Vec::new()];
        for number in 0..REPETITIONS {
            let prefix = format!("{}-{number}/", client as u8);
            seconds[0].push(self.processor_seconds(&self.command(client, "up", self.from, &prefix)));
            let _ = std::fs::remove_dir_all(&self.to);
            std::fs::create_dir(&self.to).expect("made");
            seconds[1].push(self.processor_seconds(&self.command(client, "down", &self.to, &prefix)));
            self.check();
            measure::run(tools().aws(self.emulator).args([
                "s3",
                "rm",
                "--recursive",
                "--quiet",
                &format!("s3://bench/{prefix}"),
            ]));
        }
        seconds.map(Sample::of)
    }

    fn command(&self, client: Client, way: &str, folder: &Path, prefix: &str) -> Vec<String> {
        let folder = folder.to_str().expect("a path in UTF-8").to_owned();
        let words: Vec<String> = match client {
            Client::Ours => {
                let program = std::env::current_exe().expect("the program is known");
                let program = program.to_str().expect("a path in UTF-8").to_owned();
                let from = self.from.to_str().expect("a path in UTF-8").to_owned();
                vec![program, CLIENT.to_owned(), way.to_owned(), from, folder, prefix.to_owned()]
            }
            Client::S5cmd => {
                let program = s5cmd().to_str().expect("a path in UTF-8").to_owned();
                let endpoint = self.emulator.endpoint();
                let (from, to) = match way {
                    "up" => (format!("{folder}/"), format!("s3://bench/{prefix}")),
                    _ => (format!("s3://bench/{prefix}*"), format!("{folder}/")),
                };
                [program, "--endpoint-url".to_owned(), endpoint, "cp".to_owned(), from, to].into()
            }
            Client::Boto3 => {
                let python = tools().python(self.emulator).get_program().to_string_lossy().into_owned();
                ["-c", BOTO3, way, &folder, prefix].iter().fold(vec![python], |mut words, word| {
                    words.push((*word).to_owned());
                    words
                })
            }
        };
        words
    }

    fn processor_seconds(&self, words: &[String]) -> f64 {
        let mut names = String::new();
        for entry in std::fs::read_dir(self.from).expect("read") {
            names.push_str(&format!("{}\n", entry.expect("read").file_name().to_string_lossy()));
        }
        let mut command = Command::new("python3");
        command.args(["-c", WATCH]).args(words).envs(self.emulator.env());
        // Stores that are not Amazon's know few checksums, and liminal sends them none either.
        command.env("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required");
        command.env("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required");
        let output = measure::run_with_input(&mut command, &names);
        output.trim().parse().expect("seconds")
    }

    /// What came back is what went.
    fn check(&self) {
        for entry in std::fs::read_dir(self.from).expect("read") {
            let entry = entry.expect("read");
            let there = std::fs::metadata(self.to.join(entry.file_name())).expect("it came back").len();
            assert_eq!(there, entry.metadata().expect("read").len());
        }
    }
}

/// Hashes what a step left, as is done when an attempt ends, whatever becomes of it.
fn remember(from: &Path) {
    let FoundOutput { artifact, files, listing } = found(from);
    std::fs::write(memo(from), serde_json::to_vec(&(artifact, files, listing)).expect("JSON")).expect("written");
}

fn remembered(from: &Path) -> FoundOutput {
    let bytes = std::fs::read(memo(from)).expect("read");
    let (artifact, files, listing) = serde_json::from_slice(&bytes).expect("JSON");
    FoundOutput { artifact, files, listing }
}

fn memo(from: &Path) -> PathBuf {
    from.with_extension("artifact.json")
}

/// Carries files to the store or back as the adapter does: `up FROM FROM PREFIX` or `down FROM TO PREFIX`.
pub fn client(words: &[String]) {
    let [way, from, folder, prefix] = words else { return };
    let (from, folder) = (Path::new(from), Path::new(folder));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let clients = Clients::connect(Connection::default()).await;
        let artifacts = S3Artifacts::new(&clients, Place::new("bench", prefix.clone()));
        let output = remembered(from);
        if way == "up" {
            artifacts.keep(&output).await.expect("kept");
        } else {
            let artifact = output.artifact;
            let to = match artifact.kind {
                ArtifactKind::File => folder.join("file"),
                ArtifactKind::Directory => {
                    std::fs::remove_dir(folder).expect("removed");
                    folder.to_owned()
                }
            };
            artifacts.fetch(&artifact, &to).await.expect("fetched");
        }
    });
}

/// What a step would have left: hashed, as it is when an attempt ends.
fn found(folder: &Path) -> FoundOutput {
    let mut files = Vec::new();
    let mut listing = DirectoryListing::default();
    for entry in std::fs::read_dir(folder).expect("read") {
        let path = entry.expect("read").path();
        let (digest, bytes) = hash_file(&path).expect("hashed");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        listing.files.insert(name, ListedFile { digest, bytes, executable: false });
        files.push((path, digest, bytes));
    }
    if let [(_, digest, bytes)] = files[..] {
        let artifact = Artifact { digest, kind: ArtifactKind::File, bytes };
        return FoundOutput { artifact, files, listing: None };
    }
    let bytes = files.iter().map(|(_, _, bytes)| bytes).sum();
    let artifact = Artifact { digest: Digest::of_document(&listing), kind: ArtifactKind::Directory, bytes };
    FoundOutput { artifact, files, listing: Some(listing) }
}
