//! Steps that map over the objects of a bucket, which on this machine is a folder.

use liminal_emulators::shared_ministack;
use liminal_emulators::tools;

use crate::aws;
use crate::harness::Project;

const PIPELINES: &str = "  \
  score:
    steps:
      each:
        map: {objects: {prefix: in/, suffix: .csv}}
        run: [sh, -c, 'echo \"$LIMINAL_ITEM\"; wc -l < \"$1\" | tr -d \" \" > \"$2\"', sh, \"{{ inputs.item }}\", \"{{ outputs.n }}\"]
        outputs: {n: n.txt}
      pairs:
        map: {objects: {prefix: in/, suffix: .csv}, batch: 2}
        run: [sh, -c, 'ls \"$1\" > \"$2\"', sh, \"{{ inputs.items }}\", \"{{ outputs.names }}\"]
        outputs: {names: names.txt}
      sum:
        run: [sh, -c, 'cat \"$1\"/* > \"$2\"; cat \"$3\"/* >> \"$2\"', sh, \"{{ inputs.n }}\", \"{{ outputs.o }}\", \"{{ inputs.names }}\"]
        inputs: {n: each.n, names: pairs.names}
        outputs: {o: o.txt}
";

#[test]
fn each_file_of_a_folder_that_stands_for_a_bucket_is_an_item() {
    let project = Project::new(&format!("project: objects\npipelines:\n{PIPELINES}"));
    let _ = project.liminal(&["run"]).exits(7).prints("objects in/*.csv can not be listed").prints("is no folder");
    let land = |key: &str, rows: &str| project.write(&format!(".liminal/dev/objects/{key}"), rows);
    for (key, rows) in [
        ("in/b.csv", "1\n2\n"),
        ("in/a.csv", "1\n"),
        ("in/deep/c.csv", "1\n2\n3\n"),
        ("in/d.txt", "x"),
        ("out/e.csv", "x"),
    ] {
        land(key, rows);
    }
    let _ = project.liminal(&["run"]).exits(0).prints("3 items");
    assert_eq!(project.ok(&["artifacts", "cat", "sum.o"]), "1\n2\n3\n0000-a.csv\n0001-b.csv\n0000-c.csv\n");
    let _ = project.liminal(&["logs", "each", "--item", "2"]).exits(0).prints("in/deep/c.csv");
    let again = project.json(&["run", "-o", "json"]);
    let counts = &again["commits"]["each"]["items"];
    assert_eq!((&counts["cached"], &counts["succeeded"]), (&3.into(), &0.into()), "{counts}");
    land("in/b.csv", "1\n2\n3\n4\n");
    land("in/z.csv", "");
    let changed = project.json(&["run", "-o", "json"]);
    let counts = &changed["commits"]["each"]["items"];
    assert_eq!((&counts["cached"], &counts["succeeded"]), (&2.into(), &2.into()), "{counts}");
    assert!(project.ok(&["artifacts", "cat", "sum.o"]).starts_with("1\n4\n3\n0\n"));
    let _ = project.liminal(&["why", "each"]).exits(0).prints("lists the objects that it maps over");
    let other = Project::new(
        "project: objects\npipelines: {p: {steps: {s: {map: 's3://uploads/in/', run: [cat, '{{ inputs.item }}']}}}}\n",
    );
    other.write(".liminal/dev/buckets/uploads/in/x", "found");
    let _ = other.liminal(&["run"]).exits(0);
    let _ = other.liminal(&["logs", "s", "--item", "0"]).exits(0).prints("found");
}

#[test]
fn objects_of_a_bucket_are_items_on_aws_as_files_are_here() {
    let emulator = shared_ministack();
    let project = Project::in_git(&aws::definition("demo-objects", PIPELINES));
    let project = aws::with_bucket(project, emulator, "demo-objects");
    for (key, rows) in [("in/b.csv", "1\n2\n"), ("in/a.csv", "1\n"), ("in/deep/c.csv", "1\n2\n3\n"), ("in/d.txt", "x")]
    {
        let path = format!(".liminal/dev/objects/{key}");
        project.write(&path, rows);
        let from = project.join(&path);
        let sent = tools().aws(emulator).args(["s3", "cp"]).arg(&from).arg(format!("s3://demo-objects/{key}")).output();
        assert!(sent.expect("the AWS CLI runs").status.success());
    }
    let _ = project.commit("first");
    let _ = project.liminal(&["run"]).exits(0);
    let here = project.json(&["status", "-o", "json"]);
    let plan = project.ok(&["plan", "-e", "dev"]);
    assert!(plan.contains("s3:GetObject on demo-objects/in/*.csv"), "{plan}");
    let _ = project.liminal(&["apply", "-y", "-e", "dev"]).exits(0);
    let _ = project.liminal(&["run", "-e", "dev"]).exits(0).prints("3 items");
    let there = project.json(&["status", "-e", "dev", "-o", "json"]);
    assert_eq!(aws::outputs(&there), aws::outputs(&here));
    let again = project.json(&["run", "-o", "json", "-e", "dev"]);
    assert_eq!(again["commits"]["each"]["items"]["cached"], 3, "{again}");
    let _ = project.liminal(&["destroy", "-y", "--allow-destroy", "-e", "dev"]);
}
