use std::fmt::Write as _;
use std::time::Instant;
use liminal_schemas::definition::{read::read, resolve::resolve};
use crate::memory_files::MemoryFiles;

#[test]
#[ignore]
fn speed() {
    for (label, distinct) in [("shared", false)] {
        let mut root = String::from("project: big\ninclude: ['p/*.yml']\nparams: {seed: 1, rate: 0.5}\npython: {code: [lib], requirements: requirements.txt}\nenv: {TZ: UTC}\n");
        root.push_str("defaults: {timeout: 1h}\n");
        let mut files = MemoryFiles::new().with("liminal.yml", &root).with("requirements.txt", "x");
        for i in 0..200 { files = files.with(&format!("lib/f{i}.py"), "x").with(&format!("steps/s{i}.py"), "x"); }
        for f in 0..20 {
            let mut text = String::from("pipelines:\n");
            for p in 0..50 {
                let id = f * 50 + p;
                let gate = if distinct { format!("metrics.s5.auc > 0.{id} && params.rate < 1") } else { "metrics.s5.auc > 0.9 && params.rate < 1".to_owned() };
                writeln!(text, "  p{id}:\n    steps:").unwrap();
                for s in 0..8 {
                    let n = if distinct { (id * 8 + s) % 200 } else { s };
                    let input = if s > 0 { format!("data: s{}.out, ", s - 1) } else { String::new() };
                    writeln!(text, "      s{s}: {{call: 'steps.s{n}:f', inputs: {{{input}seed: params.seed}}, outputs: {{out: out.csv}}, metrics: m.json, env: {{A: '{{{{ params.rate }}}}'}}}}").unwrap();
                }
                writeln!(text, "      gate: {{gate: {gate}}}\n      publish: {{register: {{model: m{id}, artifact: s7.out}}, after: [gate]}}").unwrap();
            }
            files = files.with(&format!("p/{f}.yml"), text);
        }
        let (definition, mut report) = read(&files, "liminal.yml", None);
        let definition = definition.expect("reads");
        for _ in 0..std::env::args().filter(|a| a.len() == 1).count() * 20 { let t = Instant::now(); let r = resolve(&definition, &files, &mut report.clone()); let took = t.elapsed(); drop(r); println!("  {took:?} drop {:?}", t.elapsed()); }
        let t = Instant::now();
        let resolved = resolve(&definition, &files, &mut report);
        let took = t.elapsed();
        let resolved = resolved.unwrap_or_else(|| panic!("{}", crate::rendering::render(&report)));
        let t = Instant::now();
        let n: usize = resolved.releases.values().map(|r| r.revision().short().len()).sum();
        println!("{label}: resolve {took:?}, {} releases {} packages; revisions {:?} {n}", resolved.releases.len(), resolved.packages.len(), t.elapsed());
    }
}
