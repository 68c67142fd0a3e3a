//! Runs: what steps see, how they fail, what is cached, and what is said of it.

use crate::harness::Project;

fn one_step(step: &str) -> Project {
    Project::new(&format!("project: demo\npipelines:\n  p:\n    steps:\n      s:\n{step}"))
}

#[test]
fn a_template_project_runs_at_once() {
    let project = Project::empty();
    let _ = project.liminal(&["init", "demo"]).exits(0);
    let _ = project.liminal(&["-C", "demo", "run"]).exits(0).prints("succeeded");
    let _ = project.liminal(&["-C", "demo", "run"]).exits(0).prints("cached");
    let log = std::process::Command::new("git").args(["log", "--oneline"]).current_dir(project.join("demo")).output();
    assert!(log.expect("git runs").status.success());
    let _ = project.liminal(&["init", "demo"]).exits(1).says("not empty");
}

#[test]
fn the_shell_example_runs() {
    let project = Project::copy_of("examples/shell-report");
    let _ = project.liminal(&["run"]).exits(0);
    let second = project.json(&["run", "-o", "json"]);
    assert_eq!(second["result"]["status"], "succeeded");
}

#[test]
fn a_run_from_the_cache_says_so_and_starts_nothing() {
    let project = one_step(
        "        run: [sh, -c, 'date +%N > \"$1\"', sh, \"{{ outputs.now }}\"]\n        outputs: {now: now.txt}\n",
    );
    let _ = project.liminal(&["run"]).exits(0);
    let first = project.ok(&["artifacts", "cat", "s.now"]);
    let _ = project.liminal(&["run"]).exits(0).prints("cached");
    assert_eq!(project.ok(&["artifacts", "cat", "s.now"]), first);
    let fresh = project.json(&["run", "--fresh", "s", "-o", "json"]);
    assert_eq!(fresh["commits"]["s"]["status"], "succeeded");
    let off = project.json(&["run", "--no-cache", "-o", "json"]);
    assert_eq!(off["commits"]["s"]["status"], "succeeded");
}

#[test]
fn parameters_are_typed_and_part_of_the_key() {
    let project = Project::new(
        "project: demo\nparams: {n: {type: int, default: 1, min: 1, max: 9}}\npipelines:\n  p:\n    steps:\n      s:\n        run: [sh, -c, 'echo $1 > $2', sh, \"{{ params.n }}\", \"{{ outputs.o }}\"]\n        outputs: {o: o.txt}\n",
    );
    let _ = project.liminal(&["run"]).exits(0);
    let _ = project.liminal(&["run", "--set", "n=7"]).exits(0);
    assert_eq!(project.ok(&["artifacts", "cat", "s.o"]), "7\n");
    let _ = project.liminal(&["why", "s"]).exits(0).prints("params.n");
    let _ = project.liminal(&["run", "--set", "n=x"]).exits(64).says("int");
    let _ = project.liminal(&["run", "--set", "n=12"]).exits(64).says("maximum");
    let _ = project.liminal(&["run", "--set", "m=1"]).exits(64).says("there are n");
}

#[test]
fn a_file_sets_parameters_and_set_goes_before_it() {
    let project = Project::new(
        "project: demo\nparams: {n: {type: int, max: 9}, words: [a]}\npipelines:\n  p:\n    steps:\n      s:\n        run: [sh, -c, 'echo $1 $2 > $3', sh, \"{{ params.n }}\", \"{{ params.words }}\", \"{{ outputs.o }}\"]\n        outputs: {o: o.txt}\n",
    );
    project.write("weekly.yml", "n: 3\nwords: [x, y]\n");
    project.write("weekly.json", "{\"n\": 4}\n");
    project.write("wrong.yml", "n: 3\nword: [x]\n");
    let _ = project.liminal(&["run"]).exits(64).says("no value for n");
    let _ = project.liminal(&["run", "--params", "weekly.yml"]).exits(0);
    assert_eq!(project.ok(&["artifacts", "cat", "s.o"]), "3 [\"x\",\"y\"]\n");
    let _ = project.liminal(&["run", "--params", "weekly.json"]).exits(0);
    assert_eq!(project.ok(&["artifacts", "cat", "s.o"]), "4 [\"a\"]\n");
    let _ = project.liminal(&["run", "--params", "weekly.json", "--set", "n=5"]).exits(0);
    assert_eq!(project.ok(&["artifacts", "cat", "s.o"]), "5 [\"a\"]\n");
    let _ = project
        .liminal(&["run", "--params", "wrong.yml"])
        .exits(64)
        .says("wrong.yml:2:1")
        .says("did you mean `words`?");
    let _ = project.liminal(&["run", "--params", "gone.yml"]).exits(1).says("gone.yml can not be read");
}

#[test]
fn a_run_takes_the_object_that_it_is_given() {
    let project = Project::new(
        "project: demo\npipelines:\n  score:\n    triggers: [{object: {prefix: in/}}]\n    steps:\n      count:\n        run: [sh, -c, 'wc -l < $1 > $2', sh, \"{{ inputs.rows }}\", \"{{ outputs.o }}\"]\n        inputs: {rows: trigger.object}\n        outputs: {o: o.txt}\n",
    );
    let _ = project.liminal(&["run"]).exits(64).says("count needs `trigger.object`").says("--object FILE");
    let _ = project.liminal(&["run", "--object", "gone.csv"]).exits(1).says("gone.csv can not be read");
    let _ = project.liminal(&["run", "--object", "."]).exits(1).says("no regular file");
    let _ = project.liminal(&["run", "--object", "s3://b/in/rows.csv"]).exits(64).says("aws s3 cp");
    project.write("rows.csv", "1\n2\n3\n");
    let _ = project.liminal(&["run", "--object", "rows.csv"]).exits(0);
    assert_eq!(project.ok(&["artifacts", "cat", "count.o"]).trim(), "3");
    let _ = project.liminal(&["lineage", "count.o"]).exits(0).prints("rows.csv");
    let _ = project.liminal(&["why", "count"]).exits(0).prints("it takes the object that starts the run");
    let again = project.json(&["run", "--object", "rows.csv", "-o", "json"]);
    assert_eq!(again["commits"]["count"]["status"], "cached", "the same bytes are the same input");
    project.write("rows.csv", "1\n2\n3\n4\n");
    let _ = project.liminal(&["run", "--object", "rows.csv"]).exits(0);
    assert_eq!(project.ok(&["artifacts", "cat", "count.o"]).trim(), "4");
    let _ = project.liminal(&["why", "count"]).exits(0).prints("inputs.rows");
    let plain = one_step("        run: [\"true\"]\n");
    plain.write("rows.csv", "1\n");
    let _ = plain.liminal(&["run", "--object", "rows.csv"]).exits(64).says("takes `trigger.object`");
}

#[test]
fn secrets_of_aws_are_not_for_this_machine() {
    let project = Project::new(
        "project: demo\nsecrets: {key: \"secretsmanager:demo/key\"}\npipelines: {p: {steps: {s: {run: [\"true\"], env: {KEY: \"{{ secrets.key }}\"}}}}}\n",
    );
    let _ = project.liminal(&["run"]).exits(1).says("L0405").says("environments: {local: {secrets: {key: env:KEY}}}");
}

#[test]
fn a_step_that_fails_fails_the_run_and_shows_why() {
    let project = Project::new(
        "project: demo\npipelines:\n  p:\n    steps:\n      bad:\n        run: [sh, -c, 'echo the disk is on fire >&2; exit 3']\n      next:\n        run: [\"true\"]\n        after: [bad]\n    finally:\n      tell:\n        run: [sh, -c, 'echo $LIMINAL_RUN_STATUS > $1', sh, \"{{ outputs.o }}\"]\n        outputs: {o: o.txt}\n",
    );
    let outcome = project.liminal(&["run"]).exits(7);
    let all = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(all.contains("the disk is on fire"), "{all}");
    assert!(all.contains("exit"), "{all}");
    let status = project.json(&["status", "-o", "json"]);
    assert_eq!(status["commits"]["bad"]["status"], "failed");
    assert_eq!(status["commits"]["next"]["status"], "skipped");
    assert_eq!(status["commits"]["tell"]["status"], "succeeded");
    assert_eq!(project.ok(&["artifacts", "cat", "tell.o"]), "failed\n");
    let logs = project.ok(&["logs", "bad"]);
    assert_eq!(logs, "the disk is on fire\n");
}

#[test]
fn a_run_ends_at_its_deadline_and_finally_still_runs() {
    let project = Project::new(
        "project: demo\npipelines:\n  p:\n    deadline: 1s\n    steps:\n      long: {run: sleep 60, timeout: 2m, retries: 3}\n      next: {run: \"true\", after: [long]}\n    finally:\n      tell:\n        run: [sh, -c, 'sleep 2; echo $LIMINAL_RUN_STATUS > $1', sh, \"{{ outputs.o }}\"]\n        outputs: {o: o.txt}\n",
    );
    let outcome = project.liminal(&["run"]).exits(7);
    let all = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(all.contains("still under way at the deadline of the run, 20"), "{all}");
    let status = project.json(&["status", "-o", "json"]);
    assert_eq!(status["result"]["status"], "failed");
    assert_eq!(status["commits"]["long"]["failure"]["class"], "timeout");
    assert_eq!(status["commits"]["next"]["skipped"], "deadline");
    assert_eq!(project.ok(&["artifacts", "cat", "tell.o"]), "failed\n");
    let _ = project.liminal(&["status"]).exits(0).prints("the deadline of the run had passed");
}

#[test]
fn a_run_by_hand_is_refused_while_another_is_open_unless_it_is_forced() {
    let project = Project::new(
        "project: demo\nparams: {long: true}\npipelines:\n  p:\n    overlap: forbid\n    steps:\n      s: {run: sleep 60, when: params.long}\n",
    );
    let mut first = project.command(&["run", "--quiet"]).spawn().expect("started");
    let open = project.join(".liminal/local/objects/open/p");
    while std::fs::read_dir(&open).map_or(0, Iterator::count) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let refused = project.liminal(&["run", "--set", "long=false"]).exits(3);
    let _ = refused.says("pipeline p has as many open runs as it may have (1, by `overlap: forbid`)").says("--force");
    let _ = project.liminal(&["run", "--set", "long=false", "--force"]).exits(0);
    let _ = project.liminal(&["cancel"]).exits(0);
    assert_eq!(first.wait().expect("ended").code(), Some(7));
    let _ = project.liminal(&["run", "--set", "long=false"]).exits(0);
}

#[test]
fn the_time_that_a_run_is_for_is_part_of_the_key_where_a_template_names_it() {
    let project = Project::new(
        "project: demo\npipelines:\n  p:\n    steps:\n      day: {run: [sh, -c, 'echo $1 > $2', sh, \"{{ run.partition }}\", \"{{ outputs.o }}\"], outputs: {o: o.txt}}\n      time: {run: [sh, -c, 'echo $T > $1', sh, \"{{ outputs.o }}\"], env: {T: \"{{ run.scheduled_time }}\"}, outputs: {o: o.txt}}\n      silent: {run: [sh, -c, 'echo $LIMINAL_SCHEDULED_TIME $LIMINAL_PARTITION > $1', sh, \"{{ outputs.o }}\"], outputs: {o: o.txt}}\n",
    );
    let first = project.json(&["run", "-o", "json"]);
    let started = first["run"]["started_at"].as_str().expect("a time").to_owned();
    assert_eq!(project.ok(&["artifacts", "cat", "day.o"]), format!("{}\n", &started[..10]));
    assert_eq!(project.ok(&["artifacts", "cat", "time.o"]), format!("{started}\n"));
    assert_eq!(project.ok(&["artifacts", "cat", "silent.o"]), format!("{started} {}\n", &started[..10]));
    let second = project.json(&["run", "-o", "json"]);
    assert_eq!(second["commits"]["time"]["status"], "succeeded", "it is for another time");
    assert_eq!(second["commits"]["silent"]["status"], "cached");
    let _ = project.liminal(&["why", "time"]).exits(0).prints("run.scheduled_time");
}

#[test]
fn retries_try_again_and_keep_every_log() {
    let project = one_step(
        "        run: [sh, -c, 'echo try $LIMINAL_ATTEMPT; test $LIMINAL_ATTEMPT = 3']\n        retries: {max: 3, backoff: 10ms, jitter: 0}\n",
    );
    let _ = project.liminal(&["run"]).exits(0);
    let logs = project.ok(&["logs", "s"]);
    assert_eq!(logs, "try 1\ntry 2\ntry 3\n");
    let _ = project.liminal(&["logs", "s", "--attempt", "2"]).exits(0).prints("try 2");
}

#[test]
fn a_gate_that_refuses_rejects_the_run_and_shows_the_numbers() {
    let project = Project::new(
        "project: demo\nparams: {least: 0.9}\npipelines:\n  p:\n    steps:\n      score:\n        run: [sh, -c, 'echo \"{\\\"auc\\\": 0.8}\" > $1', sh, \"{{ outputs.metrics }}\"]\n        metrics: m.json\n      gate:\n        gate: metrics.score.auc >= params.least\n      ship:\n        run: [\"true\"]\n        after: [gate]\n",
    );
    let outcome = project.liminal(&["run"]).exits(3);
    let all = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(all.contains("metrics.score.auc") && all.contains("0.8"), "{all}");
    let passed = project.liminal(&["run", "--set", "least=0.5"]).exits(0);
    let _ = passed.prints("succeeded");
    let _ = project.liminal(&["metrics"]).exits(0).prints("auc");
}

#[test]
fn a_condition_skips_a_step_and_what_needs_its_data() {
    let project = Project::new(
        "project: demo\nparams: {full: false}\npipelines:\n  p:\n    steps:\n      a:\n        run: [sh, -c, 'echo > $1', sh, \"{{ outputs.o }}\"]\n        outputs: {o: o.txt}\n        when: params.full\n      needs:\n        run: [\"true\"]\n        inputs: {d: a.o}\n      later:\n        run: [\"true\"]\n        after: [a]\n",
    );
    let run = project.json(&["run", "-o", "json"]);
    assert_eq!(run["result"]["status"], "succeeded", "{run}");
    assert_eq!(run["commits"]["a"]["status"], "skipped");
    assert_eq!(run["commits"]["needs"]["status"], "skipped");
    assert_eq!(run["commits"]["later"]["status"], "succeeded");
}

#[test]
fn a_python_traceback_is_the_users_own() {
    let project = one_step("        call: work:main\n");
    project.write("work.py", "def main():\n    numbers = [1, 2]\n    return numbers[5]\n");
    let outcome = project.liminal(&["run"]).exits(7);
    let all = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(all.contains("IndexError"), "{all}");
    assert!(all.contains("work.py") && all.contains("return numbers[5]"), "{all}");
    assert!(!all.contains("call_step"), "no frame of ours is shown:\n{all}");
}

#[test]
fn a_secret_is_used_and_never_shown() {
    let definition = "project: demo\nsecrets: {token: env:DEMO_TOKEN}\npipelines:\n  p:\n    steps:\n      s:\n        run: [sh, -c, 'echo the token is $TOKEN']\n        env: {TOKEN: \"{{ secrets.token }}\"}\n";
    let project = Project::new(definition);
    let _ = project.liminal(&["run"]).exits(1).says("DEMO_TOKEN");
    let project = Project::new(definition).env("DEMO_TOKEN", "hunter2-hunter2");
    let _ = project.liminal(&["run"]).exits(0);
    assert_eq!(project.ok(&["logs", "s"]), "the token is ***\n");
    let _ = project.liminal(&["apply", "--auto-approve"]).exits(0);
    let found =
        std::process::Command::new("grep").args(["-r", "hunter2"]).arg(project.path()).output().expect("grep runs");
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "the value is in no file");
}

#[test]
fn several_pipelines_need_a_name() {
    let project = Project::new(
        "project: demo\npipelines:\n  a: {steps: {s: {run: [\"true\"]}}}\n  b: {steps: {s: {run: [\"true\"]}}}\n",
    );
    let _ = project.liminal(&["run"]).exits(64).says("a, b");
    let _ = project.liminal(&["run", "c"]).exits(64).says("a, b");
    let _ = project.liminal(&["run", "b"]).exits(0);
}

#[test]
fn lineage_leads_from_a_result_back_to_where_it_came_from() {
    let project = Project::new(
        "project: demo\npipelines:\n  p:\n    steps:\n      make:\n        run: [sh, -c, 'echo 1 > $1', sh, \"{{ outputs.o }}\"]\n        outputs: {o: o.txt}\n      model:\n        run: [cp, \"{{ inputs.d }}\", \"{{ outputs.m }}\"]\n        inputs: {d: make.o}\n        outputs: {m: m.bin}\n      register:\n        register: {model: toy, artifact: model.m, aliases: [champion]}\n",
    );
    let _ = project.liminal(&["run"]).exits(0).prints("toy");
    let text = project.ok(&["lineage", "toy"]);
    assert!(text.contains("model.m") && text.contains("make.o"), "{text}");
    let models = project.json(&["models", "-o", "json"]);
    assert_eq!(models[0]["version"], 1);
    let again = project.json(&["run", "-o", "json"]);
    assert_eq!(again["commits"]["register"]["status"], "cached", "the same artifact is no new version");
}

#[test]
fn the_name_of_a_step_in_its_command_is_part_of_its_key() {
    let step =
        "run: [sh, -c, 'echo $1 > $2', sh, \"{{ step.name }}\", \"{{ outputs.o }}\"]\n        outputs: {o: o.txt}";
    let project = Project::new(&format!(
        "project: demo\npipelines:\n  p:\n    steps:\n      a:\n        {step}\n      b:\n        {step}\n"
    ));
    let _ = project.liminal(&["run", "--jobs", "1"]).exits(0);
    assert_eq!(project.ok(&["artifacts", "cat", "a.o"]), "a\n");
    assert_eq!(project.ok(&["artifacts", "cat", "b.o"]), "b\n");
}

#[test]
fn a_step_can_not_stand_in_both_halves_of_a_pipeline() {
    let project = Project::new(
        "project: demo\npipelines:\n  p:\n    steps: {s: {run: [\"true\"]}}\n    finally: {s: {run: [\"false\"]}}\n",
    );
    let _ = project.liminal(&["validate"]).exits(1).says("L0104").says("finally");
}

#[test]
fn a_requirements_file_that_names_another_is_refused_with_the_line() {
    let project = Project::new(
        "project: demo\npython: {requirements: r.txt}\npipelines: {p: {steps: {s: {call: \"work:main\"}}}}\n",
    );
    project.write("work.py", "def main():\n    pass\n");
    project.write("r.txt", "# all\n-r base.txt\n");
    let _ = project.liminal(&["run"]).exits(1).says("r.txt:2").says("-r base.txt");
}

#[test]
fn the_newest_run_is_the_one_that_started_last() {
    let project = Project::new(
        "project: demo\npipelines:\n  a: {steps: {s: {run: [\"true\"]}}}\n  b: {steps: {s: {run: [\"true\"]}}}\n",
    );
    for pipeline in ["a", "b", "a", "b", "b", "a"] {
        let _ = project.liminal(&["run", pipeline]).exits(0);
        assert_eq!(project.json(&["status", "-o", "json"])["run"]["pipeline"], pipeline);
    }
}

#[test]
fn an_artifact_is_found_in_the_newest_run_that_left_it() {
    let project = Project::new(
        "project: demo\npipelines:\n  a:\n    steps:\n      s:\n        run: [sh, -c, 'echo a > $1', sh, \"{{ outputs.o }}\"]\n        outputs: {o: o.txt}\n  b: {steps: {t: {run: [\"true\"]}}}\n",
    );
    let _ = project.liminal(&["run", "a"]).exits(0);
    let _ = project.liminal(&["run", "b"]).exits(0);
    assert_eq!(project.ok(&["artifacts", "cat", "s.o"]), "a\n");
    let _ = project.liminal(&["lineage", "s.o"]).exits(0).prints("step s");
    let _ = project.liminal(&["artifacts", "cat", "s.x"]).exits(1).says("no artifact");
}
