//! What is done for large programs, shown on small ones: a decoder out of shards, verified within a budget.
#[path = "common/large.rs"]
mod large;

use large::Decoder;
use std::path::Path;
use std::sync::Arc;
use tpc::diag::Source;
use tpc::driver::{Compile, choose, compile, load};
use tpc::exec::Cpu;
use tpc::ir::{Def, Module};
use tpc::prune::{Class, Verification, VerifyError, shrink, verify};
use tpc::syntax::{Seeded, parse, stored};
use tpc::tensor::{DType, Tensor};

fn source(name: &str, text: &str) -> Arc<Source> {
    let (name, text) = (name.to_string(), text.to_string());
    Arc::new(Source { name, text })
}

fn decoder(decoder: Decoder) -> Module {
    let read = parse(&source("decoder.tir", &decoder.text()), &Seeded::new(5));
    read.unwrap_or_else(|e| panic!("{}", e.render()))
}

const HALF: &str = "[target]\nratio = 0.5\n";

#[test]
fn decoders_have_the_atoms_of_attention_and_are_proved() {
    for fused in [false, true] {
        let module = decoder(Decoder {
            fused,
            ..Decoder::SMALL
        });
        let chosen = choose(&module, &source("plan.toml", HALF)).unwrap();
        let count = |class, extent| {
            let groups = chosen.groups.groups.iter();
            groups
                .filter(|g| g.class == class && g.extent == extent && !g.axes.is_empty())
                .count()
        };
        // Two heads of keys and values, two of queries for each, in both layers; the halves of a head are one atom with
        // the tables' in all layers, values have widths of their own.
        assert_eq!(count(Class::Count, 2), 4, "fused: {fused}");
        assert_eq!(count(Class::Width, 4), 1, "fused: {fused}");
        assert_eq!(count(Class::Width, 8), 2, "fused: {fused}");
        assert_eq!(count(Class::Width, 24), 2, "fused: {fused}");
        assert_eq!(count(Class::Width, 16), 1, "fused: {fused}");
        let pruned = shrink(&chosen.original, &chosen.facts, &chosen.choice.keep).unwrap();
        let asked = Verification::default();
        let (facts, keep) = (&chosen.facts, &chosen.choice.keep);
        let found = verify(&chosen.original, facts, keep, &pruned, &Cpu, &asked).unwrap();
        assert!(found.left_out == 0 && found.operations == 2 * module.nodes.len());
    }
}

/// A module with one element of a param doubled and moved.
fn broken(module: &Module, name: &str) -> Module {
    let mut broken = module.clone();
    for value in &mut broken.values {
        if let Def::Param(tensor) = &mut value.def
            && &*value.name == name
        {
            let mut values = tensor.to_f32().unwrap().into_owned();
            values[0] = 2.0 * values[0] + 0.5;
            *tensor = Tensor::from_f32(&tensor.shape, values).unwrap();
        }
    }
    broken
}

#[test]
fn a_budget_is_kept_and_what_it_pays_for_is_proved() {
    let module = decoder(Decoder {
        layers: 4,
        ..Decoder::SMALL
    });
    let chosen = choose(&module, &source("plan.toml", HALF)).unwrap();
    let (original, facts, keep) = (&chosen.original, &chosen.facts, &chosen.choice.keep);
    let pruned = shrink(original, facts, keep).unwrap();
    let run = |pruned: &Module, budget, seed| {
        let asked = Verification {
            budget: Some(budget),
            seed,
            ..Verification::default()
        };
        verify(original, facts, keep, pruned, &Cpu, &asked)
    };
    let all = run(&pruned, u64::MAX, 0).unwrap();
    assert_eq!((all.left_out, all.operations), (0, 2 * module.nodes.len()));
    let least = run(&pruned, 2, 0).unwrap();
    let some = run(&pruned, 200_000, 0).unwrap();
    assert_eq!(some, run(&pruned, 200_000, 0).unwrap(), "the same twice");
    for found in [&least, &some] {
        let (run, left_out) = (found.operations, found.left_out);
        assert_eq!(run + left_out, 2 * module.nodes.len());
        assert!(found.compared >= run && left_out > 0);
    }
    assert!(least.operations < some.operations && some.operations < all.operations);
    // What runs whatever the budget: norms and tables.
    let norm = broken(&pruned, "model.layers.3.input_layernorm.weight");
    assert!(matches!(run(&norm, 2, 0), Err(VerifyError::Differs { .. })));
    // The first layer is paid for in program order, the last by the seed's choice in some runs and not in others.
    let first = broken(&pruned, "model.layers.0.self_attn.q_proj.weight");
    assert!(matches!(
        run(&first, 200_000, 0),
        Err(VerifyError::Differs { .. })
    ));
    let last = broken(&pruned, "model.layers.3.mlp.down_proj.weight");
    let found: Vec<bool> = (0..12)
        .map(|seed| run(&last, 200_000, seed).is_err())
        .collect();
    assert!(found.contains(&true) && found.contains(&false), "{found:?}");
}

#[test]
fn what_is_chosen_later_is_what_is_gathered_now() {
    let module = decoder(Decoder::SMALL);
    let chosen = choose(&module, &source("plan.toml", HALF)).unwrap();
    let pruned = shrink(&chosen.original, &chosen.facts, &chosen.choice.keep).unwrap();
    let dims = &chosen.facts.dims;
    for ((v, whole), (_, narrow)) in chosen.original.tensors().zip(pruned.tensors()) {
        let axes = chosen.facts.axes(v).unwrap();
        let kept = axes.iter().map(|d| chosen.choice.keep.positions(dims, *d));
        let gathered = whole.gather(&kept.collect::<Vec<_>>()).unwrap();
        assert_eq!(*narrow, gathered);
        assert_eq!(narrow.byte_len(), narrow.bytes().len());
    }
}

/// Writes a decoder's text, with its weights in as many shards as are asked for.
fn write(directory: &Path, shards: usize) -> std::path::PathBuf {
    let small = Decoder {
        dtype: "bf16",
        ..Decoder::SMALL
    };
    let module = decoder(small);
    std::fs::create_dir(directory).unwrap();
    let path = directory.join("net.tir");
    std::fs::write(&path, small.text()).unwrap();
    let tensors: Vec<(&str, &Tensor)> = stored(&module).collect();
    let mut map = serde_json::Map::new();
    for (i, shard) in tensors.chunks(tensors.len().div_ceil(shards)).enumerate() {
        let file = format!("model-{i}.safetensors");
        let all = shard.iter().map(|(name, tensor)| (*name, *tensor));
        tpc::weights::write(all, &directory.join(&file)).unwrap();
        map.extend(
            shard
                .iter()
                .map(|(n, _)| (n.to_string(), file.clone().into())),
        );
    }
    let index = serde_json::json!({ "weight_map": map });
    std::fs::write(
        directory.join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();
    path
}

#[test]
fn shards_are_pruned_as_one_file_is() {
    let directory = tempfile::tempdir().unwrap();
    let plan = directory.path().join("plan.toml");
    std::fs::write(&plan, format!("{HALF}[verify]\nbudget = \"0.2 M\"\n")).unwrap();
    let mut results = vec![];
    for shards in [1, 3] {
        let model = write(&directory.path().join(shards.to_string()), shards);
        let mut asked = Compile {
            model: model.clone(),
            init: None,
            plan: Some(plan.clone()),
            output: None,
            also: vec![],
            verify: true,
        };
        let done = compile(&asked, &|_| {}).unwrap().unwrap();
        let verified = done.verified.unwrap();
        assert!(verified.left_out > 0 && verified.compared > 0);
        let weights = std::fs::read(model.with_file_name("net.pruned.safetensors")).unwrap();
        let lock = std::fs::read_to_string(&done.lock_path).unwrap();
        assert!(lock.contains("\nbudget = 200000\n"), "{lock}");
        // The lock is a plan that gives the same again, itself included.
        asked.plan = Some(done.lock_path.clone());
        asked.output = Some(model.with_file_name("again.tir"));
        let again = compile(&asked, &|_| {}).unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(&again.lock_path).unwrap(), lock);
        assert_eq!(
            std::fs::read(model.with_file_name("again.safetensors")).unwrap(),
            weights
        );
        let back = load(&again.output, None).unwrap();
        assert!(back.tensors().any(|(_, t)| t.dtype == DType::BF16));
        // Reasons say where they are stated, and with it where the text lies.
        let folder = model.parent().unwrap().display().to_string();
        results.push((weights, lock.replace(&folder, "")));
    }
    assert!(results[0] == results[1]);
}
