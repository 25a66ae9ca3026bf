//! The original program in which removed positions are there, and do not matter.
//!
//! Nothing is gathered or reshaped: before an operation that sums, takes maxima or statistics over an axis, what stands
//! at its removed positions is replaced by the identity of what the operation does, as the operator's file says.
use super::keep::{Keep, Picks};
use crate::dims::{Dim, Term, known};
use crate::ir::{Def, Facts, Module, Node, NodeId, Type, ValueId};
use crate::ops::{Attr, Attrs, Expr, Handle, Mask, Op};
use crate::tensor::{DType, Extent, Pick, Tensor};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A masked program, and where the original's operations and values are in it.
pub struct Masked {
    /// The program; it has the original's inputs and outputs, and the shapes of the original.
    pub module: Module,
    /// Per operation of the original, the operations that stand for it.
    pub nodes: Vec<Range<usize>>,
    /// Per value of the original, the value that stands for it.
    pub values: Vec<Option<ValueId>>,
}

/// Rewrites the original so that it gives, at the kept positions of every value, what a program without the removed
/// positions must give.
pub fn masked(module: &Module, facts: &Facts, keep: &Keep) -> Masked {
    let mut out = Module::new(&module.name, module.origin.clone());
    (out.dims, out.dim_spans) = (module.dims.clone(), module.dim_spans.clone());
    let mut values = vec![];
    for value in &module.values {
        let (ty, def) = (value.ty.clone(), value.def.clone());
        let there = !matches!(def, Def::Result(..));
        values.push(there.then(|| out.add_value(value.name.clone(), ty, def, value.span)));
    }
    out.inputs = (module.inputs.iter())
        .filter_map(|v| values[v.at()])
        .collect();
    let mut masking = Masking {
        module,
        facts,
        out,
        values,
        masks: HashMap::new(),
        picks: Picks::new(&facts.dims, keep, &one_each),
        kept: vec![],
        at: NodeId(0),
        made: 0,
    };
    let mut nodes = vec![];
    for i in 0..module.nodes.len() {
        let start = masking.out.nodes.len();
        masking.at = NodeId(i as u32);
        masking.node();
        nodes.push(start..masking.out.nodes.len());
    }
    let Masking {
        mut out, values, ..
    } = masking;
    // A result that nothing takes is compared, too; it may be taken where it is masked, and would be dropped there.
    let users = module.users();
    let results = module.nodes.iter().flat_map(|node| &node.results);
    let unused = results.flatten().filter(|v| users[v.at()].is_empty());
    let outputs = module.outputs.iter().map(|(v, ty)| (*v, ty.clone()));
    out.outputs = outputs
        .chain(unused.map(|v| (*v, None)))
        .filter_map(|(v, ty)| Some((values[v.at()]?, ty)))
        .collect();
    Masked {
        module: out,
        nodes,
        values,
    }
}

/// A run-time factor of an axis counts as one position: what the others keep is the same at each of its positions.
fn one_each(extent: &Extent) -> Option<usize> {
    Some(known(extent).unwrap_or(1))
}

fn of_extent(extent: Extent) -> Expr {
    extent.known().map_or(Expr::Extent(extent), Expr::Num)
}

/// An axis and its class.
type Told = (usize, Dim);

struct Masking<'m> {
    module: &'m Module,
    facts: &'m Facts,
    out: Module,
    /// Per value of the original, what stands for it.
    values: Vec<Option<ValueId>>,
    /// Masks that are there: by rank, axis and its class, and the axis that has a say in it with its class.
    masks: HashMap<(usize, Told, Option<Told>), ValueId>,
    picks: Picks<'m>,
    /// What the axes of the operands of the operation at hand keep.
    kept: Vec<Vec<Arc<Pick>>>,
    /// The operation of the original at which the program is.
    at: NodeId,
    /// How many values were made, for their names.
    made: usize,
}

impl Masking<'_> {
    fn node(&mut self) {
        let module = self.module;
        let node = module.node(self.at);
        let untouched = node.op == Op::Opaque || !self.touched();
        let results = if untouched {
            let operands: Vec<Option<Handle>> = (0..node.operands.len())
                .map(|k| Mask::operand(self, k))
                .collect();
            self.same(&operands)
        } else {
            node.op.operator().masked(self)
        };
        for (v, handle) in node.results.iter().zip(results) {
            if let Some(v) = v {
                self.values[v.at()] = Some(ValueId(handle.0));
            }
        }
    }
    /// Whether an axis of an operand loses positions.
    fn touched(&mut self) -> bool {
        let (module, facts) = (self.module, self.facts);
        let mut kept = vec![];
        for operand in &module.node(self.at).operands {
            let axes = operand.and_then(|v| facts.axes(v)).unwrap_or_default();
            kept.push(self.picks.of(axes).unwrap_or_default());
        }
        self.kept = kept;
        let mut all = self.kept.iter().flatten();
        all.any(|pick| **pick != Pick::All)
    }
    fn kept(&self, k: usize, axis: usize) -> Option<Arc<Pick>> {
        let pick = self.kept.get(k)?.get(axis)?;
        (**pick != Pick::All).then(|| pick.clone())
    }
    fn original(&self, k: usize) -> Option<ValueId> {
        self.module.node(self.at).operands.get(k).copied().flatten()
    }
    fn dims(&self, k: usize) -> &[Dim] {
        let axes = self.original(k).and_then(|v| self.facts.axes(v));
        axes.unwrap_or_default()
    }
    fn dtype(&self, k: usize) -> DType {
        let dtype = |v: ValueId| self.facts.values[v.at()].dtype;
        self.original(k).map_or(DType::F32, dtype)
    }
    fn name(&mut self, what: &str) -> String {
        self.made += 1;
        // No name of a file is empty before a slash and after a space.
        format!(" /{what}.{}", self.made)
    }
    /// A constant of the element type of operand `k`.
    fn constant(&mut self, k: usize, value: f32) -> ValueId {
        let dtype = self.dtype(k);
        // Infinities are the ends of an integer type.
        let tensor = Tensor::scalar(value);
        let tensor = tensor.cast(dtype).unwrap_or(tensor);
        let name = self.name("identity");
        self.out.add_const(&name, tensor)
    }
    /// True at the kept positions of an axis of operand `k`, broadcast over the others.
    fn mask(&mut self, k: usize, axis: usize) -> Option<ValueId> {
        let kept = self.kept(k, axis)?;
        let dims = self.dims(k);
        let told = |axis: usize| (axis, self.facts.dims.find(dims[axis]));
        let other = match *kept {
            Pick::Rows { axis, .. } => Some(axis),
            Pick::All | Pick::Some(_) => None,
        };
        let key = (dims.len(), told(axis), other.map(told));
        if let Some(mask) = self.masks.get(&key) {
            return Some(*mask);
        }
        let (rank, d) = (dims.len(), dims[axis]);
        let mut shape = vec![1; rank];
        for axis in [Some(axis), other].into_iter().flatten() {
            shape[axis] = self.positions(dims[axis]);
        }
        let mut flags = vec![false; shape.iter().product()];
        match &*kept {
            Pick::All => return None,
            Pick::Some(kept) => kept.iter().for_each(|i| flags[*i] = true),
            Pick::Rows { axis: other, of } => {
                let (n, rows) = (shape[axis], shape[*other]);
                for (row, kept) in of.iter().enumerate() {
                    for i in kept {
                        let at = if *other < axis {
                            row * n + i
                        } else {
                            i * rows + row
                        };
                        flags[at] = true;
                    }
                }
            }
        }
        let tensor = Tensor::from_vec(&shape, flags).ok()?;
        let name = self.name("kept");
        let mask = self.out.add_const(&name, tensor);
        let mask = self.repeated(mask, rank, axis, d);
        self.masks.insert(key, mask);
        Some(mask)
    }
    /// The positions of a dim, a run-time factor of it counted as one.
    fn positions(&self, d: Dim) -> usize {
        let dims = &self.facts.dims;
        dims.size_at(&dims.term(d), &one_each)
    }
    /// A mask of an axis that has run-time factors, which it has at one position so far, at all positions of them.
    fn repeated(&mut self, mask: ValueId, rank: usize, axis: usize, d: Dim) -> ValueId {
        let dims = &self.facts.dims;
        let (false, Term::Product(factors)) = (dims.extent(d).is_known(), dims.term(d)) else {
            return mask;
        };
        let extent = |factor: &Term| match factor {
            Term::Atom(atom) => dims.extent(*atom).clone(),
            _ => Extent::from(dims.size(factor)),
        };
        let extents: Vec<Extent> = factors.iter().map(extent).collect();
        let at_one = extents.iter().map(|e| known(e).unwrap_or(1).into());
        let (at_one, whole) = (at_one.collect(), dims.extent(d).clone());
        let mut shape = vec![Extent::from(1i64); rank];
        shape[axis] = whole;
        let steps = [
            (Op::Reshape, at_one),
            (Op::Expand, extents),
            (Op::Reshape, shape),
        ];
        steps.into_iter().fold(mask, |mask, (op, extents)| {
            let axes = extents.into_iter().map(of_extent).collect();
            let ty = Type {
                dtype: DType::Bool,
                axes: Some(axes),
            };
            let result = vec![Some((self.name("kept").into(), Some(ty)))];
            let made = self.add(op, &[Some(Handle(mask.0))], Attrs::new(), result);
            made.first().map_or(mask, |made| ValueId(made.0))
        })
    }
    /// Adds an operation whose results are named after `names`, and have the given types.
    fn add(
        &mut self,
        op: Op,
        operands: &[Option<Handle>],
        attrs: Attrs,
        results: Vec<Option<(Arc<str>, Option<Type>)>>,
    ) -> Vec<Handle> {
        let original = self.module.node(self.at);
        let node = Node {
            op,
            operands: operands.iter().map(|h| h.map(|h| ValueId(h.0))).collect(),
            results: vec![],
            attrs,
            name: original.name.clone(),
            meta: vec![],
            span: original.span,
        };
        let id = self.out.add_node(node, results);
        let results = &self.out.nodes[id.at()].results;
        results
            .iter()
            .map(|v| v.map_or(Handle(u32::MAX), |v| Handle(v.0)))
            .collect()
    }
}

impl Mask for Masking<'_> {
    fn operand_count(&self) -> usize {
        self.module.node(self.at).operands.len()
    }
    fn operand(&self, k: usize) -> Option<Handle> {
        Some(Handle(self.values[self.original(k)?.at()]?.0))
    }
    fn rank(&self, k: usize) -> usize {
        self.dims(k).len()
    }
    fn result_rank(&self, k: usize) -> usize {
        let result = self.module.node(self.at).results.get(k).copied().flatten();
        result
            .and_then(|v| self.facts.axes(v))
            .map_or(0, <[_]>::len)
    }
    fn axes(&self, k: usize) -> Vec<Expr> {
        let extent = |d: &Dim| self.facts.dims.extent(*d).clone();
        self.dims(k).iter().map(|d| of_extent(extent(d))).collect()
    }
    fn result_count(&self) -> usize {
        self.module.node(self.at).results.len()
    }
    fn attrs(&self) -> &Attrs {
        &self.module.node(self.at).attrs
    }
    fn op(&self) -> Op {
        self.module.node(self.at).op
    }
    fn lost(&self, k: usize, axis: usize) -> Option<(usize, usize)> {
        let kept = self.kept(k, axis)?.count()?;
        let d = *self.dims(k).get(axis)?;
        Some((self.positions(d), kept))
    }
    fn fill_with(&mut self, value: Handle, k: usize, axes: &[usize], identity: Handle) -> Handle {
        let mut value = value;
        for axis in axes {
            if let Some(mask) = self.mask(k, *axis) {
                let operands = [Some(Handle(mask.0)), Some(value), Some(identity)];
                value = self.emit(Op::Where, &operands, Attrs::new());
            }
        }
        value
    }
    fn emit(&mut self, op: Op, operands: &[Option<Handle>], attrs: Attrs) -> Handle {
        let name = self.name(op.name());
        let made = self.add(op, operands, attrs, vec![Some((name.into(), None))]);
        made.first().copied().unwrap_or(Handle(u32::MAX))
    }
    fn reshape(&mut self, value: Handle, axes: Vec<Expr>) -> Handle {
        let dtype = self.dtype(0);
        let ty = Type {
            dtype,
            axes: Some(axes),
        };
        let name = self.name("reshape");
        let result = vec![Some((name.into(), Some(ty)))];
        let made = self.add(Op::Reshape, &[Some(value)], Attrs::new(), result);
        made.first().copied().unwrap_or(Handle(u32::MAX))
    }
    fn scalar(&mut self, k: usize, value: f32) -> Handle {
        let dtype = self.dtype(k);
        if dtype.is_float() && dtype.size() < 4 {
            // Runs compute it as f32: it must not be rounded before.
            let name = self.name("number");
            let wide = Handle(self.out.add_const(&name, Tensor::scalar(value)).0);
            let attrs = Attrs::new().with("to", Attr::DType(dtype));
            return self.emit(Op::Cast, &[Some(wide)], attrs);
        }
        Handle(self.constant(k, value).0)
    }
    fn integer(&mut self, value: i64) -> Handle {
        let name = self.name("number");
        Handle(self.out.add_const(&name, Tensor::scalar(value)).0)
    }
    fn same(&mut self, operands: &[Option<Handle>]) -> Vec<Handle> {
        let module = self.module;
        let node = module.node(self.at);
        let mut results = vec![];
        for v in &node.results {
            let result = v.map(|v| module.value(v)).map(|value| {
                let name = self.name(&value.name);
                (name.into(), value.ty.clone())
            });
            results.push(result);
        }
        self.add(node.op, operands, node.attrs.clone(), results)
    }
}
