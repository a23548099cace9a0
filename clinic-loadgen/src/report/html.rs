//! The figures as one page that needs nothing else: no network, no script.

mod figures;
mod plot;

use std::{fmt::Write, fs, io, path::Path};

use self::{figures::figures, plot::escaped};
use super::{FaultMark, Report};
use crate::verdict::Verdict;

/// So many rows a table shows; JSON has all.
const ROWS: usize = 500;

/// Writes a report's page. `again` is the command line that makes the run again.
///
/// # Errors
/// Those of writing a file.
pub fn write(report: &Report, again: &str, path: &Path) -> io::Result<()> {
    fs::write(path, page(report, again))
}

/// A report's page.
#[must_use]
pub fn page(report: &Report, again: &str) -> String {
    let mut page = String::from("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    page += "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Load report</title><style>";
    page += include_str!("html/style.css");
    page += "</style></head><body><main><h1>Load report</h1>";
    page += &format!(
        "<p class=\"sub\">{} · {} loop, {:.0} s · seed {}</p>",
        report.started.format("%Y-%m-%d %H:%M:%S UTC"),
        escaped(report.mode),
        report.seconds,
        report.seed
    );
    page += &verdict(report);
    page += &tiles(report);
    for plot in figures(report) {
        page += &plot.to_string();
    }
    page += &outcomes(report);
    page += &latencies(report);
    page += &faults(&report.faults);
    page += &format!("<section><h2>Again</h2><p><code>{}</code></p></section></main></body></html>\n", escaped(again));
    page
}

fn verdict(report: &Report) -> String {
    let judged = report
        .thresholds
        .iter()
        .filter(|judged| judged.failed)
        .map(|judged| format!("<br><span class=\"failed\">{}</span>", escaped(&judged.to_string())));
    let thresholds: String = judged.collect();
    let saturated = if report.saturated {
        "<br>The load tool itself did not keep to its schedule: the figures say more of it than of the clinic."
    } else {
        ""
    };
    let Some(verdict) = &report.verdict else {
        let (class, text) =
            if report.is_good() { ("", "All that was accepted was decided and told") } else { (" bad", "Not everything is as it must be") };
        return format!(
            "<div class=\"verdict{class}\"><strong>{text}</strong><br>Promises were not verified.{saturated}{thresholds}</div>"
        );
    };
    let (class, text) = match (verdict.breaches.len(), verdict.pending) {
        (0, 0) if thresholds.is_empty() => ("", "Every promise was kept".to_owned()),
        (0, 0) => (" bad", "Every promise was kept, and a threshold was not".to_owned()),
        (0, pending) => (" open", format!("No promise was broken, and {pending} bookings are not decided yet")),
        (1, _) => (" bad", "1 promise was broken".to_owned()),
        (count, _) => (" bad", format!("{count} promises were broken")),
    };
    let Verdict { accepted, refused, unknown, listed, .. } = verdict;
    let counts = format!("{accepted} accepted, {refused} refused, {unknown} unknown; {listed} listed, each read back");
    format!("<div class=\"verdict{class}\"><strong>{text}</strong><br>{counts}{saturated}{thresholds}{}</div>", breaches(verdict))
}

fn breaches(verdict: &Verdict) -> String {
    if verdict.breaches.is_empty() {
        return String::new();
    }
    let rows = verdict.breaches.iter().take(ROWS).map(|breach| {
        let bookings: Vec<String> = breach.bookings.iter().map(|id| format!("<code>{id}</code>")).collect();
        format!("<tr><td class=\"failed\">{}</td><td>{}</td><td>{}</td></tr>", breach.kind, bookings.join("<br>"), escaped(&breach.detail))
    });
    let more = verdict.breaches.len().saturating_sub(ROWS);
    let more = if more > 0 { format!("<p>and {more} more: see --json</p>") } else { String::new() };
    format!(
        "<div class=\"table\"><table><tr><th>promise</th><th>bookings</th><th>how</th></tr>{}</table></div>{more}",
        rows.collect::<String>()
    )
}

fn tiles(report: &Report) -> String {
    let errors: u64 = report.errors.values().sum();
    let tiles = [
        (format!("{}", report.accepted), "bookings accepted".to_owned()),
        (format!("{:.1}/s", report.accepted_per_second), "accepted a second".to_owned()),
        (millis(report.latency_ms.p50), format!("answered, median; p99 {}", millis(report.latency_ms.p99))),
        (millis(report.decided_ms.p50), format!("decided, median; p99 {}", millis(report.decided_ms.p99))),
        (millis(report.told_ms.p50), format!("told, median; p99 {}", millis(report.told_ms.p99))),
        (format!("{errors}"), format!("errors; {} not sent", report.unsent)),
    ];
    let tile =
        |(value, name): (String, String)| format!("<div class=\"tile\"><b>{}</b><span>{}</span></div>", escaped(&value), escaped(&name));
    format!("<div class=\"tiles\">{}</div>", tiles.into_iter().map(tile).collect::<String>())
}

fn millis(value: f64) -> String {
    match value {
        0.0..10.0 => format!("{value:.2} ms"),
        10.0..1000.0 => format!("{value:.0} ms"),
        _ => format!("{:.2} s", value / 1000.0),
    }
}

fn outcomes(report: &Report) -> String {
    let settled = &report.settled;
    let counts = [
        ("sent", report.sent),
        ("not sent", report.unsent),
        ("accepted", report.accepted),
        ("conflicts", report.conflicts),
        ("confirmed", settled.confirmed),
        ("rejected", settled.rejected),
        ("cancelled", settled.cancelled),
        ("told", settled.told),
        ("not told", settled.not_told),
        ("unsettled", settled.unsettled),
        ("lost", settled.lost),
    ];
    let mut rows = String::new();
    for (name, count) in counts
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .chain(report.errors.iter().map(|(code, count)| (format!("error: {code}"), *count)))
    {
        let _ = write!(rows, "<tr><td>{}</td><td class=\"n\">{count}</td></tr>", escaped(&name));
    }
    format!("<section><h2>Outcomes</h2><div class=\"table\"><table class=\"counts\">{rows}</table></div></section>")
}

fn latencies(report: &Report) -> String {
    let mut rows = String::new();
    for (name, latency) in
        [("answered", &report.latency_ms), ("decided", &report.decided_ms), ("told", &report.told_ms), ("begun late by", &report.lag_ms)]
    {
        let values = [latency.p50, latency.p90, latency.p99, latency.p999, latency.max];
        let values: String = values.into_iter().map(|value| format!("<td class=\"n\">{}</td>", millis(value))).collect();
        let _ = write!(rows, "<tr><td>{name}</td><td class=\"n\">{}</td>{values}</tr>", latency.count);
    }
    let head = ["count", "p50", "p90", "p99", "p99.9", "max"].map(|name| format!("<th class=\"n\">{name}</th>")).concat();
    format!(
        "<section><h2>Latencies, from the intended start</h2><div class=\"table\"><table><tr><th></th>{head}</tr>{rows}</table></div></section>"
    )
}

fn faults(faults: &[FaultMark]) -> String {
    if faults.is_empty() {
        return String::new();
    }
    let row = |mark: &FaultMark| {
        let lasted = mark.until_ms.map_or_else(String::new, |until| format!("{:.1} s", until.saturating_sub(mark.at_ms) as f64 / 1000.0));
        let class = if mark.outcome == "done" { "" } else { " class=\"failed\"" };
        let (fault, target, outcome) = (escaped(&mark.fault), escaped(&mark.target), escaped(&mark.outcome));
        format!(
            "<tr><td class=\"n\">{:.1} s</td><td>{fault}</td><td>{target}</td><td class=\"n\">{lasted}</td><td{class}>{outcome}</td></tr>",
            mark.at_ms as f64 / 1000.0
        )
    };
    let rows: String = faults.iter().take(ROWS).map(row).collect();
    let head = "<tr><th class=\"n\">at</th><th>fault</th><th>target</th><th class=\"n\">whole again after</th><th>outcome</th></tr>";
    format!("<section><h2>Faults</h2><div class=\"table\"><table>{head}{rows}</table></div></section>")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        latency::{FINE, histogram},
        report::{Distribution, Latency, quantiles},
        series::Second,
        verdict::{Breach, Kind},
    };

    const EVIL: &str = "<script>alert('&\"')</script>";

    fn known() -> Report {
        let series =
            (0..30).map(|at| Second { at, sent: 100, accepted: 90, decided: 80, told: 70, p99_ms: 5.0, ..Second::default() }).collect();
        let mark =
            |at_ms| FaultMark { at_ms, until_ms: Some(at_ms + 2000), fault: "kill".into(), target: EVIL.into(), outcome: EVIL.into() };
        let spread = |samples: u64| {
            let mut micros = histogram(FINE);
            (1..=samples).for_each(|sample| micros.saturating_record(sample * 10));
            quantiles(&micros)
        };
        Report {
            mode: "open",
            step_seconds: 1,
            distribution: Distribution { answered: spread(100_000), decided: spread(1000), told: spread(10) },
            latency_ms: Latency { count: 100_000, ..Latency::default() },
            decided_ms: Latency { count: 1000, ..Latency::default() },
            told_ms: Latency { count: 10, ..Latency::default() },
            series,
            faults: vec![mark(5000), mark(9000)],
            errors: [(EVIL.to_owned(), 3)].into(),
            ..Report::default()
        }
    }

    #[test]
    fn every_plot_is_drawn_with_every_point_and_every_fault() {
        let page = page(&known(), "loadgen run");
        let plots: Vec<&str> = page.split("<svg").skip(1).map(|rest| rest.split("</svg>").next().unwrap()).collect();
        let drawn = |plot: &&str| {
            let lines: Vec<usize> = plot
                .split("<path class=\"line ")
                .skip(1)
                .map(|line| line.split("/>").next().unwrap().matches(['M', 'L']).count())
                .collect();
            (lines, plot.matches("<rect class=\"fault\"").count())
        };
        let Distribution { answered, decided, told } = known().distribution;
        assert!(answered.len() > decided.len() && decided.len() > told.len() && told.len() > 5);
        let (answers, ends) = (vec![answered.len()], vec![decided.len(), told.len()]);
        let expected = [(vec![30; 4], 2), (vec![30; 3], 2), (vec![30], 2), (answers, 0), (ends, 0)];
        assert_eq!(plots.iter().map(drawn).collect::<Vec<_>>(), expected);
        assert!(!page.contains("NaN") && !page.contains("inf"));
        for unit in ["per second", "milliseconds", "requests", "seconds from the start", "percentile, by"] {
            assert!(page.contains(unit), "{unit}");
        }
    }

    #[test]
    fn percentiles_are_as_far_apart_as_their_nines_and_reach_as_far_as_there_are_samples() {
        let page = page(&known(), "loadgen run");
        let plot = |title: &str| page.split(&format!("aria-label=\"{title}\"")).nth(1).unwrap().split("</svg>").next().unwrap().to_owned();
        let place = |plot: &str, name: &str| -> f64 {
            let before = plot.split(&format!(">{name}</text>")).next().filter(|before| before.len() < plot.len()).unwrap();
            before.rsplit("x=\"").next().unwrap().split('"').next().unwrap().parse().unwrap()
        };
        let ends = |plot: &str| -> Vec<f64> {
            let end = |line: &str| line.split('"').nth(2).unwrap().rsplit('L').next().unwrap().split(' ').next().unwrap().parse().unwrap();
            plot.split("<path class=\"line ").skip(1).map(end).collect()
        };
        let answers = plot("Latency of answers by percentile");
        let places = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"].map(|name| place(&answers, name));
        assert!(places.windows(2).all(|pair| (pair[1] - pair[0] - (places[1] - places[0])).abs() < 0.3), "{places:?}");
        assert!((places[0]..places[1]).contains(&place(&answers, "50 %")));
        assert!(!answers.contains("99.9999 %"), "100,000 samples tell nothing of it");
        // Each line ends where one of its samples is left.
        assert!((ends(&answers)[0] - places[5]).abs() < 0.2, "{:?} {places:?}", ends(&answers));
        let told = plot("Time to decided and told by percentile");
        let expected = [place(&told, "99.9 %"), place(&told, "90 %")];
        assert!(ends(&told).iter().zip(expected).all(|(end, place)| (end - place).abs() < 0.2), "{:?} {expected:?}", ends(&told));
    }

    #[test]
    fn each_plot_says_of_how_many_samples_it_is() {
        let page = page(&known(), "loadgen run");
        assert_eq!(page.matches("<p class=\"note\">").count(), 5);
        assert!(page.contains("30 steps of 1 s: 3000 sent, 2700 accepted, 2400 decided, 2100 told<"));
        assert!(page.contains("100000 answers. The line ends") && page.contains("1000 decisions, 10 notices. Each line ends"));
    }

    #[test]
    fn all_that_comes_from_a_run_is_escaped_and_nothing_is_fetched() {
        let mut report = known();
        report.verdict = Some(Verdict { breaches: vec![Breach::new(Kind::Lost, [Uuid::nil()], EVIL)], ..Verdict::default() });
        let page = page(&report, EVIL);
        assert!(!page.contains("<script") && !page.contains("http") && !page.contains("url("));
        assert!(page.contains("&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;"));
    }

    #[test]
    fn a_broken_promise_names_its_bookings_and_an_empty_report_is_a_page_too() {
        let mut report = Report::default();
        assert!(page(&report, "").contains("Promises were not verified"));
        report.verdict = Some(Verdict::default());
        assert!(page(&report, "").contains("Every promise was kept"));
        let id = Uuid::now_v7();
        report.verdict = Some(Verdict { breaches: vec![Breach::new(Kind::Flipped, [id], "twice")], ..Verdict::default() });
        let page = page(&report, "");
        assert!(page.contains("1 promise was broken") && page.contains(&id.to_string()) && page.contains("flipped"));
        assert!(!page.contains("NaN"));
    }
}
