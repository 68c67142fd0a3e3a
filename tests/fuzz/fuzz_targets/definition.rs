//! Any bytes as `liminal.yml`: every finding lies in the file, and what is accepted is accepted for every environment it names.
#![no_main]

use liminal_schemas::definition::load;
use liminal_schemas::digest::Digest;
use liminal_schemas::files::ProjectFile;
use liminal_schemas::files::ProjectFiles;
use liminal_schemas::files::RefusedFile;
use liminal_schemas::finding::Report;
use libfuzzer_sys::fuzz_target;

/// One definition, in a folder in which every other file exists, too.
struct Files<'a>(&'a [u8]);

impl ProjectFiles for Files<'_> {
    fn file(&self, path: &str) -> Result<Option<ProjectFile>, RefusedFile> {
        let mut blob = Digest::of_bytes(path.as_bytes()).hex();
        blob.truncate(40);
        Ok(Some(ProjectFile { blob, executable: false }))
    }

    fn under(&self, _: &str) -> Result<Vec<(String, ProjectFile)>, (String, RefusedFile)> {
        Ok(Vec::new())
    }

    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, String> {
        match path {
            "liminal.yml" if self.0.len() <= limit => Ok(self.0.to_vec()),
            _ => Err("it is not there".to_owned()),
        }
    }
}

fn places_exist(report: &Report) {
    for finding in &report.findings {
        assert!(!finding.message.is_empty());
        if let Some(span) = &finding.span {
            let source = report.sources.get(&*span.file).expect("the file of a finding is known");
            assert!(span.start <= span.end && span.end <= source.len(), "a finding lies in its file");
            assert!(source.is_char_boundary(span.start) && source.is_char_boundary(span.end));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let files = Files(data);
    let loaded = match load(&files, "liminal.yml", None) {
        Ok(loaded) => loaded,
        Err(report) => return places_exist(&report),
    };
    places_exist(&loaded.report);
    for release in loaded.resolved.releases.values() {
        let text = serde_json::to_string(release).expect("a release is JSON");
        let read: liminal_schemas::release::Release = serde_json::from_str(&text).expect("a release reads itself");
        assert_eq!(&read, release);
        assert_eq!(read.revision(), release.revision());
        liminal_schemas::graph::Graph::new(&release.steps).expect("what is accepted is a graph");
    }
});
