//! The tables, in Markdown.

use std::fmt::Write as _;

use super::measure::Measured;

/// Requests of a first read of S, L and XL (quality target P-1).
const FIRST_READ: [(&str, u64); 3] = [("S", 11), ("L", 42), ("XL", 362)];

pub(crate) fn render(sizes: &[Measured], planner: &[Measured], latency: u64) -> String {
    let mut out = String::new();
    if !sizes.is_empty() {
        clouds(&mut out, sizes, latency);
    }
    if !planner.is_empty() {
        alone(&mut out, planner);
    }
    out
}

fn row(out: &mut String, name: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    writeln!(out, "| {name} | {} |", cells.join(" | ")).expect("a String takes everything");
}

fn head(out: &mut String, name: &str, columns: impl IntoIterator<Item = String>) {
    let columns: Vec<String> = columns.into_iter().collect();
    let rule: Vec<String> = columns.iter().map(|_| "---:".to_owned()).collect();
    row(out, name, columns);
    row(out, "---", rule);
}

fn clouds(out: &mut String, sizes: &[Measured], latency: u64) {
    let steps = || sizes.windows(2).map(|pair| (&pair[0], &pair[1]));
    let names = sizes.iter().map(|m| m.size.clone());
    head(
        out,
        &format!("read + plan, {latency} ms latency"),
        names.chain(steps().map(|(a, b)| format!("{} → {}", a.size, b.size))),
    );
    let mut line = |name: &str, value: &dyn Fn(&Measured) -> f64, show: &dyn Fn(f64) -> String| {
        let cells = sizes.iter().map(|m| show(value(m)));
        row(out, name, cells.chain(steps().map(|(a, b)| ratio(value(a), value(b)))));
    };
    line("users", &|m| count(m.users), &whole);
    line("groups", &|m| count(m.groups), &whole);
    line("direct memberships", &|m| count(m.memberships), &whole);
    line("steps planned", &|m| count(m.steps), &whole);
    line("requests to the directory", &|m| number(m.directory_requests), &whole);
    line("requests to the site", &|m| number(m.site_requests), &whole);
    let mut kinds: Vec<&str> = sizes.iter().flat_map(|m| m.kinds.iter().map(|(kind, _)| &**kind)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let of = |m: &Measured| m.kinds.iter().find(|(k, _)| k == kind).map_or(0, |(_, n)| *n);
        line(&format!("· `{kind}`"), &|m| number(of(m)), &whole);
    }
    line("answers 429", &|m| number(m.throttled), &whole);
    line("read the directory", &|m| m.directory_ms, &seconds);
    line("read the site", &|m| m.site_ms, &seconds);
    line("plan", &|m| m.plan_ms, &seconds);
    line("**read + plan**", &whole_time, &seconds);
    line("verify", &|m| m.verify_ms, &seconds);
    line("peak at the start", &|m| number(m.start_kib), &mebibytes);
    line("peak after reading", &|m| number(m.read_kib), &mebibytes);
    line("**peak after read + plan**", &|m| number(m.plan_kib), &mebibytes);
    line("peak after verify", &|m| number(m.verify_kib), &mebibytes);
    targets(out, sizes, latency);
}

fn whole_time(m: &Measured) -> f64 {
    m.directory_ms + m.site_ms + m.plan_ms
}

fn targets(out: &mut String, sizes: &[Measured], latency: u64) {
    out.push('\n');
    head(out, "target", ["bound".to_owned(), "measured".to_owned(), "verdict".to_owned()]);
    let find = |name: &str| sizes.iter().find(|m| m.size == name);
    let verdict = |met: bool| if met { "met" } else { "**missed**" }.to_owned();
    for (name, bound) in FIRST_READ {
        if let Some(m) = find(name) {
            let met = verdict(m.directory_requests <= bound);
            let cells = [format!("≤ {bound}"), m.directory_requests.to_string(), met];
            row(out, &format!("P-1 requests to Graph, first read of {name}"), cells);
        }
    }
    if let (Some(m), 0) = (find("XL"), latency) {
        let (time, peak) = (whole_time(m), number(m.plan_kib));
        let cells = ["< 8 s (5 s)".into(), seconds(time), verdict(time < 8e3)];
        row(out, "P-3 read + plan of XL, time", cells);
        let cells = ["< 200 MB (120 MB)".into(), mebibytes(peak), verdict(peak * 1024.0 < 200e6)];
        row(out, "P-3 read + plan of XL, peak", cells);
    }
    if let (Some(m), 50) = (find("L"), latency) {
        let cells = ["< 1.5 s".into(), seconds(m.directory_ms), verdict(m.directory_ms < 1.5e3)];
        row(out, "P-4 read of L at 50 ms", cells);
    }
    if let (Some(l), Some(xl), 0) = (find("L"), find("XL"), latency) {
        let time = whole_time(xl) / whole_time(l);
        row(out, "P-6 time from L to XL", ["≤ 11 ×".into(), format!("{time:.1} ×"), verdict(time <= 11.0)]);
        let peak = number(xl.plan_kib) / number(l.plan_kib);
        row(out, "P-6 peak from L to XL", ["≤ 11 ×".into(), format!("{peak:.1} ×"), verdict(peak <= 11.0)]);
    }
}

fn alone(out: &mut String, planner: &[Measured]) {
    out.push('\n');
    let columns = ["memberships", "steps", "removals", "plan", "verify", "peak before", "peak after"];
    head(out, "planner alone: people, change", columns.map(str::to_owned));
    for m in planner {
        let cells = [
            whole(count(m.memberships)),
            whole(count(m.steps)),
            whole(count(m.removals)),
            seconds(m.plan_ms),
            seconds(m.verify_ms),
            mebibytes(number(m.read_kib)),
            mebibytes(number(m.verify_kib)),
        ];
        row(out, &m.size, cells);
    }
    // Sizes follow each other with three changes each
    for pair in planner.iter().zip(planner.iter().skip(3)) {
        let (a, b) = pair;
        let cells = [
            ratio(count(a.memberships), count(b.memberships)),
            ratio(count(a.steps), count(b.steps)),
            ratio(count(a.removals), count(b.removals)),
            ratio(a.plan_ms, b.plan_ms),
            ratio(a.verify_ms, b.verify_ms),
            ratio(number(a.read_kib), number(b.read_kib)),
            ratio(number(a.verify_kib), number(b.verify_kib)),
        ];
        row(out, &format!("{} → {}", a.size, b.size), cells);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn number(n: u64) -> f64 {
    n as f64
}

fn whole(n: f64) -> String {
    format!("{n:.0}")
}

fn seconds(ms: f64) -> String {
    if ms < 1e3 { format!("{ms:.1} ms") } else { format!("{:.2} s", ms / 1e3) }
}

fn mebibytes(kib: f64) -> String {
    format!("{:.1} MB", kib * 1024.0 / 1e6)
}

fn ratio(a: f64, b: f64) -> String {
    if a > 0.0 { format!("{:.1} ×", b / a) } else { "–".to_owned() }
}
