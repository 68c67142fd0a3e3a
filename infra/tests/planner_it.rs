#![expect(clippy::expect_used, reason = "these are tests")]
#[path = "it/apply.rs"]
mod apply;
#[path = "it/aws_desired.rs"]
mod aws_desired;
#[path = "it/aws_plan.rs"]
mod aws_plan;
#[path = "it/fixture.rs"]
mod fixture;
