//! A step on Lambda: a function that carries its attempts out.

use liminal_schemas::aws::limits::PROVIDED_RUNTIME;
use liminal_schemas::aws::placement;
use liminal_schemas::aws::resource::FunctionSpec;
use liminal_schemas::aws::resource::ResourceSpec;
use liminal_schemas::aws::runtime::PROVIDED_HANDLER;
use liminal_schemas::aws::runtime::PYTHON_HANDLER;
use liminal_schemas::aws::variables;

use super::ResourceSet;
use super::statements;
use super::step::Common;
use super::step::StepInput;

/// The service that functions' roles are for.
pub(super) const LAMBDA: &str = "lambda.amazonaws.com";

impl StepInput<'_> {
    /// Adds what the step needs on Lambda.
    pub(super) fn add_function(&self, set: &mut ResourceSet, common: &Common) {
        let scope = self.scope;
        let mut allowed = self.protocol();
        allowed.extend(self.attempts_access(&["packages/*.json"]));
        allowed.extend(common.secrets.iter().cloned());
        allowed.push(statements::receive(scope.step_queues_arn(self.pipeline, self.step)));
        allowed.push(statements::log(scope, &common.log_group));
        let parts = [self.pipeline.as_str(), self.step.as_str()];
        let role = statements::role(scope, &parts, LAMBDA, allowed);
        let role_arn = scope.role_arn(&role);
        let role = set.add(ResourceSpec::Role(role), [], Some(&common.served));
        let bundle = self.add_bundle(set, common, Some(self.input.runner));
        let (runtime, handler) = match &common.python {
            Some(version) => (format!("python{version}"), PYTHON_HANDLER),
            None => (PROVIDED_RUNTIME.to_owned(), PROVIDED_HANDLER),
        };
        let function = FunctionSpec {
            name_parts: scope.parts(&parts),
            lasting_name: None,
            runtime,
            handler: handler.to_owned(),
            bundle: bundle.clone(),
            role: role_arn,
            memory_mib: placement::lambda_memory_mib(self.spec),
            disk_mib: placement::lambda_disk_mib(self.spec),
            timeout_seconds: placement::lambda_timeout_seconds(self.spec),
            arch: self.input.spec.arch,
            environment: self.variables(Some(variables::MODE_STEP)),
            log_group: common.log_group.clone(),
        };
        let (name, timeout) = (function.name(), function.timeout_seconds);
        let needs = [bundle, role, common.logs.clone()];
        let function = set.add(ResourceSpec::Function(Box::new(function)), needs, Some(&common.served));
        let bound = self.spec.map.as_ref().and_then(|map| map.max_concurrency);
        self.add_queue(set, common, (function, name, timeout), bound);
    }
}
