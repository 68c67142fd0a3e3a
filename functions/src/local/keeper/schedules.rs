//! The schedules that are kept, and which of them are due.

use std::collections::BTreeMap;

use liminal_schemas::digest::Digest;
use liminal_schemas::message::TriggerMessage;
use liminal_schemas::name::PipelineName;
use liminal_schemas::time::UtcTime;

use crate::starter::KeptSchedule;

/// For each schedule, up to when its times are dealt with.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    done: BTreeMap<(PipelineName, Digest), UtcTime>,
}

impl Schedules {
    /// What the schedules send that are due. One that is new is kept from now on: times before that are nobody's. Of several
    /// times that passed meanwhile, as while the machine slept, the last one counts.
    pub(super) fn due(&mut self, kept: &[KeptSchedule], now: UtcTime) -> Vec<TriggerMessage> {
        let mut due = Vec::new();
        let mut done = BTreeMap::new();
        for KeptSchedule { pipeline, trigger, schedule } in kept {
            let id = (pipeline.clone(), *trigger);
            let mut since = self.done.get(&id).copied().unwrap_or(now);
            let mut last = None;
            while let Some(next) =
                schedule.as_ref().ok().and_then(|it| it.next_after(since)).filter(|next| *next <= now)
            {
                (since, last) = (next, Some(next));
            }
            due.extend(last.map(|time| TriggerMessage::Schedule {
                pipeline: pipeline.clone(),
                trigger: *trigger,
                time: time.to_string(),
            }));
            done.insert(id, since);
        }
        self.done = done;
        due
    }
}

#[cfg(test)]
mod tests {
    use liminal_schemas::schedule::Schedule;

    use super::*;

    fn kept(expression: &str) -> KeptSchedule {
        KeptSchedule {
            pipeline: PipelineName::new("nightly").expect("valid"),
            trigger: Digest::of_bytes(expression.as_bytes()),
            schedule: Schedule::new(expression, "UTC"),
        }
    }

    /// The times for which schedules fire, when they are looked at in a minute.
    fn fires(schedules: &mut Schedules, kept: &[KeptSchedule], minute: i64) -> Vec<String> {
        let due = schedules.due(kept, UtcTime::from_millis(minute * 60_000));
        let time = |message| match message {
            TriggerMessage::Schedule { time, .. } => time[11..16].to_owned(),
            TriggerMessage::Sweep(_) => panic!("only schedules fire"),
        };
        due.into_iter().map(time).collect()
    }

    #[test]
    fn each_time_fires_once_and_of_those_that_were_missed_the_last() {
        let (mut schedules, hourly) = (Schedules::default(), [kept("rate(1 hour)")]);
        assert!(fires(&mut schedules, &hourly, 10).is_empty(), "what was before is nobody's");
        assert!(fires(&mut schedules, &hourly, 59).is_empty());
        assert_eq!(fires(&mut schedules, &hourly, 60), ["01:00"]);
        assert!(fires(&mut schedules, &hourly, 60).is_empty(), "once");
        assert_eq!(fires(&mut schedules, &hourly, 310), ["05:00"]);
        let both = [kept("rate(1 hour)"), kept("cron(20 * * * ? *)")];
        assert!(fires(&mut schedules, &both, 311).is_empty());
        assert_eq!(fires(&mut schedules, &both, 320), ["05:20"]);
        assert_eq!(fires(&mut schedules, &both, 360), ["06:00"]);
    }
}
