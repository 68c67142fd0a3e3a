//! Where something comes from, or what became of it, as a tree.

use super::style::Style;
use super::style::one_line;

/// Deeper than this no tree is drawn: the rest is cut, and said to be.
const DEEPEST: usize = 64;

/// A thing and what it comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineageNode {
    /// What it is called: `evaluate.model`, `run 2026…`, `models.breast-cancer@3`.
    pub name: String,
    /// What else is to be said of it: a digest, a size, a status.
    pub detail: String,
    /// What it comes from.
    pub children: Vec<LineageNode>,
    /// Whether its children are shown elsewhere in the same tree, so that they are not shown again.
    pub seen: bool,
}

impl LineageNode {
    /// A thing that comes from nothing, so far.
    pub(crate) fn new(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), detail: detail.into(), children: Vec::new(), seen: false }
    }

    /// Adds what it comes from.
    pub(crate) fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }
}

/// The tree as text.
pub(crate) fn text(root: &LineageNode, style: &Style) -> String {
    let mut text = String::new();
    line(&mut text, root, "", style);
    children(&mut text, root, "", 1, style);
    text
}

fn line(text: &mut String, node: &LineageNode, lead: &str, style: &Style) {
    let above = if node.seen { style.symbol("  ↑ see above", "  (see above)") } else { "" };
    let detail = if node.detail.is_empty() { String::new() } else { format!("  {}", one_line(&node.detail)) };
    text.push_str(&format!(
        "{}{}{}{}\n",
        style.dim(lead),
        style.bold(one_line(&node.name)),
        style.dim(detail),
        style.dim(above)
    ));
}

fn children(text: &mut String, node: &LineageNode, lead: &str, depth: usize, style: &Style) {
    if node.seen {
        return;
    }
    if depth > DEEPEST && !node.children.is_empty() {
        text.push_str(&format!("{lead}{}\n", style.ellipsis()));
        return;
    }
    for (place, child) in node.children.iter().enumerate() {
        let last = place + 1 == node.children.len();
        let (branch, next) = if last {
            (style.symbol("└─ ", "`- "), "   ")
        } else {
            (style.symbol("├─ ", "|- "), style.symbol("│  ", "|  "))
        };
        line(text, child, &format!("{lead}{branch}"), style);
        children(text, child, &format!("{lead}{next}"), depth + 1, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LineageNode {
        let prepare = || LineageNode::new("prepare.train_rows", "1f2e3d4c  41.2 KiB");
        let train = LineageNode::new("train.model", "a1b2c3d4  1.4 MiB")
            .child(prepare().child(LineageNode::new("fetch.raw", "99887766  120.0 KiB")))
            .child(LineageNode::new("params.seed", "42"));
        let forest = LineageNode::new("train_forest.model", "").child(LineageNode { seen: true, ..prepare() });
        LineageNode::new("models.breast-cancer@3", "run 20261124-230239-x7k2").child(train).child(forest)
    }

    #[test]
    fn a_tree_shows_each_part_once() {
        insta::assert_snapshot!(text(&sample(), &Style::PLAIN), @r"
        models.breast-cancer@3  run 20261124-230239-x7k2
        ├─ train.model  a1b2c3d4  1.4 MiB
        │  ├─ prepare.train_rows  1f2e3d4c  41.2 KiB
        │  │  └─ fetch.raw  99887766  120.0 KiB
        │  └─ params.seed  42
        └─ train_forest.model
           └─ prepare.train_rows  1f2e3d4c  41.2 KiB  ↑ see above
        ");
    }

    #[test]
    fn a_tree_needs_no_unicode() {
        assert!(text(&sample(), &Style { unicode: false, ..Style::PLAIN }).is_ascii());
    }

    #[test]
    fn a_tree_without_end_is_cut() {
        let deep = (0..500).fold(LineageNode::new("end", ""), |child, _| LineageNode::new("step", "").child(child));
        assert_eq!(text(&deep, &Style::PLAIN).lines().count(), DEEPEST + 2);
    }
}
