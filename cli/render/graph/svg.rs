//! A pipeline as a drawing that needs nothing else: no script, no font, no style sheet from elsewhere.

use liminal_schemas::step::Phase;

use super::Edge;
use super::EdgeKind;
use super::Node;
use super::NodeKind;
use super::Picture;
use super::colours;
use super::layout::Boxes;
use super::layout::Layout;
use super::layout::layout;
use crate::render::style::Style;

/// A box, in pixels.
const WIDTH: f64 = 184.0;
const HEIGHT: f64 = 50.0;

/// Between boxes of a layer, and between layers.
const GAP: f64 = 26.0;
const LAYER_GAP: f64 = 46.0;

/// Around everything.
const MARGIN: f64 = 16.0;

/// What an arrow takes that passes a layer.
const LANE: f64 = 22.0;

/// Above this many boxes beside each other the drawing runs from left to right, so that it is long rather than wide.
const MOST_BESIDE: usize = 6;

/// How many characters of each line fit into a box.
const NAME_CHARS: usize = 22;
const DOES_CHARS: usize = 30;

/// The pipeline as SVG. Arrows are grey and boxes have fills of their own, so that it reads on light and dark pages.
pub(crate) fn svg(picture: &Picture) -> String {
    let drawing = Drawing::new(picture);
    let (width, height) = drawing.size();
    let title = escape(&format!("{}/{}", picture.project, picture.pipeline));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\">\n\
         <title>{title}</title>\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto-start-reverse\" markerUnits=\"userSpaceOnUse\">\
         <path d=\"M0.5 0.5 7.5 4 0.5 7.5z\" fill=\"#75859b\"/></marker></defs>\n\
         <g fill=\"none\" stroke=\"#75859b\" stroke-width=\"1.5\">\n"
    );
    for (edge, bends) in picture.edges.iter().zip(&drawing.layout.bends) {
        text.push_str(&drawing.arrow(picture, edge, bends));
    }
    text.push_str("</g>\n<g text-anchor=\"middle\">\n");
    for (place, step) in picture.steps.iter().enumerate() {
        text.push_str(&shape(step, drawing.corner(place)));
    }
    text.push_str("</g>\n</svg>\n");
    text
}

struct Drawing {
    layout: Layout,
    downward: bool,
}

impl Drawing {
    fn new(picture: &Picture) -> Self {
        let arrows: Vec<(usize, usize)> = picture.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let of = |breadth| layout(&Boxes { count: picture.steps.len(), arrows: &arrows, breadth, lane: LANE });
        let downward = of(WIDTH + GAP);
        let beside = (0..downward.depth)
            .map(|layer| downward.layers.iter().filter(|other| **other == layer).count())
            .max()
            .unwrap_or(0);
        if beside > MOST_BESIDE {
            Self { layout: of(HEIGHT + GAP), downward: false }
        } else {
            Self { layout: downward, downward: true }
        }
    }

    fn size(&self) -> (f64, f64) {
        let depth = self.along(self.layout.depth) - self.layer_gap() + MARGIN;
        let breadth = self.layout.breadth - GAP + 2.0 * MARGIN;
        if self.downward { (breadth, depth) } else { (depth, breadth) }
    }

    /// Where a layer begins.
    #[expect(clippy::cast_precision_loss, reason = "places in a drawing are far below 2^52")]
    fn along(&self, layer: usize) -> f64 {
        MARGIN + layer as f64 * (self.layer_gap() + self.thickness())
    }

    /// Arrows to the side need more room to turn, since the boxes they lead to are further apart.
    const fn layer_gap(&self) -> f64 {
        if self.downward { LAYER_GAP } else { LAYER_GAP * 1.75 }
    }

    /// What a box takes along the direction of the arrows.
    const fn thickness(&self) -> f64 {
        if self.downward { HEIGHT } else { WIDTH }
    }

    fn point(&self, along: f64, across: f64) -> (f64, f64) {
        let across = across - GAP / 2.0 + MARGIN;
        if self.downward { (across, along) } else { (along, across) }
    }

    /// The upper left corner of a box.
    fn corner(&self, place: usize) -> (f64, f64) {
        let along = self.along(self.layout.layers[place]);
        let (x, y) = self.point(along, self.layout.centres[place]);
        if self.downward { (x - WIDTH / 2.0, y) } else { (x, y - HEIGHT / 2.0) }
    }

    fn arrow(&self, picture: &Picture, edge: &Edge, bends: &[f64]) -> String {
        let mut points = Vec::new();
        let (from, to) = (self.layout.layers[edge.from], self.layout.layers[edge.to]);
        points.push((self.along(from) + self.thickness(), self.layout.centres[edge.from]));
        for (layer, bend) in (from + 1..).zip(bends) {
            points.push((self.along(layer), *bend));
            points.push((self.along(layer) + self.thickness(), *bend));
        }
        points.push((self.along(to), self.layout.centres[edge.to]));
        let mut path = String::new();
        for (place, &(along, across)) in points.iter().enumerate() {
            let (x, y) = self.point(along, across);
            if place == 0 {
                path.push_str(&format!("M{x:.1} {y:.1}"));
            } else if place % 2 == 0 {
                path.push_str(&format!("L{x:.1} {y:.1}"));
            } else {
                let (before_along, before_across) = points[place - 1];
                let middle = f64::midpoint(before_along, along);
                let (first, second) = (self.point(middle, before_across), self.point(middle, across));
                path.push_str(&format!("C{:.1} {:.1} {:.1} {:.1} {x:.1} {y:.1}", first.0, first.1, second.0, second.1));
            }
        }
        let dashes = match edge.kind {
            EdgeKind::Data => "",
            EdgeKind::Order => " stroke-dasharray=\"6 4\"",
            EdgeKind::Finally => " stroke-dasharray=\"2 4\"",
        };
        let name = |place: usize| picture.steps.get(place).map_or("", |step| step.name.as_str());
        let what = match edge.kind {
            EdgeKind::Data => format!("{} → {}: {}", name(edge.from), name(edge.to), edge.items.join(", ")),
            EdgeKind::Order | EdgeKind::Finally => format!("{} → {}: order alone", name(edge.from), name(edge.to)),
        };
        format!("<path d=\"{path}\"{dashes} marker-end=\"url(#arrow)\"><title>{}</title></path>\n", escape(&what))
    }
}

fn shape(step: &Node, (x, y): (f64, f64)) -> String {
    let (fill, line) = colours(step.phase);
    let dashes = if step.finally { " stroke-dasharray=\"6 4\"" } else { "" };
    let paint = format!("fill=\"{fill}\" stroke=\"{line}\" stroke-width=\"1.5\"{dashes}");
    let (right, bottom) = (x + WIDTH, y + HEIGHT);
    let outline = match step.kind {
        NodeKind::Work => {
            format!("<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"9\" {paint}/>")
        }
        NodeKind::Gate => {
            let (left_tip, right_tip, middle) = (x + 14.0, right - 14.0, y + HEIGHT / 2.0);
            format!(
                "<path d=\"M{left_tip:.1} {y:.1}H{right_tip:.1}L{right:.1} {middle:.1} {right_tip:.1} {bottom:.1}H{left_tip:.1}L{x:.1} {middle:.1}z\" {paint}/>"
            )
        }
        NodeKind::Register => format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"9\" {paint}/>\
             <rect x=\"{:.1}\" y=\"{:.1}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"none\" stroke=\"{line}\"/>",
            x + 3.5,
            y + 3.5,
            WIDTH - 7.0,
            HEIGHT - 7.0
        ),
    };
    let middle = x + WIDTH / 2.0;
    // The shape says already whether it is a gate, so the keyword only takes room.
    let does = step.does.split_once(' ').map_or(step.does.as_str(), |(_, what)| what);
    let about = [step.finally.then_some("finally"), step.phase.map(Phase::as_str), Some(does)];
    let second = about.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let condition = step.when.as_ref().map(|when| format!("\nwhen {when}")).unwrap_or_default();
    format!(
        "<g><title>{}</title>{outline}\
         <text x=\"{middle:.1}\" y=\"{:.1}\" font-size=\"13\" font-weight=\"600\" fill=\"#0f172a\">{}</text>\
         <text x=\"{middle:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#334155\">{}</text></g>\n",
        escape(&format!("{}: {}{condition}", step.name, step.does)),
        y + 22.0,
        escape(&Style::PLAIN.fit(&step.name, NAME_CHARS)),
        y + 38.0,
        escape(&Style::PLAIN.fit(&second, DOES_CHARS)),
    )
}

/// A text in XML, where control characters have no place at all.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            character if character.is_control() || matches!(character, '\u{FFFE}' | '\u{FFFF}') => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::*;

    #[test]
    fn a_small_pipeline_is_drawn() {
        let steps = [samples::step(Phase::Fetch, "fetch", &[]), samples::step(Phase::Clean, "clean", &["fetch"])];
        insta::assert_snapshot!(svg(&Picture::new(&samples::release_of(steps))), @r##"
        <svg xmlns="http://www.w3.org/2000/svg" width="216" height="178" viewBox="0 0 216 178" role="img" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif">
        <title>breast-cancer/train</title>
        <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse" markerUnits="userSpaceOnUse"><path d="M0.5 0.5 7.5 4 0.5 7.5z" fill="#75859b"/></marker></defs>
        <g fill="none" stroke="#75859b" stroke-width="1.5">
        <path d="M108.0 66.0C108.0 89.0 108.0 89.0 108.0 112.0" marker-end="url(#arrow)"><title>fetch → clean: data</title></path>
        </g>
        <g text-anchor="middle">
        <g><title>fetch: call steps.fetch:fetch</title><rect x="16.0" y="16.0" width="184" height="50" rx="9" fill="#dbeafe" stroke="#2563eb" stroke-width="1.5"/><text x="108.0" y="38.0" font-size="13" font-weight="600" fill="#0f172a">fetch</text><text x="108.0" y="54.0" font-size="10" fill="#334155">fetch · steps.fetch:fetch</text></g>
        <g><title>clean: call steps.clean:clean</title><rect x="16.0" y="112.0" width="184" height="50" rx="9" fill="#cffafe" stroke="#0e7490" stroke-width="1.5"/><text x="108.0" y="134.0" font-size="13" font-weight="600" fill="#0f172a">clean</text><text x="108.0" y="150.0" font-size="10" fill="#334155">clean · steps.clean:clean</text></g>
        </g>
        </svg>
        "##);
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("<a b=\"c\">&\u{1b}"), "&lt;a b=&quot;c&quot;&gt;&amp; ");
    }

    #[test]
    fn a_wide_pipeline_runs_from_left_to_right() {
        let mut steps = vec![samples::step(Phase::Fetch, "fetch", &[])];
        steps.extend((0..20).map(|place| samples::step(Phase::Train, &format!("train_{place}"), &["fetch"])));
        let drawing = Drawing::new(&Picture::new(&samples::release_of(steps)));
        let (width, height) = drawing.size();
        assert!(width < 500.0 && height > 1000.0, "{width} x {height}");
    }

    #[test]
    fn a_thousand_steps_are_soon_drawn() {
        let steps = (0..1000).map(|place: usize| {
            let parents: Vec<String> =
                if place == 0 { Vec::new() } else { vec![format!("s{}", place / 3), format!("s{}", place - 1)] };
            let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
            samples::step(Phase::Train, &format!("s{place}"), &parents)
        });
        assert!(svg(&Picture::new(&samples::release_of(steps))).ends_with("</svg>\n"));
    }
}
