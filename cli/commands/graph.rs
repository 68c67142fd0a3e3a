use crate::app::Context;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::project;
use crate::render::graph;
use crate::render::graph::Picture;

/// Draw a pipeline.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  liminal graph train\n  liminal graph train -o svg > train.svg\n  liminal graph -o mermaid"
)]
pub(crate) struct GraphArgs {
    /// The pipeline; may be left out when there is one.
    pipeline: Option<String>,
    /// Draw it as of this git revision instead of the work tree.
    #[arg(long, value_name = "REV")]
    rev: Option<String>,
    /// The form of the drawing.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: GraphFormat,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum GraphFormat {
    /// For the terminal.
    #[default]
    Text,
    /// Mermaid, as GitHub draws it in Markdown.
    Mermaid,
    /// Graphviz.
    Dot,
    /// A picture that stands by itself.
    Svg,
    /// Nodes and edges for programs.
    Json,
}

pub(crate) fn run(context: &Context, args: &GraphArgs) -> CommandResult {
    let project = project::open(context, args.rev.as_deref())?;
    let (_, release) = project.pipeline(args.pipeline.as_deref())?;
    let picture = Picture::new(release);
    match args.output {
        GraphFormat::Text => context.printer.data(&graph::text(&picture, &context.printer.out)),
        GraphFormat::Mermaid => context.printer.data(&graph::mermaid(&picture)),
        GraphFormat::Dot => context.printer.data(&graph::dot(&picture)),
        GraphFormat::Svg => context.printer.data(&graph::svg(&picture)),
        GraphFormat::Json => context.printer.json(&picture),
    }
    Ok(ExitCode::Ok)
}
