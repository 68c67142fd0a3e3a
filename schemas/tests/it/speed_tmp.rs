use crate::memory_files::MemoryFiles;
use crate::rendering::render;
use liminal_schemas::definition::read::read;
use std::time::Instant;

#[test]
#[ignore]
fn hostile_speed() {
    let mib = 1 << 20;
    let cases: Vec<(&str, String)> = vec![
        ("brackets", "[".repeat(100_000)),
        ("brackets1m", "[".repeat(mib)),
        ("braces", "{".repeat(mib)),
        ("mixed", "[{".repeat(mib / 2)),
        ("bracket lines", "[\n".repeat(mib / 2)),
        ("brackets a", "[a,".repeat(mib / 3)),
        ("bracketpairs", "[],".repeat(mib / 3)),
        ("in list", format!("a: [{}", "[],".repeat(mib / 3-10))),
        ("dashes", "- ".repeat(mib / 2)),
        ("questions", "? ".repeat(mib / 2)),
        ("colons", ": ".repeat(mib / 2)),
        ("a colons", "a: ".repeat(mib / 3)),
        ("indent", (0..1400).map(|i| format!("{}a:\n", " ".repeat(i))).collect()),
        ("indentq", (0..1400).map(|i| format!("{}- \n", " ".repeat(i))).collect()),
        ("quote", format!("a: \"{}", "x".repeat(mib - 10))),
        ("quote esc", format!("a: \"{}", "\\x41".repeat(mib / 4 - 10))),
        ("quote nl", format!("a: \"{}", "\n".repeat(mib - 10))),
        ("plain ml", format!("a: {}", "x\n ".repeat(mib / 3 - 10))),
        ("literal", format!("a: |\n{}", " x\n".repeat(mib / 3 - 10))),
        ("literal nl", format!("a: |\n{}", "\n".repeat(mib - 10))),
        ("comments", "#\n".repeat(mib / 2)),
        ("comment", "#".repeat(mib)),
        ("spaces", " ".repeat(mib)),
        ("newlines", "\n".repeat(mib)),
        ("tabs", "\t".repeat(mib)),
        ("anchors", "- &a b\n".repeat(mib / 7)),
        ("anchors2", "&a ".repeat(mib / 3)),
        ("tags", "- !a b\n".repeat(mib / 7)),
        ("tags2", "!a ".repeat(mib / 3)),
        ("docs", "---\n".repeat(mib / 4)),
        ("dirs", "%YAML 1.2\n".repeat(mib / 10)),
        ("dirt", "%TAG ! x\n".repeat(mib / 10)),
        ("keys", (0..120_000).map(|i| format!("k{i}:\n")).collect()),
        ("same keys", "k:\n".repeat(mib / 3)),
        ("params", format!("project: p\nparams:\n{}", (0..55_000).map(|i| format!("  p{i}: {i}\n")).collect::<String>())),
        ("floats", format!("project: p\nparams:\n{}", (0..55_000).map(|i| format!("  p{i}: 1.{i}\n")).collect::<String>())),
        ("umlaut", format!("a: \"{}", "ä".repeat(mib/2 - 10))),
        ("umlaut l", "- ä\n".repeat(mib/5)),
        ("templates", format!("project: p\npipelines: {{p: {{steps: {{s: {{run: \"{}\"}}}}}}}}", "{{ run.id }} ".repeat(mib/13-10))),
        ("longkey", format!("{}: x", "k".repeat(mib-10))),
        ("bomb", "a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d]\n".to_owned()),
    ];
    for (name, text) in cases {
        assert!(text.len() <= mib, "{name} {}", text.len());
        let files = MemoryFiles::new().with("liminal.yml", text);
        let start = Instant::now();
        let (d, report) = read(&files, "liminal.yml", None);
        let took = start.elapsed();
        let shown = render(&Report1(&report));
        println!("{name:15} {took:>10.1?} {} {} {}", d.is_some(), report.findings.len(), shown.lines().next().unwrap_or("").chars().take(120).collect::<String>());
    }
}
#[allow(non_snake_case)]
fn Report1(r: &liminal_schemas::finding::Report) -> liminal_schemas::finding::Report {
    let mut r = r.clone();
    r.findings.truncate(2);
    r
}

#[test]
#[ignore]
fn many_files() {
    let mut files = MemoryFiles::new().with("liminal.yml", "project: p\ninclude: [pipelines/*.yml]\nparams: {seed: 1}\n");
    let (mut bytes, mut lines) = (0, 0);
    for i in 0..1000 {
        let mut text = format!("pipelines:\n  p{i}:\n    description: pipeline number {i}\n    steps:\n");
        for s in 0..10 {
            text += &format!("      step-{s}:\n        phase: train\n        description: Does the work number {s} of this pipeline, and well.\n        call: steps.mod{s}:function\n        inputs:\n          seed: params.seed\n        outputs:\n          model: model-{s}.bin\n        timeout: 10m\n        metrics: metrics.json\n");
        }
        bytes += text.len();
        lines += text.lines().count();
        files = files.with(&format!("pipelines/p{i:04}.yml"), text);
    }
    println!("{bytes} bytes {lines} lines");
    {
        use liminal_schemas::files::ProjectFiles;
        let texts: Vec<String> = (0..1000).map(|i| String::from_utf8(files.read(&format!("pipelines/p{i:04}.yml"), 1<<20).unwrap()).unwrap()).collect();
        for _ in 0..3 {
            let start = Instant::now();
            let mut n = 0;
            for text in &texts {
                let mut p = saphyr_parser::Parser::new_from_str(text);
                while let Some(Ok(_)) = p.next_event() { n += 1; }
            }
            println!("saphyr only {:?} {n}", start.elapsed());
            let start = Instant::now();
            let mut f = Vec::new();
            let file: std::sync::Arc<str> = "x".into();
            let trees: Vec<_> = texts.iter().map(|t| liminal_schemas::definition::yaml::parse(&file, t, &mut f)).collect();
            println!("parse {:?}", start.elapsed());
            let start = Instant::now();
            drop(trees);
            println!("drop {:?}", start.elapsed());
        }
    }
    for _ in 0..5 {
        let start = Instant::now();
        let (d, report) = read(&files, "liminal.yml", None);
        println!("{:?} {} {}", start.elapsed(), d.is_some(), report.findings.len());
    }
}
