//! What a run that redrives another takes over from it.

use std::collections::BTreeMap;

use liminal_schemas::digest::Digest;
use liminal_schemas::name::FieldName;
use liminal_schemas::run::Commit;
use liminal_schemas::run::CommitStatus;
use liminal_schemas::step::Action;
use liminal_schemas::step::StepSpec;

/// Whether the end of a step, or of an item, in an earlier run stands for what it would come to now: it left what it declares, it
/// was given the same, and it leaves the same outputs. Its code may have changed since: what succeeded is not done again.
///
/// Gates are asked anew, since that costs nothing. A step some of whose items failed goes through its items, which are taken over
/// one by one.
pub fn is_taken_over(spec: &StepSpec, earlier: &Commit, inputs: &BTreeMap<FieldName, Digest>) -> bool {
    let is_whole = match earlier.status {
        CommitStatus::Succeeded | CommitStatus::Cached => {
            earlier.items.is_none_or(|counts| counts.failed == 0 && counts.skipped == 0)
        }
        CommitStatus::Failed | CommitStatus::Rejected | CommitStatus::Skipped => false,
    };
    let is_kept = match spec.action {
        Action::Run { .. } | Action::Call { .. } | Action::Register { .. } => true,
        Action::Gate { .. } => false,
    };
    is_whole && is_kept && earlier.inputs == *inputs && earlier.outputs.keys().eq(spec.outputs.keys())
}

#[cfg(test)]
mod tests {
    use liminal_schemas::map::ItemCounts;
    use liminal_schemas::time::UtcTime;
    use liminal_schemas::unit::Unit;

    use super::*;
    use crate::simulated::pipeline::gate;
    use crate::simulated::pipeline::release;
    use crate::simulated::pipeline::run_record;
    use crate::simulated::pipeline::step;
    use crate::simulated::pipeline::step_name;

    fn commit(status: CommitStatus) -> Commit {
        let record = run_record(&release([("fetch", step("fetch"))]), "20261124-000000-test");
        let (unit, start) = (Unit::step(step_name("fetch")), UtcTime::from_millis(0));
        Commit::blank(record.run, unit, status, String::new(), (start, start))
    }

    fn plain() -> StepSpec {
        StepSpec { outputs: BTreeMap::new(), ..step("fetch") }
    }

    #[test]
    fn what_succeeded_with_the_same_inputs_is_taken_over_and_nothing_else() {
        let none = BTreeMap::new();
        assert!(is_taken_over(&plain(), &commit(CommitStatus::Succeeded), &none));
        assert!(is_taken_over(&plain(), &commit(CommitStatus::Cached), &none));
        assert!(!is_taken_over(&plain(), &commit(CommitStatus::Failed), &none));
        assert!(!is_taken_over(&plain(), &commit(CommitStatus::Skipped), &none));
        assert!(!is_taken_over(&gate("1 < 2", &[]), &commit(CommitStatus::Succeeded), &none));
        let others = BTreeMap::from([(crate::simulated::pipeline::field("data"), Digest::of_bytes(b"other"))]);
        assert!(!is_taken_over(&plain(), &commit(CommitStatus::Succeeded), &others));
        assert!(!is_taken_over(&step("more outputs"), &commit(CommitStatus::Succeeded), &none));
    }

    #[test]
    fn a_step_with_failed_items_is_not_taken_over_as_a_whole() {
        let counts = ItemCounts { items: 10, succeeded: 9, failed: 1, ..ItemCounts::default() };
        let tolerated = Commit { items: Some(counts), ..commit(CommitStatus::Succeeded) };
        assert!(!is_taken_over(&plain(), &tolerated, &BTreeMap::new()));
    }
}
