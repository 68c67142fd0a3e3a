//! Whether a commit is applied, skipped or refused.

use std::fmt;

use liminal_schemas::gitops::Quarantine;
use liminal_schemas::run::SourceVersion;

/// How a commit stands to the one that is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is the same commit.
    Same,
    /// It comes after the applied one.
    Descendant,
    /// It comes before the applied one.
    Ancestor,
    /// They have a common past, or none, and neither comes after the other.
    Diverged,
    /// The applied commit is not in the repository.
    Unknown,
}

/// What is recorded about an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What the last finished apply was made from.
    pub applied: Option<SourceVersion>,
    /// Whether the last thing that happened was a rollback.
    pub rolled_back: bool,
    /// The commit that failed.
    pub quarantine: Option<Quarantine>,
}

/// What is to be done about a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is applied.
    Act(Reason),
    /// Nothing is to be done, and that is as it should be.
    Skip(Skip),
    /// It is not applied, and somebody should know.
    Refuse(Refusal),
}

/// Why a commit is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No commit was applied before.
    First,
    /// It comes after the applied one.
    Newer,
    /// It is the applied one, but what was applied had changes that no commit has.
    Uncommitted,
    /// Somebody asked for it by force.
    Forced,
}

/// Why nothing is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The commit is applied.
    UpToDate,
    /// The commit is applied, and was rolled back since: only a newer one goes ahead.
    RolledBack,
}

/// Why a commit is not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It failed before.
    Quarantined(Quarantine),
    /// It comes before the applied one, or beside it.
    NotDescendant {
        /// The applied commit.
        applied: String,
        /// How it stands to it: never [`Relation::Same`] or [`Relation::Descendant`].
        relation: Relation,
    },
}

/// Decides about a commit. `relation` says how it stands to the applied one; none when no commit is applied.
pub fn decide(commit: &str, relation: Option<Relation>, known: &Known, force: bool) -> Decision {
    if force {
        return Decision::Act(Reason::Forced);
    }
    if let Some(quarantine) = known.quarantine.as_ref().filter(|quarantine| quarantine.commit == commit) {
        return Decision::Refuse(Refusal::Quarantined(quarantine.clone()));
    }
    let applied = known.applied.as_ref().and_then(|applied| applied.commit.clone());
    let (Some(applied), Some(relation)) = (applied, relation) else { return Decision::Act(Reason::First) };
    match relation {
        Relation::Same if known.rolled_back => Decision::Skip(Skip::RolledBack),
        Relation::Same if known.applied.as_ref().is_some_and(|applied| applied.dirty) => {
            Decision::Act(Reason::Uncommitted)
        }
        Relation::Same => Decision::Skip(Skip::UpToDate),
        Relation::Descendant => Decision::Act(Reason::Newer),
        Relation::Ancestor | Relation::Diverged | Relation::Unknown => {
            Decision::Refuse(Refusal::NotDescendant { applied, relation })
        }
    }
}

fn short(commit: &str) -> String {
    commit.chars().take(8).collect()
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "no commit was applied before",
            Self::Newer => "it comes after the applied commit",
            Self::Uncommitted => "what was applied had changes that no commit has",
            Self::Forced => "it was asked for by force",
        })
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UpToDate => "it is applied",
            Self::RolledBack => "it was rolled back; a newer commit goes ahead",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quarantined(quarantine) => {
                write!(f, "it failed before, and is in quarantine until there is a newer one: {}", quarantine.reason)
            }
            Self::NotDescendant { applied, relation } => {
                let applied = short(applied);
                match relation {
                    Relation::Ancestor => write!(f, "it is older than the applied commit {applied}"),
                    Relation::Unknown => {
                        write!(
                            f,
                            "the applied commit {applied} is not in the repository, so nobody can tell which is newer"
                        )
                    }
                    Relation::Same | Relation::Descendant | Relation::Diverged => {
                        write!(f, "it does not come after the applied commit {applied}: the branch was rewritten")
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use liminal_schemas::time::UtcTime;

    use super::*;

    fn known(commit: &str) -> Known {
        let applied = Some(SourceVersion { commit: Some(commit.to_owned()), dirty: false });
        Known { applied, ..Known::default() }
    }

    fn failed(commit: &str) -> Quarantine {
        Quarantine {
            schema: 1,
            commit: commit.to_owned(),
            reason: "the definition is broken".to_owned(),
            at: UtcTime::from_millis(0),
            trigger: None,
        }
    }

    const RELATIONS: [Relation; 5] =
        [Relation::Same, Relation::Descendant, Relation::Ancestor, Relation::Diverged, Relation::Unknown];

    #[test]
    fn the_first_commit_and_every_newer_one_is_applied() {
        assert_eq!(decide("b", None, &Known::default(), false), Decision::Act(Reason::First));
        assert_eq!(decide("b", Some(Relation::Descendant), &known("a"), false), Decision::Act(Reason::Newer));
    }

    #[test]
    fn the_applied_commit_is_left_alone_and_so_is_a_rollback() {
        assert_eq!(decide("a", Some(Relation::Same), &known("a"), false), Decision::Skip(Skip::UpToDate));
        let known = Known { rolled_back: true, ..known("a") };
        assert_eq!(decide("a", Some(Relation::Same), &known, false), Decision::Skip(Skip::RolledBack));
        assert_eq!(decide("b", Some(Relation::Descendant), &known, false), Decision::Act(Reason::Newer));
    }

    #[test]
    fn what_does_not_come_after_the_applied_commit_is_refused() {
        for relation in [Relation::Ancestor, Relation::Diverged, Relation::Unknown] {
            let decision = decide("b", Some(relation), &known("a"), false);
            assert!(matches!(decision, Decision::Refuse(Refusal::NotDescendant { .. })), "{relation:?}: {decision:?}");
        }
    }

    #[test]
    fn a_commit_that_failed_waits_for_another_one() {
        let known = Known { quarantine: Some(failed("b")), ..known("a") };
        for relation in RELATIONS {
            let decision = decide("b", Some(relation), &known, false);
            assert!(matches!(decision, Decision::Refuse(Refusal::Quarantined(_))), "{relation:?}: {decision:?}");
        }
        assert_eq!(decide("c", Some(Relation::Descendant), &known, false), Decision::Act(Reason::Newer));
    }

    #[test]
    fn force_goes_ahead_whatever_is_known() {
        let known = Known { quarantine: Some(failed("b")), rolled_back: true, ..known("a") };
        for relation in RELATIONS {
            assert_eq!(decide("b", Some(relation), &known, true), Decision::Act(Reason::Forced));
        }
    }
}
