//! What single operators of ONNX Runtime need besides their row when a node is read.
use super::node::int_or;
use super::rows::Row;
use super::special::set_scale;
use super::take::{Call, Inputs, Refusal, expr};
use crate::ops::Attr;
use crate::tensor::Extent;

/// Completes a call whose row has been read.
pub fn complete(
    inputs: &mut Inputs<'_>,
    row: &'static Row,
    call: &mut Call,
) -> Result<(), Refusal> {
    let node = inputs.node;
    let gives = |k: usize| node.output.get(k).is_some_and(|name| !name.is_empty());
    let states_scale = call.attrs.float_or("scale", 0.0) != 0.0;
    let heads = int_or(node, "num_heads", 0);
    match row.onnx {
        "QuickGelu" if call.attrs.get("alpha").is_none() => {
            call.attrs.set("alpha", Attr::Float(1.702));
        }
        // Means and deviations are of no use but in training.
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" if gives(1) || gives(2) => {
            return Err(Refusal::Opaque);
        }
        "Attention" => {
            // A cache that is one tensor of keys and values is not known.
            if inputs.has(4) || gives(1) {
                return Err(Refusal::Opaque);
            }
            if call.attrs.get("widths").is_none() {
                let all = inputs.shape(1)?.axes.last();
                let third = all.and_then(|all| all.exact_div(&Extent::from(3i64)));
                let third = third.ok_or(Refusal::Opaque)?;
                call.attrs.set("widths", Attr::exprs(vec![expr(&third); 3]));
            }
            let widths = call.attrs.ints("widths");
            let queries = widths
                .and_then(|all| all.first().copied())
                .map(Extent::from);
            if !states_scale {
                set_scale(call, queries.as_ref(), heads);
            }
        }
        "MultiHeadAttention" => {
            if gives(1) || gives(2) || inputs.has(6) || !inputs.has(1) || !inputs.has(2) {
                return Err(Refusal::Opaque);
            }
            if !states_scale {
                set_scale(call, inputs.shape(0)?.axes.last(), heads);
            }
        }
        "GroupQueryAttention" => {
            let kv = int_or(node, "kv_num_heads", 0);
            let columns = if inputs.has(1) {
                heads
            } else {
                heads.saturating_add(kv.saturating_mul(2))
            };
            if (9..node.input.len()).any(|k| inputs.has(k)) || gives(3) {
                return Err(Refusal::Opaque);
            }
            if !states_scale {
                set_scale(call, inputs.shape(0)?.axes.last(), columns);
            }
        }
        _ => {}
    }
    Ok(())
}
