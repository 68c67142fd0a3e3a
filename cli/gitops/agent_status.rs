//! What an agent knows of itself: a file for people, and metrics for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use liminal_schemas::name::EnvironmentName;
use liminal_schemas::time::UtcTime;
use serde::Deserialize;
use serde::Serialize;

/// What an agent did so far, as its status file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AgentStatus {
    /// The remote, without credentials.
    pub(crate) remote: String,
    /// Its process.
    pub(crate) pid: u32,
    /// When it started.
    pub(crate) started_at: UtcTime,
    /// How many passes it has made.
    pub(crate) passes: u64,
    /// How many of them could not fetch.
    pub(crate) failed_fetches: u64,
    /// When the remote was fetched last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fetched_at: Option<UtcTime>,
    /// Why the last pass failed as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The environments that follow a branch.
    #[serde(default)]
    pub(crate) environments: BTreeMap<EnvironmentName, Followed>,
}

/// An environment that follows a branch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Followed {
    /// The branch.
    pub(crate) branch: String,
    /// The commit that it is at; none when it is gone.
    pub(crate) commit: Option<String>,
    /// What came of the last look at it, in a word: `applied`, `unchanged`, `skipped`, `refused`, `broken`, `failed`, `busy`.
    pub(crate) outcome: String,
    /// The same for people.
    pub(crate) message: String,
    /// When.
    pub(crate) at: UtcTime,
    /// How many resources were found to differ from what is recorded.
    #[serde(default)]
    pub(crate) drifted: usize,
    /// How many reconciles had which outcome, since the agent started.
    #[serde(default)]
    pub(crate) outcomes: BTreeMap<String, u64>,
    /// How many resources were healed, since the agent started.
    #[serde(default)]
    pub(crate) healed: u64,
}

impl AgentStatus {
    /// What is wrong with the agent, if anything is: it has not been able to fetch for longer than `patience_millis`.
    pub(crate) fn problem(&self, now: UtcTime, patience_millis: i64) -> Option<String> {
        let since = self.fetched_at.unwrap_or(self.started_at);
        if now.millis().saturating_sub(since.millis()) <= patience_millis {
            return None;
        }
        let why = self.error.as_deref().unwrap_or("no pass came to its end");
        Some(format!("the remote was not fetched since {since}: {why}"))
    }

    /// The metrics, in the text format of Prometheus.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, f64)>| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "counts and seconds stay far below 2^53")]
        let number = |value: u64| value as f64;
        let one = |value| vec![(String::new(), value)];
        family("liminal_agent_passes_total", "counter", "Passes over the remote.", one(number(self.passes)));
        let failed = one(number(self.failed_fetches));
        family("liminal_agent_failed_fetches_total", "counter", "Passes that could not fetch.", failed);
        #[expect(clippy::cast_precision_loss, reason = "counts and seconds stay far below 2^53")]
        let fetched = self.fetched_at.map(|at| at.millis() as f64 / 1000.0);
        let fetched = one(fetched.unwrap_or(0.0));
        family("liminal_agent_fetched_timestamp_seconds", "gauge", "When the remote was fetched last.", fetched);
        let label = |environment: &EnvironmentName| format!("{{environment=\"{environment}\"}}");
        let reconciles = self.environments.iter().flat_map(|(environment, followed)| {
            followed.outcomes.iter().map(move |(outcome, count)| {
                (format!("{{environment=\"{environment}\",outcome=\"{outcome}\"}}"), number(*count))
            })
        });
        family("liminal_reconciles_total", "counter", "Looks at an environment, by outcome.", reconciles.collect());
        let drifted = self.environments.iter().map(|(name, followed)| (label(name), number(followed.drifted as u64)));
        family("liminal_drifted_resources", "gauge", "Resources that differ from what is recorded.", drifted.collect());
        let healed = self.environments.iter().map(|(name, followed)| (label(name), number(followed.healed)));
        family("liminal_healed_resources_total", "counter", "Resources that were healed.", healed.collect());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> AgentStatus {
        let followed = Followed {
            branch: "main".to_owned(),
            commit: Some("1".repeat(40)),
            outcome: "applied".to_owned(),
            message: "applied".to_owned(),
            at: UtcTime::from_millis(0),
            drifted: 2,
            outcomes: BTreeMap::from([("applied".to_owned(), 1), ("skipped".to_owned(), 7)]),
            healed: 3,
        };
        AgentStatus {
            remote: "https://host/x.git".to_owned(),
            pid: 7,
            started_at: UtcTime::from_millis(0),
            passes: 9,
            failed_fetches: 1,
            fetched_at: Some(UtcTime::from_millis(10_500)),
            error: None,
            environments: BTreeMap::from([(EnvironmentName::new("staging").expect("a name"), followed)]),
        }
    }

    #[test]
    fn metrics_are_in_the_text_format_of_prometheus() {
        insta::assert_snapshot!(status().metrics());
    }

    #[test]
    fn an_agent_is_well_while_it_can_fetch() {
        let status = status();
        assert_eq!(status.problem(UtcTime::from_millis(20_000), 30_000), None);
        let problem = status.problem(UtcTime::from_millis(50_000), 30_000).expect("a problem");
        assert!(problem.contains("was not fetched since 1970"), "{problem}");
    }
}
