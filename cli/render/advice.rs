//! Commands that a text advises: made to work where they are pasted.

/// What a command between backticks begins with.
const PROGRAM: &str = "`liminal ";

/// Names the environment in every command of a text (`` `liminal resume …` ``) that names none: whoever called with `-e`
/// would otherwise paste a command that goes to another environment.
pub(crate) fn for_environment(text: &str, environment: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PROGRAM) {
        let (before, command) = rest.split_at(at);
        let Some(end) = command.get(1..).and_then(|command| command.find('`')).map(|end| end + 1) else { break };
        let (command, after) = command.split_at(end);
        result.push_str(before);
        result.push_str(command);
        let names_one = command.split_whitespace().any(|word| word == "-e" || word.starts_with("--env"));
        if !names_one {
            result.push_str(" -e ");
            result.push_str(environment);
        }
        rest = after;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::for_environment;

    #[test]
    fn a_command_gets_the_environment_unless_it_names_one() {
        let text = "error: gone\n hint: `liminal resume 1` goes on, `liminal plan -e prod` tells more, see `docs`\n";
        let wanted =
            "error: gone\n hint: `liminal resume 1 -e dev` goes on, `liminal plan -e prod` tells more, see `docs`\n";
        assert_eq!(for_environment(text, "dev"), wanted);
    }

    #[test]
    fn what_is_no_command_stays_as_it_is() {
        for text in ["", "`liminal", "`liminal run", "liminal run", "a `step` of `liminal-runner`"] {
            assert_eq!(for_environment(text, "dev"), text);
        }
    }
}
