//! Plots as inline SVG: lines over an axis, with marks of what was done meanwhile.

use std::fmt::{self, Write};

const WIDTH: f64 = 1100.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// So many points a line has at most; each then stands for the greatest of several.
const MOST: usize = 1200;

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    /// In the order of x.
    pub(super) points: Vec<(f64, f64)>,
}

/// What is shaded behind the lines, from one x to another.
#[derive(Clone, Debug)]
pub(super) struct Shade {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) title: String,
}

/// A plot. Its axes begin at zero.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    /// Where the x axis has its names; without any it counts on.
    pub(super) ticks: Vec<(f64, String)>,
    pub(super) lines: Vec<Line>,
    pub(super) shades: Vec<Shade>,
    /// What stands below: of how many samples it is.
    pub(super) note: String,
}

impl Plot {
    fn extent(&self) -> (f64, f64) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let greatest = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0, f64::max);
        let x =
            self.ticks.iter().map(|(at, _)| *at).chain(self.shades.iter().map(|shade| shade.to)).fold(greatest(|point| point.0), f64::max);
        (if x > 0.0 { x } else { 1.0 }, greatest(|point| point.1))
    }
}

/// Round steps for an axis up to `greatest`: the last one is not below it.
pub(super) fn steps(greatest: f64, about: f64) -> Vec<f64> {
    let rough = (if greatest > 0.0 { greatest } else { 1.0 }) / about;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * magnitude).find(|step| *step >= rough * 0.999).unwrap_or(10.0 * magnitude);
    let count = (greatest / step).ceil().max(1.0) as usize;
    (0..=count).map(|number| number as f64 * step).collect()
}

fn shown(value: f64) -> String {
    let text = if value >= 100.0 || value.fract().abs() < 1e-9 { format!("{value:.0}") } else { format!("{value:.3}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Text that is nothing but text in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let of = points.len().div_ceil(MOST).max(1);
    let greatest = |chunk: &[(f64, f64)]| (chunk[0].0, chunk.iter().map(|point| point.1).fold(f64::MIN, f64::max));
    points.chunks(of).map(greatest).collect()
}

impl fmt::Display for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (greatest_x, greatest_y) = self.extent();
        let (rows, bottom) = (steps(greatest_y, 5.0), HEIGHT - BOTTOM);
        let top_value = rows.last().copied().unwrap_or(1.0);
        let x = |value: f64| LEFT + value / greatest_x * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| bottom - value / top_value * (bottom - TOP);
        write!(f, "<figure><figcaption><h2>{}</h2>", escaped(self.title))?;
        for (number, line) in self.lines.iter().enumerate() {
            write!(f, "<span class=\"key\"><i class=\"b{number}\"></i>{}</span>", escaped(line.name))?;
        }
        if !self.shades.is_empty() {
            write!(f, "<span class=\"key\"><i class=\"bf\"></i>fault</span>")?;
        }
        write!(
            f,
            "</figcaption><div class=\"plot\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escaped(self.title)
        )?;
        for Shade { from, to, title } in &self.shades {
            // What is over in a moment is seen, too.
            let width = (x(*to) - x(*from)).max(3.0);
            write!(f, "<rect class=\"fault\" x=\"{:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{:.1}\">", x(*from), bottom - TOP)?;
            write!(f, "<title>{}</title></rect>", escaped(title))?;
        }
        for row in &rows {
            write!(f, "<path class=\"grid\" d=\"M{LEFT} {0:.1}H{1}\"/>", y(*row), WIDTH - RIGHT)?;
            write!(f, "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>", LEFT - 8.0, y(*row) + 5.0, shown(*row))?;
        }
        let counted = || steps(greatest_x, 10.0).into_iter().filter(|at| *at <= greatest_x * 1.001).map(|at| (at, shown(at))).collect();
        let columns: Vec<(f64, String)> = if self.ticks.is_empty() { counted() } else { self.ticks.clone() };
        for (at, name) in &columns {
            write!(f, "<path class=\"grid\" d=\"M{:.1} {bottom}v5\"/>", x(*at))?;
            write!(f, "<text class=\"mid\" x=\"{:.1}\" y=\"{}\">{}</text>", x(*at), bottom + 20.0, escaped(name))?;
        }
        write!(f, "<text class=\"mid unit\" x=\"{}\" y=\"{}\">{}</text>", (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 6.0, escaped(self.x))?;
        let middle = (TOP + bottom) / 2.0;
        write!(f, "<text class=\"mid unit\" transform=\"translate(14 {middle}) rotate(-90)\">{}</text>", escaped(self.y))?;
        for (number, line) in self.lines.iter().enumerate() {
            let mut path = String::new();
            for (place, (at, value)) in thinned(&line.points).into_iter().enumerate() {
                write!(path, "{}{:.1} {:.1}", if place == 0 { 'M' } else { 'L' }, x(at), y(value))?;
            }
            // It often runs where another line does.
            let dashed = if line.name == "told" { " told" } else { "" };
            write!(f, "<path class=\"line c{number}{dashed}\" d=\"{path}\"/>")?;
        }
        write!(f, "</svg></div><p class=\"note\">{}</p></figure>", escaped(&self.note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_steps_that_reach_the_greatest_value() {
        assert_eq!(steps(47.0, 5.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(steps(0.0, 5.0), [0.0, 0.2]);
        assert_eq!(shown(0.2), "0.2");
        assert_eq!(shown(2500.0), "2500");
    }

    #[test]
    fn a_long_line_is_thinned_and_keeps_its_peaks() {
        let points: Vec<_> = (0..10_000).map(|at| (f64::from(at), if at == 5003 { 9.0 } else { 1.0 })).collect();
        let thin = thinned(&points);
        assert!(thin.len() <= MOST);
        assert!(thin.iter().any(|point| point.1 == 9.0));
    }
}
