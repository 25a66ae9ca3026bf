//! What people read: tables of what was pruned, what was not and why, what it costs, how it was verified.
mod numbers;

use crate::ir::Module;
use crate::prune::{Binding, Class, Cost, Group, Groups, Lock, Peak, Reach, frozen};
use crate::tensor::Extent;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

pub use numbers::{polynomial, short};

fn share(before: u64, after: u64) -> String {
    match before {
        0 => "-".into(),
        _ => format!("{:.1} %", after as f64 / before as f64 * 100.0),
    }
}

fn table(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A table as text, without blanks at the ends of lines.
fn lines(table: &Table) -> String {
    let text = table.to_string();
    let all: Vec<&str> = text.lines().map(str::trim_end).collect();
    all.join("\n") + "\n"
}

/// What a compile did, as its lock says.
pub fn compiled(lock: &Lock) -> String {
    let mut out = String::new();
    let mut dims = table(&["dim", "before", "after", "class", "why"], &[1, 2]);
    for dim in &lock.dims {
        let dim = dim.get_ref();
        let class = match dim.class {
            Class::Width => "width",
            Class::Count => "count",
            Class::Branch => "branch",
        };
        dims.add_row([
            dim.name.clone(),
            dim.extent[0].to_string(),
            dim.extent[1].to_string(),
            class.into(),
            dim.why.clone(),
        ]);
    }
    match lock.dims.is_empty() {
        true => out.push_str("nothing was removed\n"),
        false => out.push_str(&lines(&dims)),
    }
    out.push_str("\nnot pruned\n");
    let mut kept = table(&["dims", "reason", "first"], &[0]);
    for (reason, (count, first)) in reasons(lock) {
        kept.add_row([count.to_string(), reason, first]);
    }
    out.push_str(&lines(&kept));
    let cost = &lock.cost;
    let mut costs = table(&["", "dense", "pruned", "left"], &[1, 2, 3]);
    let rows = [
        ("params", Some(cost.params)),
        ("bytes", Some(cost.bytes)),
        ("MACs", cost.macs),
    ];
    for (name, pair) in rows {
        if let Some([before, after]) = pair {
            costs.add_row([
                name.into(),
                short(before),
                short(after),
                share(before, after),
            ]);
        }
    }
    let _ = write!(out, "\n{}", lines(&costs));
    if !cost.at.is_empty() {
        let _ = writeln!(out, "MACs at {}", bound(&cost.at));
    }
    out.push('\n');
    out.push_str(&verified(lock));
    out
}

/// Why dims stay whole: how many for each reason, and the first of them.
fn reasons(lock: &Lock) -> BTreeMap<String, (usize, String)> {
    let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let frozen = lock.frozen.iter().map(|f| (&f.reason, &f.axis));
    let whole = lock.whole.iter().map(|w| (&w.why, &w.name));
    for (reason, name) in frozen.chain(whole) {
        let entry = reasons.entry(reason.clone());
        entry.or_insert_with(|| (0, name.clone())).0 += 1;
    }
    reasons
}

fn verified(lock: &Lock) -> String {
    let Some(v) = &lock.verified else {
        return "not verified\n".into();
    };
    let mut out = format!(
        "verified: {} values equal the original's at the kept positions, error {:.1e} (`{}`), {:.0e} allowed\n",
        v.compared, v.error, v.value, v.tolerance
    );
    if !v.runs.is_empty() {
        let run = |r: &BTreeMap<String, i64>| {
            let all: Vec<String> = r.iter().map(|(s, n)| format!("{s} = {n}")).collect();
            all.join(", ")
        };
        let all: Vec<String> = v.runs.iter().map(run).collect();
        let _ = writeln!(out, "  run at {}", all.join("; "));
    }
    if !v.cuts.is_empty() {
        let _ = writeln!(
            out,
            "  {} operations cannot be run: what goes in was compared, what comes out replaced (`{}`)",
            v.cuts.len(),
            v.cuts.join("`, `")
        );
    }
    if let (Some(budget), Some([run, left_out])) = (v.budget, v.operations) {
        let _ = writeln!(
            out,
            "  {run} of {} operations were run within the budget of {} multiply-accumulates; random values stand for what the others give",
            run + left_out,
            short(budget)
        );
    }
    if v.skipped > 0 {
        let _ = writeln!(out, "  {} values could not be compared", v.skipped);
    }
    out
}

/// The groups of a model, for people.
pub fn groups(
    module: &Module,
    groups: &Groups,
    whole: &Cost,
    reach: &Reach,
    at: &Binding,
) -> String {
    let mut table = table(
        &["dim", "extent", "class", "params", "MACs", "axes"],
        &[1, 3, 4],
    );
    let macs = whole.macs_at(at).unwrap_or(0).max(1);
    for group in &groups.groups {
        let axes = axes(module, groups, group);
        let more = axes.len().saturating_sub(3);
        let mut shown = axes.into_iter().take(3).collect::<Vec<_>>().join(", ");
        if more > 0 {
            let _ = write!(shown, " and {more} more");
        }
        table.add_row([
            group.name.to_string(),
            group.extent.to_string(),
            format!("{:?}", group.class).to_lowercase(),
            share(whole.params, group.params),
            share(macs, group.macs.at),
            shown,
        ]);
    }
    let mut out = lines(&table);
    let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for f in frozen(module, groups) {
        let entry = reasons.entry(f.reason).or_insert((0, f.axis));
        entry.0 += 1;
    }
    let mut kept = self::table(&["dims", "reason", "first"], &[0]);
    for (reason, (count, first)) in reasons {
        kept.add_row([count.to_string(), reason, first]);
    }
    let _ = write!(out, "\nfrozen\n{}\n{}", lines(&kept), reached(reach));
    if !at.is_empty() {
        let _ = writeln!(
            out,
            "MACs = {}\n     = {} at {}",
            polynomial(&whole.macs, at),
            whole.macs_at(at).map_or("?".into(), short),
            bound(at)
        );
    }
    out
}

/// What run-time symbols are bound to, in words.
pub fn bound(at: &Binding) -> String {
    let all: Vec<String> = at.iter().map(|(s, n)| format!("{s} = {n}")).collect();
    all.join(", ")
}

/// What a model costs, for people.
pub fn stats(module: &Module, cost: &Cost, peak: Option<&Peak>, at: &Binding) -> String {
    let mut out = String::new();
    for (name, number) in [("params", cost.params), ("bytes", cost.bytes)] {
        let _ = writeln!(out, "{name} {} ({number})", short(number));
    }
    let mut line = |name: &str, number: Option<u64>, formula: &Extent, more: &str| {
        if let Some(number) = number {
            let _ = write!(out, "{name} {} ({number})", short(number));
            if !formula.is_known() {
                let _ = write!(out, " at {}", bound(at));
            }
            let _ = writeln!(out, "{more}");
        }
        if !formula.is_known() {
            let _ = writeln!(out, "{name} = {}", polynomial(formula, at));
        }
    };
    line("MACs", cost.macs_at(at), &cost.macs, "");
    if let Some(peak) = peak {
        let node = peak
            .node
            .map(|id| module.describe(module.node_cause(id), &module.lines()));
        let node = node.map_or(String::new(), |node| format!(", during {node}"));
        let left_out = match peak.left_out {
            0 => String::new(),
            n => format!(", without {n} values whose shapes are not known"),
        };
        let more = format!(" of activations at once{node}{left_out}");
        line("memory", Some(peak.at), &peak.bytes, &more);
    }
    out
}

/// How much of the work pruning reaches, and what keeps the rest.
fn reached(reach: &Reach) -> String {
    let mut out = format!("prunable: {} of MACs", share(reach.macs, reach.widths));
    if reach.all > reach.widths {
        let _ = write!(out, " ({} with counts)", share(reach.macs, reach.all));
    }
    let _ = writeln!(
        out,
        "; {} stay when every free width keeps one position",
        share(reach.macs, reach.least)
    );
    let mut kept = table(&["MACs", "reason", "operations", "first"], &[0, 2]);
    for k in &reach.kept {
        let shown = share(reach.macs, k.macs);
        if shown != share(reach.macs, 0) {
            kept.add_row([
                shown,
                k.reason.clone(),
                k.operations.to_string(),
                k.first.clone(),
            ]);
        }
    }
    if kept.row_count() > 0 {
        out.push_str(&lines(&kept));
    }
    if reach.unknown > 0 {
        let _ = writeln!(
            out,
            "not counted: {} operations on values of unknown rank, behind operators that are carried through",
            reach.unknown
        );
    }
    out
}

fn axes(module: &Module, groups: &Groups, group: &Group) -> Vec<String> {
    let shown = |a: &crate::prune::ParamAxis| {
        let name = &module.value(a.value).name;
        let name = groups.shown.get(&a.value).map_or(&**name, |s| s);
        format!("{name}:{}", a.axis)
    };
    group.axes.iter().map(shown).collect()
}

/// The groups of a model, for programs.
pub fn groups_json(module: &Module, groups: &Groups, reach: &Reach) -> Value {
    let name = |id: &crate::ir::NodeId| {
        let node = module.node(*id);
        let result = node.results.iter().flatten().next();
        let result = result.map(|v| module.value(*v).name.to_string());
        node.name.as_deref().map(str::to_string).or(result)
    };
    let names = |all: &[crate::ir::NodeId]| all.iter().filter_map(name).collect::<Vec<_>>();
    let group = |g: &Group| {
        let axes = g.axes.iter().zip(axes(module, groups, g));
        let axes = axes.map(
            |(a, shown)| json!({"axis": shown, "role": format!("{:?}", a.role).to_lowercase()}),
        );
        json!({
            "dim": &*g.name,
            "extent": g.extent,
            "class": g.class,
            "params": g.params,
            "macs": g.macs.at,
            "macs_formula": g.macs.formula.to_string(),
            "memory": g.memory.at,
            "memory_formula": g.memory.formula.to_string(),
            "axes": axes.collect::<Vec<_>>(),
            "producers": names(&g.producers),
            "consumers": names(&g.consumers),
        })
    };
    json!({
        "groups": groups.groups.iter().map(group).collect::<Vec<_>>(),
        "frozen": frozen(module, groups),
        "reach": reach,
    })
}
