//! Where the boxes of a drawing go: in layers, so that every arrow points the same way, with few crossings (barycentres)
//! and arrows as straight as the boxes allow (isotonic regression). The classic method of Sugiyama, Tagawa and Toda.

/// How often layers are put in order, and how often boxes are moved, in each direction. More changes nothing to see.
const SWEEPS: usize = 8;

/// How many places there may be where an arrow passes a layer. Where there would be more, arrows lead straight from end
/// to end: nothing keeps such a drawing legible, but it can still be quick.
const MOST_PASSAGES: usize = 3000;

/// How much more the wish of an arrow that passes several layers counts than that of a box: a box may stand a little
/// beside its place, a long arrow that swerves is ugly.
const PASSAGE_WEIGHT: f64 = 8.0;

/// What is to be drawn: how much room each box needs across the direction of the arrows, and the arrows.
pub(super) struct Boxes<'a> {
    /// How many there are.
    pub count: usize,
    /// The arrows: from a box to one that comes after it.
    pub arrows: &'a [(usize, usize)],
    /// What a box takes across.
    pub breadth: f64,
    /// What an arrow takes that passes a layer.
    pub lane: f64,
}

/// Where everything goes.
pub(super) struct Layout {
    /// The layer of each box, from 0.
    pub layers: Vec<usize>,
    /// The middle of each box across.
    pub centres: Vec<f64>,
    /// For each arrow, where it passes the layers between its ends; none of them where it leads straight on.
    pub bends: Vec<Vec<f64>>,
    /// How many layers there are.
    pub depth: usize,
    /// How much room all take across.
    pub breadth: f64,
}

/// A box, or the place where an arrow passes a layer.
struct Item {
    layer: usize,
    room: f64,
    weight: f64,
    before: Vec<usize>,
    after: Vec<usize>,
    centre: f64,
}

/// Places the boxes. Boxes are numbered so that arrows only lead to higher numbers.
pub(super) fn layout(boxes: &Boxes<'_>) -> Layout {
    let layers = layers(boxes);
    let mut items: Vec<Item> = layers
        .iter()
        .map(|&layer| Item {
            layer,
            room: boxes.breadth,
            weight: 1.0,
            before: Vec::new(),
            after: Vec::new(),
            centre: 0.0,
        })
        .collect();
    let lengths = boxes.arrows.iter().map(|&(from, to)| layers[to] - layers[from] - 1);
    let routed = lengths.sum::<usize>() <= MOST_PASSAGES;
    let mut passages = Vec::new();
    for &(from, to) in boxes.arrows {
        let mut last = from;
        let mut passage = Vec::new();
        if !routed && layers[to] > layers[from] + 1 {
            passages.push(passage);
            continue;
        }
        for layer in layers[from] + 1..layers[to] {
            let next = items.len();
            items.push(Item {
                layer,
                room: boxes.lane,
                weight: 1.0,
                before: Vec::new(),
                after: Vec::new(),
                centre: 0.0,
            });
            connect(&mut items, last, next);
            passage.push(next);
            last = next;
        }
        connect(&mut items, last, to);
        if passage.len() > 1 {
            passage.iter().for_each(|&place| items[place].weight = PASSAGE_WEIGHT);
        }
        passages.push(passage);
    }
    let depth = layers.iter().max().map_or(0, |last| last + 1);
    let mut rows = vec![Vec::new(); depth];
    for (place, item) in items.iter().enumerate() {
        rows[item.layer].push(place);
    }
    order(&mut rows, &items);
    straighten(&rows, &mut items);
    let least = items.iter().map(|item| item.centre - item.room / 2.0).fold(f64::INFINITY, f64::min);
    let most = items.iter().map(|item| item.centre + item.room / 2.0).fold(f64::NEG_INFINITY, f64::max);
    Layout {
        centres: items.iter().take(boxes.count).map(|item| item.centre - least).collect(),
        bends: passages
            .iter()
            .map(|passage| passage.iter().map(|&place| items[place].centre - least).collect())
            .collect(),
        depth,
        breadth: if items.is_empty() { 0.0 } else { most - least },
        layers,
    }
}

fn connect(items: &mut [Item], from: usize, to: usize) {
    items[from].after.push(to);
    items[to].before.push(from);
}

/// Each box as far along as its longest way from the start; then those without anything before them move up to what
/// follows, so that their arrows are short.
fn layers(boxes: &Boxes<'_>) -> Vec<usize> {
    let mut layers = vec![0; boxes.count];
    let mut arrows: Vec<(usize, usize)> = boxes.arrows.to_vec();
    arrows.sort_unstable();
    for &(from, to) in &arrows {
        layers[to] = layers[to].max(layers[from] + 1);
    }
    for place in (0..boxes.count).rev() {
        let starts = !arrows.iter().any(|&(_, to)| to == place);
        let next = arrows.iter().filter(|&&(from, _)| from == place).map(|&(_, to)| layers[to]).min();
        if let (true, Some(next)) = (starts, next) {
            layers[place] = next - 1;
        }
    }
    layers
}

/// Orders every layer by the middle of what each item is connected to, and keeps the order with the fewest crossings.
fn order(rows: &mut Vec<Vec<usize>>, items: &[Item]) {
    let mut best = rows.clone();
    let mut fewest = crossings(rows, items);
    for sweep in 0..SWEEPS * 2 {
        if fewest == 0 {
            break;
        }
        let forward = sweep % 2 == 0;
        let depth = rows.len();
        for step in 1..depth {
            let (layer, fixed) = if forward { (step, step - 1) } else { (depth - 1 - step, depth - step) };
            let mut places = vec![0.0; items.len()];
            for (place, &item) in rows[fixed].iter().enumerate() {
                places[item] = index(place);
            }
            let mut keyed: Vec<(f64, usize)> = rows[layer]
                .iter()
                .enumerate()
                .map(|(place, &item)| {
                    let neighbours = if forward { &items[item].before } else { &items[item].after };
                    (mean(neighbours.iter().map(|&other| places[other])).unwrap_or(index(place)), item)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            rows[layer] = keyed.into_iter().map(|(_, item)| item).collect();
        }
        let now = crossings(rows, items);
        if now < fewest {
            fewest = now;
            best.clone_from(rows);
        }
    }
    *rows = best;
}

/// How many pairs of arrows cross between neighbouring layers.
fn crossings(rows: &[Vec<usize>], items: &[Item]) -> usize {
    let mut places = vec![0; items.len()];
    for row in rows {
        for (place, &item) in row.iter().enumerate() {
            places[item] = place;
        }
    }
    let mut crossings = 0;
    for row in rows {
        let mut ends: Vec<usize> = Vec::new();
        for &item in row {
            let mut own: Vec<usize> = items[item].after.iter().map(|&other| places[other]).collect();
            own.sort_unstable();
            crossings += own.iter().map(|end| ends.iter().filter(|other| *other > end).count()).sum::<usize>();
            ends.extend(own);
        }
    }
    crossings
}

/// Moves the items of each layer, in their order, as near as possible to the middle of what they are connected to.
fn straighten(rows: &[Vec<usize>], items: &mut [Item]) {
    for row in rows {
        let mut edge = 0.0;
        for &item in row {
            items[item].centre = edge + items[item].room / 2.0;
            edge += items[item].room;
        }
        for &item in row {
            items[item].centre -= edge / 2.0;
        }
    }
    for sweep in 0..SWEEPS * 3 {
        let depth = rows.len();
        for step in 0..depth {
            let row = &rows[if sweep % 2 == 0 { step } else { depth - 1 - step }];
            let wanted: Vec<f64> = row
                .iter()
                .map(|&item| {
                    let centre = |others: &[usize]| mean(others.iter().map(|&other| items[other].centre));
                    let (before, after) = (centre(&items[item].before), centre(&items[item].after));
                    // The last sweeps look both ways, so that a box stands between what it takes and what it gives.
                    let both = sweep >= SWEEPS * 2;
                    let wish = match (before, after) {
                        (Some(before), Some(after)) if both => Some(f64::midpoint(before, after)),
                        (before, after) if sweep % 2 == 0 => before.or(after),
                        (before, after) => after.or(before),
                    };
                    wish.unwrap_or(items[item].centre)
                })
                .collect();
            let rooms: Vec<(f64, f64)> = row.iter().map(|&item| (items[item].room, items[item].weight)).collect();
            for (&item, centre) in row.iter().zip(apart(&wanted, &rooms)) {
                items[item].centre = centre;
            }
        }
    }
}

/// The centres nearest to those wanted (weighted least squares) that keep the order and leave each item its room, given
/// as room and weight: isotonic regression by pooling neighbours that want to be at the same place.
fn apart(wanted: &[f64], rooms: &[(f64, f64)]) -> Vec<f64> {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(rooms.len());
    for (place, (room, _)) in rooms.iter().enumerate() {
        if place > 0 {
            offset += f64::midpoint(rooms[place - 1].0, *room);
        }
        offsets.push(offset);
    }
    let mut pools: Vec<Pool> = Vec::new();
    for ((wish, offset), (_, weight)) in wanted.iter().zip(&offsets).zip(rooms) {
        let mut pool = Pool { value: wish - offset, weight: *weight, size: 1 };
        while let Some(last) = pools.pop_if(|last| last.value >= pool.value) {
            let weight = last.weight + pool.weight;
            let value = (last.value * last.weight + pool.value * pool.weight) / weight;
            pool = Pool { value, weight, size: last.size + pool.size };
        }
        pools.push(pool);
    }
    let values = pools.iter().flat_map(|pool| std::iter::repeat_n(pool.value, pool.size));
    values.zip(offsets).map(|(value, offset)| value + offset).collect()
}

/// Neighbours that end up side by side.
struct Pool {
    value: f64,
    weight: f64,
    size: usize,
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, number) = values.fold((0.0, 0), |(sum, number), value| (sum + value, number + 1));
    (number > 0).then(|| sum / index(number))
}

#[expect(clippy::cast_precision_loss, reason = "places in a drawing are far below 2^52")]
const fn index(place: usize) -> f64 {
    place as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: usize, arrows: &[(usize, usize)]) -> Layout {
        layout(&Boxes { count, arrows, breadth: 10.0, lane: 2.0 })
    }

    #[test]
    fn a_diamond_is_symmetric() {
        let layout = of(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
        assert_eq!(layout.layers, [0, 1, 1, 2]);
        let rounded: Vec<f64> = layout.centres.iter().map(|centre| (centre * 10.0).round() / 10.0).collect();
        assert_eq!(rounded, [10.0, 5.0, 15.0, 10.0]);
    }

    #[test]
    fn arrows_that_need_not_cross_do_not() {
        let layout = of(6, &[(0, 5), (1, 4), (2, 3)]);
        let ends = [5, 4, 3].map(|place: usize| layout.centres[place]);
        let starts = [0, 1, 2].map(|place: usize| layout.centres[place]);
        assert!((0..2).all(|place| (starts[place] < starts[place + 1]) == (ends[place] < ends[place + 1])));
    }

    #[test]
    fn boxes_of_a_layer_never_overlap_and_long_arrows_pass_between_them() {
        let arrows: Vec<(usize, usize)> = (1..60)
            .flat_map(|to| [((to * 7 + 3) % to, to), (to / 2, to)])
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let layout = of(60, &arrows);
        for first in 0..60 {
            for second in first + 1..60 {
                let same = layout.layers[first] == layout.layers[second];
                assert!(!same || (layout.centres[first] - layout.centres[second]).abs() > 9.999);
            }
        }
        for (&(from, to), bends) in arrows.iter().zip(&layout.bends) {
            assert_eq!(bends.len(), layout.layers[to] - layout.layers[from] - 1);
        }
    }

    #[test]
    fn nothing_is_laid_out_too() {
        assert_eq!(of(0, &[]).depth, 0);
    }
}
