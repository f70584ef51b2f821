//! Values over time as pictures: a line of blocks for terminals, SVG for everything else.
//!
//! Owns their look. Must never know what the values mean. Next: [`super::metric`], which draws with it.

use std::collections::BTreeMap;

use anyhow::anyhow;
use evenkeel_aws::Time;
use plotters::prelude::*;

/// From the least value to the most.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Width and height of an SVG.
const SIZE: (u32, u32) = (960, 360);

/// Height of one of several pictures in one SVG.
const PANEL: u32 = 280;

/// Apart for eyes of every kind (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
];

/// A line in a picture: what it is called, and its values by second.
pub type Line = (String, BTreeMap<i64, f64>);

/// Values from one second to before another as one line of at most so many characters: of each part of the time its mean, a
/// blank where there is none.
pub fn spark(points: &BTreeMap<i64, f64>, from: i64, to: i64, period: i64, columns: usize) -> String {
    let periods = usize::try_from((to - from) / period.max(1)).unwrap_or(0).max(1);
    let columns = columns.clamp(1, periods);
    let mut parts = vec![(0.0, 0u32); columns];
    for (second, value) in points.range(from..to) {
        let nth = usize::try_from((second - from) / period.max(1)).unwrap_or(0).min(periods - 1);
        let part = &mut parts[nth * columns / periods];
        *part = (part.0 + value, part.1 + 1);
    }
    let means: Vec<Option<f64>> =
        parts.iter().map(|(sum, count)| (*count > 0).then(|| sum / f64::from(*count))).collect();
    let (least, most) = bounds(means.iter().copied().flatten()).unwrap_or((0.0, 0.0));
    let block = |mean: f64| {
        let part = if most > least { (mean - least) / (most - least) } else { 0.0 };
        BLOCKS[((part * 7.0).round() as usize).min(7)]
    };
    means.into_iter().map(|mean| mean.map_or(' ', block)).collect()
}

/// The least and the most of some values; `None` of none.
pub fn bounds(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().fold(None, |held, value| {
        Some(held.map_or((value, value), |(least, most): (f64, f64)| (least.min(value), most.max(value))))
    })
}

/// Lines over the same time as SVG. A gap is where a line has no value for more than two periods.
///
/// # Errors
/// Those of drawing, in words.
pub fn svg(title: &str, lines: &[Line], from: i64, to: i64, period: i64) -> anyhow::Result<String> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    paint(&area, title, lines, from, to, period).map_err(|error| anyhow!("failed to draw: {error}"))?;
    drop(area);
    Ok(text)
}

/// Pictures of the same time, one below the other, each with its title and lines.
///
/// # Errors
/// Those of drawing, in words.
pub fn panels(panels: &[(String, Vec<Line>)], from: i64, to: i64, period: i64) -> anyhow::Result<String> {
    let mut text = String::new();
    let count = u32::try_from(panels.len().max(1))?;
    let area = SVGBackend::with_string(&mut text, (SIZE.0, PANEL * count)).into_drawing_area();
    for (part, (title, lines)) in area.split_evenly((panels.len().max(1), 1)).iter().zip(panels) {
        paint(part, title, lines, from, to, period).map_err(|error| anyhow!("failed to draw: {error}"))?;
    }
    drop(area);
    Ok(text)
}

fn paint(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    lines: &[Line],
    from: i64,
    to: i64,
    period: i64,
) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let values = lines.iter().flat_map(|(_, points)| points.values().copied());
    let (least, most) = bounds(values).unwrap_or((0.0, 1.0));
    // Zero is always in it, and a line that is even is not at the edge.
    let (least, most) = (least.min(0.0), most.max(0.0));
    let room = if most > least { (most - least) * 0.05 } else { 1.0 };
    let low = if least < 0.0 { least - room } else { 0.0 };
    let high = if most > 0.0 { most + room } else { 0.0_f64.max(room * f64::from(u8::from(least >= 0.0))) };
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(72)
        .build_cartesian_2d(from..to.max(from + 1), low..high)?;
    let day = to - from > 86_400;
    let clock = |second: &i64| {
        let text = Time(second.saturating_mul(1000)).to_string();
        if day { text[5..16].replace('T', " ") } else { text[11..19].to_owned() }
    };
    chart.configure_mesh().x_labels(8).y_labels(6).x_label_formatter(&clock).light_line_style(WHITE).draw()?;
    for (at, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let mut runs: Vec<Vec<(i64, f64)>> = Vec::new();
        for (second, value) in points.range(from..to) {
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(|(last, _)| second - last <= 2 * period) => {
                    run.push((*second, *value));
                }
                _ => runs.push(vec![(*second, *value)]),
            }
        }
        let mut named = false;
        for run in runs {
            let drawn = if run.len() == 1 {
                chart.draw_series(run.into_iter().map(|point| Circle::new(point, 2, colour.filled())))?
            } else {
                chart.draw_series(LineSeries::new(run, colour.stroke_width(2)))?
            };
            if !named && lines.len() > 1 {
                let key = move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(2));
                drawn.label(name).legend(key);
                named = true;
            }
        }
    }
    if lines.len() > 1 {
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.2)).draw()?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_blocks_is_as_wide_as_there_is_room_and_shows_gaps() {
        let points: BTreeMap<i64, f64> = (0..8).map(|n| (n * 60, n as f64)).collect();
        assert_eq!(spark(&points, 0, 480, 60, 80), "▁▂▃▄▅▆▇█");
        assert_eq!(spark(&points, 0, 480, 60, 4), "▁▃▆█");
        assert_eq!(spark(&points, 0, 600, 60, 80), "▁▂▃▄▅▆▇█  ");
        assert_eq!(spark(&BTreeMap::from([(60, 5.0)]), 0, 180, 60, 80), " ▁ ");
        assert_eq!(spark(&BTreeMap::new(), 0, 0, 60, 0), " ");
    }

    #[test]
    fn a_picture_is_svg_whatever_the_values() {
        let line =
            |values: &[f64]| values.iter().enumerate().map(|(n, v)| (n as i64 * 60, *v)).collect::<BTreeMap<_, _>>();
        for values in [&[][..], &[0.0], &[3.0, 3.0], &[-2.0, -5.0], &[1e300, 0.0], &[0.1, 0.4, 0.2]] {
            let text = svg("a <title>", &[("one".into(), line(values))], 0, 600, 60).unwrap();
            assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"), "{values:?}: {text}");
            assert!(text.contains("a &lt;title&gt;"));
        }
        let two =
            svg("t", &[("one".into(), line(&[1.0, 2.0])), ("two".into(), line(&[2.0, 1.0]))], 0, 200_000, 60).unwrap();
        assert!(two.contains("one") && two.contains("two"));
    }
}
