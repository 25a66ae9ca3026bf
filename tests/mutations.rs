//! Wrong prunings, each of which verification must catch: of the shrink, of the masked program, of the writer.
mod common;
use common::{Net, Random};
use std::path::Path;
use tpc::exec::Cpu;
use tpc::ir::{Def, Module, NodeId, ValueId, propagate};
use tpc::ops::{Binary, Op};
use tpc::prune::{Keep, Masked, Verification, compare, groups, masked};
use tpc::tensor::Tensor;

/// Convolutions with norms and a residual, a concatenation taken apart, a chosen order of channels.
const CNN: &str = r#"
param @c1.weight : f32[8, 3, 3, 3]
param @c1.bias : f32[8]
param @bn.scale : f32[8]
param @bn.bias : f32[8]
param @bn.mean : f32[8]
param @bn.var : f32[8]
param @c2.weight : f32[8, 8, 3, 3]
param @c3.weight : f32[6, 8, 1, 1]
param @c4.weight : f32[5, 14, 1, 1]
param @c4.bias : f32[5]
param @dw.weight : f32[6, 1, 3, 3]
param @fc.weight : f32[4, 20]
param @fc.bias : f32[4]
const @order : i64[6] = [3, 4, 5, 0, 1, 2]
input %x : f32[1, 3, 8, 8]
%0 = conv(%x, @c1.weight, @c1.bias) {pad = [1, 1, 1, 1]}
%1 = batch_norm(%0, @bn.scale, @bn.bias, @bn.mean, @bn.var) {epsilon = 1e-5}
%2 = hard_swish(%1)
%3 = conv(%2, @c2.weight) {pad = [1, 1, 1, 1]}
%4 = add(%3, %2)
%5 = conv(%4, @c3.weight)
%6 = conv(%5, @dw.weight) {pad = [1, 1, 1, 1], groups = 6}
%7 = gather(%6, @order) {axis = 1}
%8 = sigmoid(%7)
%9 = concat(%4, %8) {axis = 1}
%10 = conv(%9, @c4.weight, @c4.bias)
%11 = average_pool(%10) {kernel = [4, 4], stride = [4, 4]}
%12 = flatten(%11) {axis = 1}
%y = linear(%12, @fc.weight, @fc.bias) {trans_b = true}
output %y"#;

/// Attention with a norm, softmax over pruned widths, means over survivors.
const TOKENS: &str = r#"
dim N = ?, T = ?
param @e.weight : f32[5, 8]
param @n.scale : f32[8]
param @n.bias : f32[8]
param @q.weight : f32[8, 6]
param @k.weight : f32[8, 6]
param @v.weight : f32[8, 10]
param @o.weight : f32[10, 8]
param @f.weight : f32[8, 7]
param @f.bias : f32[7]
param @g.weight : f32[7, 3]
input %x : f32[N, T, 5]
%0 = matmul(%x, @e.weight)
%1 = layer_norm(%0, @n.scale, @n.bias) {axis = -1, epsilon = 1e-5}
%2 = matmul(%1, @q.weight)
%3 = matmul(%1, @k.weight)
%4 = transpose(%3) {perm = [0, 2, 1]}
%5 = matmul(%2, %4)
%6 = softmax(%5) {axis = -1}
%7 = matmul(%1, @v.weight)
%8 = matmul(%6, %7)
%9 = matmul(%8, @o.weight)
%10 = add(%9, %0)
%11 = matmul(%10, @f.weight)
%12 = add(%11, @f.bias)
%13 = softmax(%12) {axis = -1}
%14 = reduce_mean(%12) {axes = [2], keep_dims = true}
%15 = reduce_max(%12) {axes = [2], keep_dims = true}
%16 = sub(%13, %14)
%17 = mul(%16, %15)
%y = matmul(%17, @g.weight)
output %y"#;

/// A group norm and a recurrent layer.
const OTHERS: &str = r#"
param @c.weight : f32[12, 3, 3, 3]
param @n.scale : f32[12]
param @n.bias : f32[12]
param @w : f32[1, 24, 12]
param @r : f32[1, 24, 6]
param @b : f32[1, 48]
param @o.weight : f32[6, 4]
input %x : f32[1, 3, 4, 4]
%0 = conv(%x, @c.weight) {pad = [1, 1, 1, 1]}
%1 = group_norm(%0, @n.scale, @n.bias) {groups = 3, epsilon = 1e-5}
%2 = reduce_mean(%1) {axes = [3], keep_dims = false}
%3 = transpose(%2) {perm = [2, 0, 1]}
%4 = lstm(%3, @w, @r, @b) {hidden_size = 6}
%5 = squeeze(%4) {axes = [1]}
%y = matmul(%5, @o.weight)
output %y"#;

/// Every width of a network halved, at random.
fn halved(net: &Net, random: &mut Random) -> Keep {
    let mut keep = Keep::all();
    for group in groups(&net.module, &net.facts).groups {
        if group.extent > 2 {
            let mut all: Vec<usize> = (0..group.extent).collect();
            while all.len() > group.extent / 2 {
                all.remove(random.below(all.len()));
            }
            keep.set(group.atom, all);
        }
    }
    keep
}

/// The pruned network with other elements in one param.
fn with(pruned: &Module, name: &str, tensor: Tensor) -> Module {
    let mut changed = pruned.clone();
    let value = changed.values.iter_mut().find(|v| &*v.name == name);
    value.unwrap().def = Def::Param(tensor);
    changed
}

/// Every param, with each kept position of each axis in turn taken from a removed one instead: what a wrong index, a
/// bias left behind, a missed consumer, or a param of the wrong order comes to.
#[test]
fn a_wrong_position_of_any_param_is_caught() {
    for text in [CNN, TOKENS, OTHERS] {
        let net = Net::new(text);
        let keep = halved(&net, &mut Random(5));
        let pruned = net.shrunk(&keep);
        net.verify(&keep, &pruned).unwrap();
        let mut mutants = 0;
        for (v, whole) in net.module.tensors().filter(|(_, t)| t.dtype.is_float()) {
            let name = &net.module.value(v).name;
            let axes = net.facts.axes(v).unwrap();
            let kept: Vec<_> = axes
                .iter()
                .map(|d| keep.positions(&net.facts.dims, *d))
                .collect();
            for axis in 0..axes.len() {
                let Some(right) = &kept[axis] else { continue };
                let mut wrongs = vec![];
                for at in 0..right.len() {
                    let mut wrong = right.clone();
                    wrong[at] = (0..whole.shape[axis]).find(|i| !right.contains(i)).unwrap();
                    wrongs.push(wrong);
                }
                // The first ones, as if nothing had been chosen; two in each other's place.
                wrongs.push((0..right.len()).collect());
                let mut swapped = right.clone();
                swapped.swap(0, right.len() - 1);
                wrongs.push(swapped);
                for wrong in wrongs.into_iter().filter(|w| w != right) {
                    let mut positions = kept.clone();
                    positions[axis] = Some(wrong);
                    let mutant = with(&pruned, name, whole.gather(&positions).unwrap());
                    assert!(
                        net.verify(&keep, &mutant).is_err(),
                        "{name}:{axis} {positions:?}"
                    );
                    mutants += 1;
                }
            }
        }
        assert!(mutants > 50, "{mutants}");
    }
}

#[test]
fn constants_that_count_are_renumbered() {
    let net = Net::new(CNN);
    let keep = halved(&net, &mut Random(5));
    let pruned = net.shrunk(&keep);
    let order = pruned.values.iter().find(|v| &*v.name == "order").unwrap();
    let new = order.tensor().unwrap().to_i64().unwrap();
    assert!(
        new.len() < 6 && new.iter().all(|i| *i < new.len() as i64),
        "{new:?}"
    );
    let back: Vec<i64> = new.iter().rev().copied().collect();
    let mut mutant = pruned.clone();
    let value = mutant
        .values
        .iter_mut()
        .find(|v| &*v.name == "order")
        .unwrap();
    value.def = Def::Const(Tensor::from_i64(&[back.len()], back).unwrap());
    assert!(net.verify(&keep, &mutant).is_err());
}

/// Masked programs in which one mask was forgotten, or fills with what is not the identity, or counts other survivors.
#[test]
fn a_wrong_mask_is_caught() {
    for text in [CNN, TOKENS, OTHERS] {
        let net = Net::new(text);
        let keep = halved(&net, &mut Random(5));
        let pruned = net.shrunk(&keep);
        let right = masked(&net.module, &net.facts, &keep);
        let judge = |masked: &Masked| {
            compare(
                &net.module,
                &net.facts,
                &keep,
                masked,
                &pruned,
                &Cpu,
                &Verification::default(),
            )
        };
        judge(&right).unwrap();
        let mut mutants = 0;
        for (i, node) in right.module.nodes.iter().enumerate() {
            let is_mask = node.op == Op::Where;
            if !is_mask && node.op != Op::Binary(Binary::Mul) {
                continue;
            }
            let ours = |v: &Option<ValueId>| {
                v.is_some_and(|v| right.module.value(v).name.starts_with(" /identity"))
            };
            let Some(k) = node.operands.iter().rposition(ours) else {
                continue;
            };
            // What stands at removed positions stays there.
            if is_mask {
                let mut mutant = clone(&right);
                mutant.module.nodes[i].operands[2] = node.operands[1];
                assert!(judge(&mutant).is_err(), "a mask forgotten at {i}");
                mutants += 1;
            }
            let v = node.operands[k].unwrap();
            let value = right.module.value(v).tensor().unwrap().to_f32().unwrap()[0];
            let other = if value.is_finite() { value + 1.0 } else { 1e3 };
            let mut mutant = clone(&right);
            mutant.module.values[v.at()].def = Def::Const(Tensor::scalar(other));
            assert!(judge(&mutant).is_err(), "{value} became {other} at {i}");
            mutants += 1;
        }
        assert!(mutants >= 8, "{mutants}");
    }
}

fn clone(masked: &Masked) -> Masked {
    Masked {
        module: masked.module.clone(),
        nodes: masked.nodes.clone(),
        values: masked.values.clone(),
    }
}

/// Files that a wrong writer would make: attributes, operands, weights, bytes.
#[test]
fn a_wrong_file_is_caught() {
    let net = Net::new(CNN);
    let keep = halved(&net, &mut Random(5));
    let pruned = net.shrunk(&keep);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.onnx");
    let write = |module: &Module| {
        tpc::onnx::write(module, &propagate(module).unwrap(), &path).unwrap();
    };
    write(&pruned);
    let written = tpc::onnx::read(&path).unwrap();
    net.verify(&keep, &written).unwrap();
    let caught = |module: &Module, what: &str| {
        assert!(net.verify(&keep, module).is_err(), "{what}");
    };
    // Attributes.
    for (i, node) in written.nodes.iter().enumerate() {
        for (name, value) in [("epsilon", 0.5), ("alpha", 2.0), ("beta", 0.5)] {
            if node.attrs.get(name).is_some() {
                let mut mutant = written.clone();
                mutant.nodes[i]
                    .attrs
                    .set(name, tpc::ops::Attr::Float(value));
                caught(&mutant, name);
            }
        }
        for name in ["pad", "stride", "groups", "trans_b"] {
            if node.attrs.get(name).is_some() {
                let mut mutant = written.clone();
                mutant.nodes[i].attrs.remove(name);
                caught(&mutant, name);
            }
        }
        // A flattened batch of one is the same from the first axis on.
        if node.attrs.get("axis").is_some() && node.op != Op::Flatten {
            let mut mutant = written.clone();
            mutant.nodes[i].attrs.set("axis", tpc::ops::Attr::int(0));
            caught(&mutant, "axis");
        }
    }
    // Operands in each other's place.
    for i in 0..written.nodes.len() {
        let operands = &written.nodes[i].operands;
        for k in 1..operands.len() {
            let commutes = matches!(written.node(NodeId(i as u32)).op, Op::Binary(Binary::Add));
            if operands.len() > 1 && !commutes && operands[k - 1] != operands[k] {
                let mut mutant = written.clone();
                mutant.nodes[i].operands.swap(k - 1, k);
                caught(&mutant, "operands");
            }
        }
    }
    bytes(&net, &keep, &path);
}

/// One bit of the file's weights turned, and the file cut short.
fn bytes(net: &Net, keep: &Keep, path: &Path) {
    let whole = std::fs::read(path).unwrap();
    let data: Vec<Vec<u8>> = tpc::onnx::read(path)
        .unwrap()
        .tensors()
        .filter(|(_, t)| t.dtype.is_float())
        .map(|(_, t)| t.bytes().to_vec())
        .collect();
    for tensor in data {
        let at = whole
            .windows(tensor.len())
            .position(|w| w == tensor)
            .unwrap();
        let mut mutant = whole.clone();
        // The exponent of the last element.
        mutant[at + tensor.len() - 1] ^= 0x40;
        std::fs::write(path, &mutant).unwrap();
        let caught = match tpc::onnx::read(path) {
            Ok(read) => net.verify(keep, &read).is_err(),
            Err(_) => true,
        };
        assert!(caught, "a bit at {at}");
    }
    for length in [whole.len() - 1, whole.len() / 2, whole.len() / 10] {
        std::fs::write(path, &whole[..length]).unwrap();
        let caught = match tpc::onnx::read(path) {
            Ok(read) => net.verify(keep, &read).is_err(),
            Err(_) => true,
        };
        assert!(caught, "cut to {length}");
    }
}
