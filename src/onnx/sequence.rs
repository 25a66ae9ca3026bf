//! Sequences of tensors that are cut from one tensor and taken apart again, as some exporters write a split.
use super::import::Import;
use super::node::{captures, name_of, op_type};
use super::rows::Row;
use super::take::{Call, Inputs, Refusal, expr};
use crate::ir::Def;
use crate::ops::{Attr, Attrs, Op, normalize_axis};
use crate::tensor::Extent;

/// Most items of a sequence that is followed: each is said of the axis, and again where one is taken.
const MOST_ITEMS: i64 = 1 << 10;

impl Import<'_> {
    /// Of the sequence that a node makes or takes an item of: how it was cut, as far as that is said already. None where
    /// anything else happens to it, or the node has to do with none.
    pub(super) fn sequence(&self, at: usize) -> Option<Attrs> {
        let node = &self.graph.node[at];
        match op_type(node) {
            "SplitToSequence" => {
                let name = node.output.first()?;
                let takes = |node: &super::wire::proto::NodeProto| {
                    let uses = node.input.iter().any(|n| n == name);
                    let takes = op_type(node) == "SequenceAt" && node.input.get(1) != Some(name);
                    (!uses || takes) && !captures(node).contains(&&name[..])
                };
                let is_output = self.graph.output.iter().any(|info| name_of(info) == name);
                (!is_output && self.graph.node.iter().all(takes)).then(Attrs::new)
            }
            "SequenceAt" => {
                let value = self.known.get(&node.input.first()?[..])?.value?;
                let Def::Result(maker, _) = self.module.value(value).def else {
                    return None;
                };
                let maker = self.module.node(maker);
                (maker.op == Op::SplitToSequence).then(|| maker.attrs.clone())
            }
            _ => None,
        }
    }
}

/// The sizes of the items: stated, or all of one size but the last.
pub fn split(inputs: &Inputs<'_>, row: &'static Row, call: &mut Call) -> Result<(), Refusal> {
    if inputs.sequence.is_none() {
        return Err(Refusal::Opaque);
    }
    let x = &inputs.shape(0)?.axes;
    let axis = normalize_axis(call.attrs.int_or("axis", 0), x.len());
    let axis = axis.map_err(|e| Refusal::Wrong(e.to_string()))?;
    let field = Inputs::field(row, "split")?;
    let sizes = inputs.extents(field)?.ok_or(Refusal::Opaque)?;
    let is_one = inputs.folded(1)?.is_some_and(|f| f.shape.is_empty());
    let sizes = match (&sizes[..], x[axis].known()) {
        ([each], Some(n)) if is_one => {
            let each = each
                .known()
                .filter(|each| *each > 0 && n / each < MOST_ITEMS);
            let each = each.ok_or(Refusal::Opaque)?;
            let starts = (0..n).step_by(usize::try_from(each).unwrap_or(usize::MAX));
            starts.map(|at| Extent::from(each.min(n - at))).collect()
        }
        _ if is_one => return Err(Refusal::Opaque),
        _ => sizes,
    };
    call.attrs.set("sizes", Attr::exprs(sizes.iter().map(expr)));
    Ok(())
}

/// How the sequence was cut.
pub fn item(inputs: &Inputs<'_>, call: &mut Call) -> Result<(), Refusal> {
    let cut = inputs.sequence.as_ref().ok_or(Refusal::Opaque)?;
    for name in ["axis", "sizes"] {
        if let Some(attr) = cut.get(name) {
            call.attrs.set(name, attr.clone());
        }
    }
    Ok(())
}
