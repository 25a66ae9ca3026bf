//! Shapes are not values: tensors that depend on constants and shapes alone, evaluated element by element.
//!
//! What is not decided (a comparison of run-time extents, an operator that is not followed here) is left alone, and
//! stays an operation.
use super::node::{attribute, float, floats, int, int_or, ints};
use super::number::{Arithmetic, Number, tensor};
use super::wire::dtype_of;
use super::wire::proto::NodeProto;
use super::{fold_moves, fold_order};
use crate::ops::index::{broadcast_strides, walk};
use crate::tensor::{DType, Extent, Tensor};

/// A tensor whose elements are numbers over run-time symbols.
#[derive(Clone, Debug)]
pub struct Folded {
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub items: Vec<Number>,
    /// Whether an extent of some tensor went into it.
    pub of_shape: bool,
}

/// Most elements of a tensor that is followed.
pub const MOST: usize = 1 << 16;
/// Most elements of a tensor of floats in the file that is followed.
const MOST_FLOATS: usize = 64;
/// Most floats that no extent went into and that may become one.
const MOST_OWN: usize = 16;

impl Folded {
    /// The elements of a tensor in the file, if it may be part of a shape.
    pub fn of(tensor: &Tensor) -> Option<Folded> {
        let most = match tensor.dtype {
            DType::Bool | DType::I32 | DType::I64 => MOST,
            d if d.is_float() => MOST_FLOATS,
            _ => return None,
        };
        if volume(&tensor.shape)? > most {
            return None;
        }
        let items = if tensor.dtype.is_float() {
            tensor
                .to_f32()
                .ok()?
                .iter()
                .map(|x| Number::float(*x))
                .collect()
        } else {
            tensor
                .to_i64()
                .ok()?
                .into_iter()
                .map(Number::from)
                .collect()
        };
        Some(Folded {
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            items,
            of_shape: false,
        })
    }
    /// The extents of a tensor.
    pub fn of_shape(axes: &[Extent]) -> Folded {
        Folded {
            dtype: DType::I64,
            shape: vec![axes.len()],
            items: axes.iter().cloned().map(Number::from).collect(),
            of_shape: true,
        }
    }
    /// The same elements under another shape.
    pub fn shaped(&self, shape: Vec<usize>) -> Option<Folded> {
        volume(&shape)?;
        (shape.iter().product::<usize>() == self.items.len()).then(|| Folded {
            shape,
            ..self.clone()
        })
    }
    /// Other elements under another shape.
    pub fn with(&self, shape: Vec<usize>, items: Vec<Number>) -> Folded {
        Folded {
            dtype: self.dtype,
            shape,
            items,
            of_shape: self.of_shape,
        }
    }
    /// The elements as extents.
    pub fn extents(&self) -> Option<Vec<Extent>> {
        self.items.iter().map(|n| n.extent().cloned()).collect()
    }
    /// The elements as known integers.
    pub fn ints(&self) -> Option<Vec<i64>> {
        self.items.iter().map(Number::int).collect()
    }
    /// The elements as known floats.
    pub fn floats(&self) -> Option<Vec<f32>> {
        self.items.iter().map(Number::known).collect()
    }
    /// The tensor, if all elements are known.
    pub fn tensor(&self) -> Option<Tensor> {
        tensor(self.dtype, &self.shape, &self.items)?.ok()
    }
}

/// The results of a node of ONNX's own set whose operands are all followed, if they can be.
pub fn fold(node: &NodeProto, op_type: &str, inputs: &[Option<&Folded>]) -> Option<Vec<Folded>> {
    let x = inputs.first().copied().flatten();
    let of_shape = inputs.iter().flatten().any(|f| f.of_shape);
    let one = |f: Option<Folded>| f.map(|f| vec![Folded { of_shape, ..f }]);
    // More floats than a shape has axes are the network's own arithmetic.
    let is_own = |f: &Folded| f.dtype.is_float() && f.items.len() > MOST_OWN;
    if !of_shape && inputs.iter().flatten().any(|f| is_own(f)) {
        return None;
    }
    if let Some(arithmetic) = Arithmetic::of(op_type) {
        return one(elementwise(arithmetic, node, inputs));
    }
    let each = |f: &dyn Fn(&Number) -> Option<Number>| {
        let x = x?;
        let items: Option<Vec<Number>> = x.items.iter().map(f).collect();
        Some(x.with(x.shape.clone(), items?))
    };
    match op_type {
        "Identity" => one(x.cloned()),
        "Cast" => one(cast(
            x?,
            dtype_of(i32::try_from(int_or(node, "to", 0)).ok()?)?,
        )),
        "CastLike" => one(cast(x?, inputs.get(1).copied()??.dtype)),
        "Floor" => one(each(&Number::floor)),
        "Ceil" => one(each(&Number::ceil)),
        "Neg" => one(each(&Number::negated)),
        "Sqrt" => one(each(&|n| Some(Number::float(n.known()?.sqrt())))),
        "Reciprocal" => one(each(&|n| {
            Arithmetic::Div.apply(&Number::from(1), n, x?.dtype.is_float())
        })),
        "Abs" => one(each(&|n| match n.less(&Number::from(0)) {
            Some(true) => n.negated(),
            _ => Some(n.clone()),
        })),
        "Clip" => {
            let limit = |x: Option<Folded>, k: usize, op| match inputs.get(k).copied().flatten() {
                Some(limit) if limit.items.len() == 1 => {
                    elementwise(op, node, &[x.as_ref(), Some(limit)])
                }
                Some(_) => None,
                None => x,
            };
            let low = limit(x.cloned(), 1, Arithmetic::Max);
            one(limit(low, 2, Arithmetic::Min))
        }
        "Not" => one(each(&|n| Some(Number::from(n.int()? == 0)))),
        "Where" => one(choose(
            x?,
            inputs.get(1).copied()??,
            inputs.get(2).copied()??,
        )),
        "Range" => one(range(
            x?,
            inputs.get(1).copied()??,
            inputs.get(2).copied()??,
        )),
        "ConstantOfShape" => one(constant(node, x?)),
        "OneHot" if int_or(node, "axis", -1) == -1 => one(one_hot(
            x?,
            inputs.get(1).copied()??,
            inputs.get(2).copied()??,
        )),
        "Size" => None,
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => {
            one(reduce(node, op_type, x?, inputs.get(1).copied().flatten()))
        }
        "Split" => {
            let all = fold_moves::split(node, x?, inputs.get(1).copied().flatten())?;
            Some(all.into_iter().map(|f| Folded { of_shape, ..f }).collect())
        }
        "TopK" | "Unique" => {
            let all = fold_order::sorted(node, op_type, inputs)?;
            Some(all.into_iter().map(|f| Folded { of_shape, ..f }).collect())
        }
        "ScatterND" => one(fold_order::placed(node, inputs)),
        _ => one(fold_moves::moved(node, op_type, inputs)),
    }
}

/// The shape that tensors have together under numpy's broadcasting, if it is small.
pub fn broadcast(shapes: &[&[usize]]) -> Option<Vec<usize>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut all = vec![1usize; rank];
    for shape in shapes {
        for (n, to) in shape.iter().rev().zip(all.iter_mut().rev()) {
            match (*n, *to) {
                (n, to) if n == to || n == 1 => {}
                (n, 1) => *to = n,
                _ => return None,
            }
        }
    }
    volume(&all).map(|_| all)
}

/// How many elements a shape has, its empty axes aside, if they are few: a tensor without elements may have axes that are
/// longer than anything that can be counted through.
fn volume(shape: &[usize]) -> Option<usize> {
    let mut extents = shape.iter().map(|n| (*n).max(1));
    let count = extents.try_fold(1usize, |all, n| all.checked_mul(n))?;
    (count <= MOST).then_some(count)
}

fn elementwise(op: Arithmetic, node: &NodeProto, inputs: &[Option<&Folded>]) -> Option<Folded> {
    if op == Arithmetic::Mod && int_or(node, "fmod", 0) != 0 {
        return None;
    }
    let mut all = inputs.first().copied()??.clone();
    for next in inputs.get(1..)? {
        let next = (*next)?;
        let shape = broadcast(&[&all.shape, &next.shape])?;
        let (a, b) = (
            broadcast_strides(&all.shape, &shape),
            broadcast_strides(&next.shape, &shape),
        );
        let mut items = vec![];
        walk(&shape, [&a, &b], |[i, j]| {
            items.push(op.apply(&all.items[i], &next.items[j], all.dtype.is_float()));
        });
        let items: Option<Vec<Number>> = items.into_iter().collect();
        all = all.with(shape, items?);
        if op.is_test() {
            all.dtype = DType::Bool;
        }
    }
    Some(all)
}

fn cast(x: &Folded, to: DType) -> Option<Folded> {
    let each = |n: &Number| match (x.dtype.is_float(), to) {
        (_, DType::Bool) => n.equals(&Number::from(0)).map(|zero| Number::from(!zero)),
        (true, to) if !to.is_float() => n.truncated(),
        (false, to) if to.is_float() => Some(n.known().map_or_else(|| n.clone(), Number::float)),
        _ => Some(n.clone()),
    };
    let items: Option<Vec<Number>> = x.items.iter().map(each).collect();
    let mut made = x.with(x.shape.clone(), items?);
    made.dtype = to;
    Some(made)
}

fn choose(mask: &Folded, x: &Folded, y: &Folded) -> Option<Folded> {
    let shape = broadcast(&[&mask.shape, &x.shape, &y.shape])?;
    let strides = [&mask.shape, &x.shape, &y.shape].map(|s| broadcast_strides(s, &shape));
    let mut items = vec![];
    walk(
        &shape,
        [&strides[0], &strides[1], &strides[2]],
        |[m, i, j]| {
            items.push(mask.items[m].int().map(|m| {
                if m != 0 {
                    x.items[i].clone()
                } else {
                    y.items[j].clone()
                }
            }));
        },
    );
    let items: Option<Vec<Number>> = items.into_iter().collect();
    Some(x.with(shape, items?))
}

fn range(start: &Folded, limit: &Folded, step: &Folded) -> Option<Folded> {
    let one = |f: &Folded| f.items.first()?.int();
    let (from, limit, step) = (one(start)?, one(limit)?, one(step)?);
    if start.dtype.is_float() || step == 0 {
        return None;
    }
    let gap = limit.checked_sub(from)?;
    let count = gap
        .checked_div(step)?
        .checked_add((gap % step != 0) as i64)?;
    let count = if (gap < 0) == (step < 0) { count } else { 0 };
    if count > MOST as i64 {
        return None;
    }
    let items: Option<Vec<Number>> = (0..count)
        .map(|i| from.checked_add(step.checked_mul(i)?).map(Number::from))
        .collect();
    Some(start.with(vec![items.as_ref()?.len()], items?))
}

/// One of two values at one place of each row, the other elsewhere.
fn one_hot(places: &Folded, depth: &Folded, values: &Folded) -> Option<Folded> {
    let [off, on] = &values.items[..] else {
        return None;
    };
    let depth = depth.items.first()?.int()?;
    let shape = [&places.shape[..], &[usize::try_from(depth).ok()?]].concat();
    volume(&shape)?;
    let mut items = vec![];
    for at in places.ints()? {
        let at = if at < 0 { at.checked_add(depth)? } else { at };
        let row = (0..depth).map(|i| if i == at { on } else { off });
        items.extend(row.cloned());
    }
    Some(values.with(shape, items))
}

/// A constant of integers; one of floats is the network's own.
fn constant(node: &NodeProto, shape: &Folded) -> Option<Folded> {
    let value = attribute(node, "value")?.t.as_ref()?;
    let nowhere = super::wire::Files::beside(std::path::Path::new(""));
    let value = super::wire::tensor(value, &nowhere).ok()?;
    let one = Folded::of(&value).filter(|f| f.items.len() == 1 && !f.dtype.is_float())?;
    let shape: Option<Vec<usize>> = shape
        .ints()?
        .into_iter()
        .map(|n| usize::try_from(n).ok())
        .collect();
    let shape = broadcast(&[&shape?])?;
    let count = shape.iter().product();
    let items = vec![one.items.first()?.clone(); count];
    Some(one.with(shape, items))
}

fn reduce(node: &NodeProto, op_type: &str, x: &Folded, axes: Option<&Folded>) -> Option<Folded> {
    let given = attribute(node, "axes").and_then(ints).map(<[i64]>::to_vec);
    let axes = match axes {
        Some(axes) => Some(axes.ints()?),
        None => given,
    };
    let rank = x.shape.len();
    let goes = match axes {
        Some(axes) if !axes.is_empty() => fold_moves::axes_of(&axes, rank)?,
        _ if int_or(node, "noop_with_empty_axes", 0) != 0 => return Some(x.clone()),
        _ => vec![true; rank],
    };
    let kept: Vec<usize> = (0..rank)
        .map(|a| if goes[a] { 1 } else { x.shape[a] })
        .collect();
    let op = match op_type {
        "ReduceProd" => Arithmetic::Mul,
        "ReduceSum" => Arithmetic::Add,
        "ReduceMax" => Arithmetic::Max,
        _ => Arithmetic::Min,
    };
    let first = match op {
        Arithmetic::Mul => Some(Number::from(1)),
        Arithmetic::Add => Some(Number::from(0)),
        _ => None,
    };
    let mut out = vec![first; kept.iter().product()];
    let into = broadcast_strides(&kept, &x.shape);
    let from = crate::ops::index::strides(&x.shape);
    let mut decided = true;
    walk(&x.shape, [&from, &into], |[i, o]| {
        let next = match &out[o] {
            Some(sum) => op.apply(sum, &x.items[i], x.dtype.is_float()),
            None => Some(x.items[i].clone()),
        };
        decided &= next.is_some();
        out[o] = next;
    });
    let items: Option<Vec<Number>> = out.into_iter().collect();
    let shape = match int_or(node, "keepdims", 1) {
        0 => (0..rank)
            .filter(|a| !goes[*a])
            .map(|a| x.shape[a])
            .collect(),
        _ => kept,
    };
    let items = items.filter(|_| decided)?;
    Some(x.with(shape, items))
}

/// The elements of a `Constant` node's attributes that are no tensor.
pub fn plain_constant(node: &NodeProto) -> Option<Tensor> {
    let of = |name: &str| attribute(node, name);
    if let Some(n) = of("value_int").and_then(int) {
        return Some(Tensor::scalar(n));
    }
    if let Some(x) = of("value_float").and_then(float) {
        return Some(Tensor::scalar(x));
    }
    if let Some(all) = of("value_ints").and_then(ints) {
        return Tensor::from_i64(&[all.len()], all.to_vec()).ok();
    }
    let all = of("value_floats").and_then(floats)?;
    Tensor::from_f32(&[all.len()], all.to_vec()).ok()
}
