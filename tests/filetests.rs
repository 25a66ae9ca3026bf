//! Runs `tests/filetests/<pass>/<case>.tir`; what comes out is `snapshots/<pass>__<case>.snap`.
//!
//! Every file that parses is also printed and parsed again, and laid out twice.
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tpc::diag::{Diagnostic, Source};
use tpc::ir::{Module, annotate, propagate};
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
            let source = Arc::new(Source {
                name: format!("{case}.tir"),
                text: std::fs::read_to_string(&path).unwrap(),
            });
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

fn sorted(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut all: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

/// What a pass says of a file.
fn run(pass: &str, source: &Arc<Source>) -> String {
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
