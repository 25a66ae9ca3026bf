//! What the bodies of loops state of their results: types of operations that are carried through.
use super::import::{Import, MOST_AXES, fresh};
use super::node::{attribute, int_or, ints, is_standard, op_type};
use super::wire::dtype_of;
use super::wire::proto::{NodeProto, TypeProto};
use crate::ops::{Shape, normalize_axis};
use crate::tensor::Extent;

impl Import<'_> {
    /// Type and extents of result `k` of a `Loop` or `Scan`, as far as its body says: numbers stay what they are, anything
    /// else is known at run time only, since names of a body are not those of the graph.
    pub(super) fn of_body(&mut self, node: &NodeProto, k: usize) -> Option<Shape> {
        if !is_standard(node) {
            return None;
        }
        let body = attribute(node, "body")?.g.as_ref()?;
        let name = node.output.get(k)?;
        let (ty, rows) = match op_type(node) {
            // The number of turns and the condition go in, the condition comes out; then what is handed from turn to turn,
            // then what the turns give, one beside the other.
            "Loop" => {
                let ty = body.output.get(k.checked_add(1)?)?.r#type.as_ref();
                let is_row = k >= node.input.len().saturating_sub(2);
                // It may end before the number of turns that is stated; that what it gives has as many rows is learnt from
                // what follows, and then a reader of the file that is written knows more than was known here.
                let most = node.input.first().and_then(|most| self.folded(most));
                if is_row && most.is_some_and(|most| most.tensor().is_some()) {
                    return None;
                }
                (ty, is_row.then_some((0, None)))
            }
            "Scan" => {
                let scanned = usize::try_from(int_or(node, "num_scan_inputs", 0)).ok()?;
                let states = node.input.len().checked_sub(scanned)?;
                let at = |name: &str, k: usize| {
                    let all = attribute(node, name).and_then(ints);
                    all.and_then(|all| all.get(k)).copied().unwrap_or(0)
                };
                let ty = body.output.get(k)?.r#type.as_ref();
                let row = match k.checked_sub(states) {
                    Some(k) => {
                        let x = self.shape(node.input.get(states)?)?;
                        let axis = normalize_axis(at("scan_input_axes", 0), x.axes.len()).ok()?;
                        Some((at("scan_output_axes", k), Some(x.axes[axis].clone())))
                    }
                    None => None,
                };
                (ty, row)
            }
            _ => return None,
        };
        let mut shape = self.within_body(ty?, name)?;
        if let Some((axis, turns)) = rows {
            let axis = normalize_axis(axis, shape.axes.len() + 1).ok()?;
            let dims = &mut self.module.dims;
            let turns = turns.unwrap_or_else(|| fresh(dims, &format!("{name}.turns")));
            shape.axes.insert(axis, turns);
        }
        Some(shape)
    }
    /// What a body states of one of its results.
    fn within_body(&mut self, ty: &TypeProto, name: &str) -> Option<Shape> {
        let tensor = ty.tensor_type.as_ref()?;
        let dtype = dtype_of(tensor.elem_type.unwrap_or(0))?;
        let stated = &tensor.shape.as_ref()?.dim;
        if stated.len() >= MOST_AXES {
            return None;
        }
        let mut axes = vec![];
        for (i, dim) in stated.iter().enumerate() {
            axes.push(match dim.dim_value {
                Some(n) if n > 0 => Extent::from(n),
                _ => fresh(&mut self.module.dims, &format!("{name}.{i}")),
            });
        }
        Some(Shape { dtype, axes })
    }
}
