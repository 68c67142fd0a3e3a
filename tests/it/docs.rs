//! What the documentation shows is true: its definitions are valid, and its links lead somewhere.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use crate::harness::Project;

/// A fenced block: its opening line without the fence, the line it begins at, and its text.
struct Block {
    info: String,
    line: usize,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{} is read: {error}", path.display()))
}

/// The fenced blocks of a page, and the rest of it.
fn parts(page: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose) = (Vec::new(), String::new());
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, Some(info)) => {
                open = Some(Block { info: info.to_owned(), line: index + 1, text: String::new() });
            }
            (None, None) => prose += &format!("{line}\n"),
        }
    }
    assert!(open.is_none(), "every fence is closed");
    (blocks, prose)
}

/// A definition without its comments.
fn without_comments(definition: &str) -> String {
    let code = |line: &str| line.split(" #").next().unwrap_or_default().to_owned() + "\n";
    definition.lines().filter(|line| !line.trim_start().starts_with('#')).map(code).collect()
}

/// What stands behind a key, wherever it does, up to the end of the value.
fn values<'a>(definition: &'a str, key: &str) -> Vec<&'a str> {
    let behind = |(at, found): (usize, &str)| definition[at + found.len()..].trim_start_matches([' ', '"']);
    let value = |rest: &'a str| rest.split([' ', ',', '}', '"', '\n']).next().unwrap_or_default();
    definition.match_indices(&format!("{key}: ")).map(behind).map(value).collect()
}

/// Makes the files that a definition speaks of.
fn add_files(project: &Project, definition: &str) {
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for call in values(definition, "call") {
        let (module, function) = call.split_once(':').unwrap_or_else(|| panic!("`{call}` names a function"));
        *modules.entry(module.replace('.', "/") + ".py").or_default() += &format!("def {function}():\n    pass\n");
    }
    for (path, code) in modules {
        project.write(&path, code);
    }
    for path in values(definition, "requirements") {
        project.write(path, "");
    }
    for (at, key) in definition.match_indices("code: [") {
        let list = definition[at + key.len()..].split(']').next().unwrap_or_default();
        for path in list.split(',').map(str::trim) {
            let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
            project.write(&if is_file { path.to_owned() } else { format!("{path}/some.py") }, "");
        }
    }
    for word in definition.split([' ', ',', '[', ']', '{', '}', '"', '\n']) {
        let is_script = [".py", ".sh"].iter().any(|end| word.ends_with(end));
        match word.strip_prefix("./") {
            Some(path) => project.write(path, "1\n"),
            None if is_script => project.write(word, "\n"),
            None => {}
        }
    }
}

#[test]
fn the_definitions_in_the_documentation_are_valid() {
    let mut checked = 0;
    for page in ["README.md", "docs/definition.md"] {
        let (blocks, _) = parts(&read(&root().join(page)));
        for block in blocks.iter().filter(|block| block.info.starts_with("yaml")) {
            if block.info == "yaml fragment" {
                continue;
            }
            assert_eq!(block.info, "yaml", "{page}:{} is a definition or a fragment of one", block.line);
            let project = Project::new(&block.text);
            add_files(&project, &without_comments(&block.text));
            let outcome = project.liminal(&["validate"]);
            assert_eq!(outcome.code, Some(0), "{page}:{} is valid:\n{}", block.line, outcome.stderr);
            assert_eq!(outcome.stderr, "", "{page}:{} is valid without a warning", block.line);
            checked += 1;
        }
    }
    assert!(checked >= 5, "only {checked} definitions were found");
}

#[test]
fn the_files_that_extend_each_other_in_the_documentation_are_valid_together() {
    let (blocks, _) = parts(&read(&root().join("docs/definition.md")));
    let project = Project::empty();
    let named =
        |block: &Block| Some((block.text.strip_prefix("# ")?.split_once('\n')?.0.to_owned(), block.text.clone()));
    let files: BTreeMap<String, String> = blocks.iter().filter_map(named).collect();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["base.yml", "liminal.yml"]);
    for (path, text) in &files {
        project.write(path, text);
    }
    project.ok(&["validate"]);
}

#[test]
fn the_definition_page_knows_every_key() {
    let page = read(&root().join("docs/definition.md"));
    let schema = Project::empty().json(&["schema"]);
    let mut keys = BTreeSet::new();
    collect_keys(&schema, &mut keys);
    assert!(keys.len() > 40, "the schema names its keys: {keys:?}");
    for key in keys {
        assert!(page.contains(&format!("`{key}`")), "docs/definition.md does not explain `{key}`");
    }
}

/// The keys of every object that a schema describes.
fn collect_keys(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
        keys.extend(properties.keys().cloned());
    }
    match schema {
        serde_json::Value::Object(map) => map.values().for_each(|value| collect_keys(value, keys)),
        serde_json::Value::Array(items) => items.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}

/// The pages that people start from.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].iter().map(|name| root().join(name)).collect();
    for entry in std::fs::read_dir(root().join("docs")).expect("docs is there") {
        let path = entry.expect("docs is there").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages
}

/// The targets of the links in a text.
fn links(prose: &str) -> Vec<&str> {
    prose.match_indices("](").filter_map(|(at, open)| prose[at + open.len()..].split(')').next()).collect()
}

/// The anchors of a page, as GitHub makes them of its headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let (_, prose) = parts(page);
    let headings = prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn the_links_in_the_documentation_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = read(&page);
        let (_, prose) = parts(&text);
        for link in links(&prose) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.with_file_name(path) };
            let is_page = target.extension().is_some_and(|extension| extension == "md");
            if !target.exists() || (is_page && !anchor.is_empty() && !anchors(&read(&target)).contains(anchor)) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}
