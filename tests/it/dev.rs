//! `liminal dev`: files that land, schedules, Ctrl-C, and the next start.

use std::io::BufRead as _;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use crate::harness::Project;
use crate::harness::wait;

/// The longest that a line may be waited for: far more than any needs.
const PATIENCE: Duration = Duration::from_secs(120);

const COUNTING: &str = "project: demo\npipelines:\n  score:\n    triggers: [{object: {prefix: in/, suffix: .csv}}]\n    steps:\n      count:\n        run: [sh, -c, 'wc -l < $1 > $2', sh, \"{{ inputs.rows }}\", \"{{ outputs.o }}\"]\n        inputs: {rows: trigger.object}\n        outputs: {o: o.txt}\n";

/// `liminal dev`, and the lines that it prints.
pub struct Dev {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Dev {
    pub fn start(project: &Project, args: &[&str]) -> Self {
        let mut child = project.command(&[&["dev"], args].concat()).spawn().expect("started");
        let stdout = child.stdout.take().expect("piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// Waits for a line with a text in it.
    pub fn says(&self, text: &str) -> String {
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => said.push(line),
                Err(_) => panic!("it says {text:?}: {said:#?}"),
            }
        }
    }

    /// Presses Ctrl-C, and gives the exit code and the lines that were left.
    pub fn interrupt(mut self) -> (Option<i32>, Vec<String>) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
        self.child.stdout = Some(
            Command::new("true")
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("true")
                .stdout
                .take()
                .expect("piped"),
        );
        let code = wait(self.child, &["dev"]).code;
        (code, self.lines.iter().collect())
    }
}

#[test]
fn a_file_that_lands_starts_a_run_and_ctrl_c_ends_it_all_well() {
    let project = Project::new(COUNTING);
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let dev = Dev::start(&project, &[]);
    let _ = dev.says("1 pipeline live, with 0 schedules and 1 trigger for files in ");
    project.write(".liminal/dev/objects/in/rows.csv", "1\n2\n3\n");
    let _ = dev.says("in/rows.csv)");
    let ended = dev.says(" of score succeeded");
    assert_eq!(project.ok(&["artifacts", "cat", "count.o"]).trim(), "3");
    let (code, rest) = dev.interrupt();
    assert_eq!((code, rest), (Some(0), Vec::new()), "{ended}");
    let again = Dev::start(&project, &["-o", "json"]);
    let _ = again.says("\"awaits\"");
    project.write(".liminal/dev/objects/in/more.csv", "1\n");
    let begins = again.says("\"begins\"");
    assert!(begins.contains("in/more.csv"), "the file of the first time starts nothing: {begins}");
    let _ = again.says("\"succeeded\"");
    let runs = project.json(&["runs", "-o", "json"]);
    assert_eq!(runs.as_array().map_or(0, Vec::len), 2, "{runs}");
    let (code, _) = again.interrupt();
    assert_eq!(code, Some(0));
}

#[test]
fn a_run_that_was_left_open_is_carried_on_by_the_next_start() {
    let project = Project::empty();
    let definition = format!(
        "project: demo\npipelines:\n  p:\n    triggers: [{{schedule: rate(1 day)}}]\n    steps:\n      s: {{run: [sh, -c, 'test -e {} || sleep 60']}}\n",
        project.join("go").display()
    );
    project.write("liminal.yml", definition);
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let run = project.command(&["run", "--live"]).spawn().expect("started");
    while project.liminal(&["logs", "s"]).code != Some(0) {}
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().expect("kill runs").success());
    assert_eq!(wait(run, &["run"]).code, Some(130));
    project.write("go", "");
    let dev = Dev::start(&project, &[]);
    let _ = dev.says("1 schedule ");
    let _ = dev.says(" begins");
    let _ = dev.says(" of p succeeded");
    let (code, _) = dev.interrupt();
    assert_eq!(code, Some(0));
    let _ = project.liminal(&["dev", "--bucket", "nothing"]).exits(64).says("--bucket BUCKET=DIR");
    let _ = project.liminal(&["dev", "--watch-dir", "gone"]).exits(1).says("gone can not be watched");
}
