//! Workflows for code hosts. What differs from project to project comes in as quoted YAML text alone; what a branch or a
//! pull request is called gets into a shell only by environment variables.

use liminal_schemas::name::EnvironmentName;

/// What a workflow is for.
pub(crate) struct Pipeline<'a> {
    /// The branch whose commits are applied.
    pub(crate) branch: &'a str,
    /// The environment.
    pub(crate) environment: &'a EnvironmentName,
}

/// A workflow for GitHub Actions.
pub(crate) fn github(pipeline: &Pipeline<'_>) -> String {
    filled(GITHUB, pipeline)
}

/// A pipeline for GitLab CI.
pub(crate) fn gitlab(pipeline: &Pipeline<'_>) -> String {
    filled(GITLAB, pipeline)
}

fn filled(template: &str, pipeline: &Pipeline<'_>) -> String {
    template
        .replace("@BRANCH@", &quoted(pipeline.branch))
        .replace("@ENVIRONMENT@", &quoted(pipeline.environment.as_str()))
}

/// A text as a YAML string in single quotes: what is in it means nothing to YAML.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

const GITHUB: &str = include_str!("../templates/ci/github.yml");
const GITLAB: &str = include_str!("../templates/ci/gitlab.yml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_branches_mean_nothing_to_yaml() {
        assert_eq!(quoted("main"), "'main'");
        assert_eq!(quoted("a'b: ${{ x }}"), "'a''b: ${{ x }}'");
    }
}
