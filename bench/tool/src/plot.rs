//! The result as a picture: CPU time per request of each proxy, over nginx's, by scenario.
//!
//! Owns its look. Reads the report that `bench/run` writes; scenarios without CPU times, and proxies that could not do one,
//! leave their place empty.

use std::io;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
];
/// What is beyond is cut, so that one outlier does not flatten the rest.
const HIGHEST: f64 = 3.0;

struct Bar {
    scenario: usize,
    peer: usize,
    /// Over the base's median.
    median: f64,
    least: f64,
    most: f64,
    micros: f64,
}

pub fn draw(report: &Path, plot: &Path) -> io::Result<()> {
    let report: Value = serde_json::from_slice(&std::fs::read(report)?)?;
    let empty = serde_json::Map::new();
    let summary = report["summary"].as_object().unwrap_or(&empty);
    let (mut scenarios, mut peers, mut bars) = (Vec::new(), Vec::<String>::new(), Vec::new());
    let base = if summary.values().any(|s| s["peers"]["nginx"]["cpu_us"].is_object()) { "nginx" } else { "evenkeel" };
    for (name, result) in summary {
        let Some(unit) = result["peers"][base]["cpu_us"]["median"].as_f64().filter(|unit| *unit > 0.0) else {
            continue;
        };
        let scenario = scenarios.len();
        scenarios.push(name.clone());
        for (peer, figures) in result["peers"].as_object().unwrap_or(&empty) {
            let cpu = |key: &str| figures["cpu_us"][key].as_f64();
            let (Some(median), Some(least), Some(most)) = (cpu("median"), cpu("least"), cpu("most")) else { continue };
            let at = peers.iter().position(|known| known == peer).unwrap_or_else(|| {
                peers.push(peer.clone());
                peers.len() - 1
            });
            let over = |micros: f64| (micros / unit).min(HIGHEST);
            let (micros, median) = (median, over(median));
            bars.push(Bar { scenario, peer: at, median, least: over(least), most: over(most), micros });
        }
    }
    if scenarios.is_empty() {
        return Err(io::Error::other("there is no CPU time in the report"));
    }
    let width = 220 + 140 * u32::try_from(scenarios.len()).unwrap_or(20);
    let area = SVGBackend::new(plot, (width, 480)).into_drawing_area();
    paint(&area, &scenarios, &peers, &bars, base).map_err(|error| io::Error::other(error.to_string()))
}

fn paint(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    scenarios: &[String],
    peers: &[String],
    bars: &[Bar],
    base: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let highest = bars.iter().map(|bar| bar.most).fold(1.2, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("CPU time per request over {base}'s (least and most of the rounds; µs)"), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..scenarios.len() as f64, 0.0..highest)?;
    let name = |at: &f64| {
        let whole = (at - 0.5).abs().fract() < 0.01;
        scenarios.get((at - 0.5).round() as usize).filter(|_| whole).cloned().unwrap_or_default()
    };
    chart.configure_mesh().disable_x_mesh().x_labels(2 * scenarios.len() + 1).x_label_formatter(&name).draw()?;
    chart.draw_series([PathElement::new([(0.0, 1.0), (scenarios.len() as f64, 1.0)], BLACK.stroke_width(1))])?;
    let each = 0.8 / peers.len() as f64;
    for (index, peer) in peers.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let left = |bar: &Bar| bar.scenario as f64 + 0.1 + each * index as f64;
        let own = || bars.iter().filter(|bar| bar.peer == index);
        chart
            .draw_series(
                own().map(|bar| {
                    Rectangle::new([(left(bar), 0.0), (left(bar) + each * 0.92, bar.median)], colour.filled())
                }),
            )?
            .label(peer)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
        chart.draw_series(own().map(|bar| {
            let middle = left(bar) + each * 0.46;
            PathElement::new([(middle, bar.least), (middle, bar.most)], BLACK.stroke_width(1))
        }))?;
        chart.draw_series(own().map(|bar| {
            let text = if bar.micros < 100.0 { format!("{:.1}", bar.micros) } else { format!("{:.0}", bar.micros) };
            Text::new(text, (left(bar), bar.most + highest * 0.03), ("sans-serif", 10))
        }))?;
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    area.present()?;
    Ok(())
}
