//! IAM takes policies of a limited length only: better said before anything is made.

use std::collections::BTreeMap;

use liminal_schemas::aws::limits;
use liminal_schemas::aws::policy::Statement;
use liminal_schemas::aws::resource::CloudResource;
use liminal_schemas::state::ResourceAddress;

use super::DesiredProblem;

/// What a statement has besides its texts, in characters: `{"Sid":"","Effect":"Allow","Action":[],"Resource":[]},`.
const AROUND_STATEMENT: usize = 56;

/// What a text in a list has besides itself: quotes and a comma.
const AROUND_TEXT: usize = 3;

/// The roles whose policies are too long.
pub(super) fn problems(resources: &BTreeMap<ResourceAddress, CloudResource>) -> Vec<DesiredProblem> {
    let roles = resources.values().filter_map(|resource| resource.spec.as_role());
    let measured = roles.map(|role| (role, role.statements.iter().map(characters).sum::<usize>()));
    let most = usize::try_from(limits::ROLE_POLICY.value).unwrap_or(usize::MAX);
    measured
        .filter(|(_, characters)| *characters > most)
        .map(|(role, characters)| DesiredProblem::PolicyTooLong { role: role.name(), characters })
        .collect()
}

fn characters(statement: &Statement) -> usize {
    let texts = statement.actions.iter().chain(&statement.resources);
    let conditions = statement.conditions.iter().flat_map(|(operator, keys)| {
        let of_keys = keys.iter().flat_map(|(key, values)| std::iter::once(key).chain(values));
        std::iter::once(operator).chain(of_keys)
    });
    let texts: usize = texts.chain(conditions).map(|text| text.len() + AROUND_TEXT).sum();
    AROUND_STATEMENT + statement.sid.len() + texts
}
