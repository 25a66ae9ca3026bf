//! Runs `tests/filetests/<pass>/<case>.tir`; what comes out is `snapshots/<pass>__<case>.snap`.
//!
//! Every file that parses is also printed and parsed again, and laid out twice. In `plan/` every `.toml` is a plan for the
//! network beside it.
use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use tpc::diag::{Diagnostic, Source};
use tpc::ir::{Module, NodeId, annotate, propagate};
use tpc::prune::{Plan, frozen, groups, protect, select, unshare};
use tpc::syntax::{Seeded, format, parse, print, stored};
use tpc::tensor::Tensor;

#[test]
fn filetests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut failed = vec![];
    for pass in sorted(&root) {
        for path in sorted(&pass) {
            let [pass, case] =
                [&pass, &path].map(|p| p.file_stem().unwrap_or_default().to_string_lossy());
            settings.set_input_file(&path);
            let source = source(&path);
            if pass == "plan" && case == "net" {
                continue;
            }
            let run = || {
                let text = run(&pass, &source);
                settings.bind(|| insta::assert_snapshot!(format!("{pass}__{case}"), text));
            };
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
                failed.push(format!("{pass}/{case}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

fn source(path: &Path) -> Arc<Source> {
    Arc::new(Source {
        name: path.file_name().unwrap().to_string_lossy().into(),
        text: std::fs::read_to_string(path).unwrap(),
    })
}

fn sorted(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut all: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

/// What a pass says of a file.
fn run(pass: &str, source: &Arc<Source>) -> String {
    if pass == "plan" {
        return planned(source).unwrap_or_else(|mistake| mistake.render());
    }
    let module = parse(source, &Seeded::new(0));
    if let Ok(module) = &module {
        again(module, source);
    }
    let result = match pass {
        "syntax" => module.map(|module| print(&module)),
        "fmt" => format(source),
        "dims" => module.and_then(|module| {
            let text = annotated(&module)?;
            let again = Source {
                name: source.name.clone(),
                text: text.clone(),
            };
            let again = annotated(&parse(&Arc::new(again), &Seeded::new(0))?)?;
            assert_eq!(text, again, "annotated twice");
            Ok(text)
        }),
        "groups" => module.and_then(|module| grouped(&module)),
        "errors" => match module.and_then(|module| propagate(&module)) {
            Ok(_) => panic!("{} has no mistake", source.name),
            Err(mistake) => Ok(mistake.render()),
        },
        other => panic!("there is no pass `{other}`"),
    };
    result.unwrap_or_else(|mistake: Diagnostic| panic!("{mistake}"))
}

/// The text of a module with terms where numbers stood.
fn annotated(module: &Module) -> Result<String, Diagnostic> {
    Ok(print(&annotate(module, &propagate(module)?)))
}

/// The groups of a module, every axis with its role, and what is frozen by what.
fn grouped(module: &Module) -> Result<String, Diagnostic> {
    let (module, _) = unshare(module);
    let groups = groups(&module, &propagate(&module)?);
    let mut out = String::new();
    for g in &groups.groups {
        let class = format!("{:?}", g.class).to_lowercase();
        let (name, extent, params, macs) = (&g.name, g.extent, g.params, &g.macs.formula);
        let _ = writeln!(
            out,
            "{class} {name} = {extent}: {params} params, {macs} MACs"
        );
        for axis in &g.axes {
            let role = format!("{:?}", axis.role).to_lowercase();
            let _ = writeln!(out, "  {role} @{}:{}", groups.shown[&axis.value], axis.axis);
        }
        for (what, nodes) in [("from", &g.producers), ("to", &g.consumers)] {
            let results = |n: &NodeId| module.node(*n).results[0].unwrap();
            let shown = |n: &NodeId| format!("%{}", module.value(results(n)).name);
            let shown: Vec<_> = nodes.iter().map(shown).collect();
            let _ = writeln!(out, "  {what} {}", shown.join(", "));
        }
    }
    let _ = writeln!(out, "frozen");
    for f in frozen(&module, &groups) {
        let by = if f.by.is_empty() { "" } else { ", by " };
        let _ = writeln!(out, "  {} = {}: {}{by}{}", f.axis, f.extent, f.reason, f.by);
    }
    Ok(out)
}

/// What a plan removes of `plan/net.tir`, or what is wrong with the plan.
fn planned(plan: &Arc<Source>) -> Result<String, Diagnostic> {
    let net = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests/plan/net.tir");
    let (module, _) = unshare(&parse(&source(&net), &Seeded::new(0))?);
    let mut facts = propagate(&module)?;
    let plan = Plan::read(plan)?;
    protect(&module, &mut facts, &plan)?;
    let groups = groups(&module, &facts);
    let choice = select(&module, &facts, &groups, &plan)?;
    let name = |atom| &groups.groups.iter().find(|g| g.atom == atom).unwrap().name;
    let mut out = String::new();
    for chosen in &choice.chosen {
        let (name, kept) = (name(chosen.atom), chosen.kept.to_string());
        let _ = writeln!(out, "{name}: {kept} stay ({})", chosen.why);
    }
    for (atom, why) in &choice.whole {
        let _ = writeln!(out, "{}: whole, {why}", name(*atom));
    }
    Ok(out)
}

/// Prints and parses a module again, and lays the text out twice.
fn again(module: &Module, source: &Source) {
    let text = print(module);
    let weights: HashMap<String, Tensor> = stored(module)
        .map(|(name, tensor)| (name.to_string(), tensor.clone()))
        .collect();
    let again = |text: &str| Source {
        name: source.name.clone(),
        text: text.into(),
    };
    let module = parse(&Arc::new(again(&text)), &weights).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(text, print(&module), "printed twice");
    assert_eq!(text, format(&again(&text)).unwrap(), "printed and laid out");
    let laid_out = format(source).unwrap();
    assert_eq!(
        laid_out,
        format(&again(&laid_out)).unwrap(),
        "laid out twice"
    );
    let module = parse(&Arc::new(again(&laid_out)), &Seeded::new(0)).unwrap();
    assert_eq!(text, print(&module), "laid out and parsed");
}
