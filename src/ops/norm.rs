//! Normalizations with statistics of their own: over the last axes, over channels in groups, over spatial axes.
use super::index::{broadcast_strides, strides, walk};
use super::table::{Binary, Reduce, Unary, family};
use super::*;
use crate::dims::{Dim, Reason};
use crate::tensor::Tensor;

family! {
    /// A normalization.
    Norm {
        Layer "layer_norm" Rms "rms_norm" Group "group_norm" Instance "instance_norm" Lp "lp_norm"
        MeanVariance "mean_variance_norm"
    }
}

const LAST_AXES: &[AttrSpec] = &[
    ("axis", Kind::Int),
    ("epsilon", Kind::Float),
    ("stash", Kind::Int),
];

impl Norm {
    /// Over which axes of the operand statistics are taken; those of groups are taken after splitting the channels.
    fn axes(self, attrs: &Attrs, rank: usize) -> Result<Vec<usize>, RuleError> {
        Ok(match self {
            Norm::Layer | Norm::Rms => {
                (normalize_axis(attrs.int_or("axis", -1), rank)?..rank).collect()
            }
            Norm::Group => (1..rank).collect(),
            Norm::Instance => (2..rank).collect(),
            Norm::Lp => vec![normalize_axis(attrs.int_or("axis", -1), rank)?],
            Norm::MeanVariance => match attrs.ints("axes") {
                Some(axes) => super::movement::distinct_axes(&axes, rank)?,
                None => [0, 2, 3].into_iter().filter(|a| *a < rank).collect(),
            },
        })
    }
    fn epsilon(self, attrs: &Attrs) -> f32 {
        match self {
            Norm::MeanVariance => 1e-9,
            _ => attrs.float_or("epsilon", 1e-5),
        }
    }
    /// Scale and bias of group and instance norms: one for each channel, or for each group.
    fn per_channel(self, cx: &mut Rule<'_>, channels: Dim, groups: Dim) -> Result<(), RuleError> {
        for k in 1..3 {
            let param = cx.operand(k)?;
            let of = match cx.attrs.flag("per_group") {
                true => groups,
                false => channels,
            };
            cx.apply("c, c -> c", &[&[of], param.axes], &[])?;
        }
        Ok(())
    }
}

impl Operator for Norm {
    fn attrs(&self) -> &'static [AttrSpec] {
        match self {
            Norm::Layer | Norm::Rms => LAST_AXES,
            Norm::Group => &[
                ("groups", Kind::Extent),
                ("epsilon", Kind::Float),
                ("stash", Kind::Int),
                ("per_group", Kind::Bool),
            ],
            Norm::Instance => &[("epsilon", Kind::Float)],
            Norm::Lp => &[("axis", Kind::Int), ("p", Kind::Int)],
            Norm::MeanVariance => &[("axes", Kind::Ints)],
        }
    }
    fn operands(&self) -> RangeInclusive<usize> {
        match self {
            Norm::Layer => 2..=3,
            Norm::Rms => 2..=2,
            Norm::Group | Norm::Instance => 3..=3,
            Norm::Lp | Norm::MeanVariance => 1..=1,
        }
    }
    fn removal(&self) -> Removal {
        match self {
            Norm::Layer | Norm::Rms | Norm::Group | Norm::Lp | Norm::MeanVariance => {
                Removal::Reestimated
            }
            // Its statistics are those of spatial axes, which stay.
            Norm::Instance => Removal::Exact,
        }
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        let rank = x.axes.len();
        let axes = self.axes(cx.attrs, rank)?;
        match self {
            Norm::Layer | Norm::Rms => {
                for k in 1..cx.operands.len() {
                    if let Some(param) = cx.optional(k) {
                        cx.broadcast(&[x.axes, param.axes])?;
                    }
                }
            }
            Norm::Group | Norm::Instance if rank < 3 => {
                return cx.wrong(format!("an input of {rank} axes has no spatial ones"));
            }
            Norm::Group => {
                let groups = cx.amount("groups")?;
                let Some(groups) = groups else {
                    return cx.wrong("`groups` is missing");
                };
                let g = cx.dims.axis(groups);
                cx.attr_is("groups", None, vec![g]);
                cx.dims.count(g);
                cx.apply("n (g c) -> n", &[&x.axes[..2]], &[("g", g)])?;
                x.axes[2..]
                    .iter()
                    .for_each(|d| cx.freeze(*d, Reason::SpatialAxis));
                self.per_channel(cx, x.axes[1], g)?;
            }
            Norm::Instance => self.per_channel(cx, x.axes[1], x.axes[1])?,
            Norm::Lp | Norm::MeanVariance => {}
        }
        cx.result_like(0)?;
        if *self == Norm::Layer {
            // The statistics, on request: the normalized axes have extent 1.
            for _ in 1..cx.stated.len() {
                let mut stats = x.axes[..axes[0]].to_vec();
                stats.extend(axes.iter().map(|_| cx.dims.axis(1i64)));
                cx.result(crate::tensor::DType::F32, stats);
            }
        }
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        let (dtype, shape) = cx.result(0)?;
        let rank = shape.len();
        let wrong = |e: RuleError| EvalError::Wrong(e.to_string());
        let axes = self.axes(cx.attrs, rank).map_err(wrong)?;
        let values = x.to_f32()?;
        // Where the statistics of each element lie: group norms have one place for each group.
        let groups = match self {
            Norm::Group => usize::try_from(cx.attrs.int_or("groups", 1))
                .unwrap_or(1)
                .max(1),
            _ => 1,
        };
        let (seen, stats): (Vec<usize>, Vec<usize>) = match self {
            Norm::Group => {
                let inner = shape[1] / groups * shape[2..].iter().product::<usize>();
                (vec![shape[0], groups, inner], vec![shape[0], groups, 1])
            }
            _ => {
                let one = |(i, n): (usize, &usize)| if axes.contains(&i) { 1 } else { *n };
                (shape.to_vec(), shape.iter().enumerate().map(one).collect())
            }
        };
        let into = broadcast_strides(&stats, &seen);
        let size: usize = stats.iter().product();
        let count = (values.len() / size.max(1)).max(1) as f64;
        let own = strides(&seen);
        let p = cx.attrs.int_or("p", 2) as f64;
        let mut mean = vec![0f64; size];
        if !matches!(self, Norm::Rms | Norm::Lp) {
            walk(&seen, [&own, &into], |[i, o]| mean[o] += values[i] as f64);
            mean.iter_mut().for_each(|m| *m /= count);
        }
        let mut spread = vec![0f64; size];
        walk(&seen, [&own, &into], |[i, o]| {
            let x = values[i] as f64 - mean[o];
            spread[o] += if *self == Norm::Lp {
                x.abs().powf(p)
            } else {
                x * x
            };
        });
        let epsilon = self.epsilon(cx.attrs) as f64;
        for s in &mut spread {
            *s = match self {
                // A line of zeros stays one.
                Norm::Lp if *s == 0.0 => 0.0,
                Norm::Lp => 1.0 / s.powf(1.0 / p),
                Norm::MeanVariance => 1.0 / ((*s / count).sqrt() + epsilon),
                _ => 1.0 / (*s / count + epsilon).sqrt(),
            };
        }
        let mut out = vec![0f32; values.len()];
        walk(&seen, [&own, &into], |[i, o]| {
            out[i] = ((values[i] as f64 - mean[o]) * spread[o]) as f32;
        });
        self.affine(cx, shape, groups, &mut out)?;
        let mut all = vec![Tensor::from_f32(shape, out)?.cast(dtype)?];
        for (k, stat) in [(1, &mean), (2, &spread)] {
            if let Ok((dtype, shape)) = cx.result(k) {
                let stat = stat.iter().map(|x| *x as f32).collect();
                all.push(Tensor::from_f32(shape, stat)?.cast(dtype)?);
            }
        }
        Ok(all)
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        let rank = mask.rank(0);
        let axes = self.axes(mask.attrs(), rank).unwrap_or_default();
        if axes.iter().all(|a| mask.lost(0, *a).is_none()) {
            return mask.apart();
        }
        if *self == Norm::Lp {
            return mask.filled(&[(0, &axes, 0.0)]);
        }
        let Some(x) = mask.operand(0) else {
            return mask.apart();
        };
        let epsilon = self.epsilon(mask.attrs());
        let (center, spread) = match self {
            Norm::Group => return self.masked_groups(mask, x, epsilon),
            Norm::Rms => {
                let square = binary(mask, Binary::Mul, x, x);
                (x, mask.mean(square, 0, &axes))
            }
            _ => {
                let mean = mask.mean(x, 0, &axes);
                let center = binary(mask, Binary::Sub, x, mean);
                let square = binary(mask, Binary::Mul, center, center);
                (center, mask.mean(square, 0, &axes))
            }
        };
        let epsilon = mask.scalar(0, epsilon);
        let deviation = match self {
            Norm::MeanVariance => {
                let root = unary(mask, Unary::Sqrt, spread);
                binary(mask, Binary::Add, root, epsilon)
            }
            _ => {
                let sum = binary(mask, Binary::Add, spread, epsilon);
                unary(mask, Unary::Sqrt, sum)
            }
        };
        let mut y = binary(mask, Binary::Div, center, deviation);
        for (k, op) in [(1, Binary::Mul), (2, Binary::Add)] {
            if let Some(mut param) = mask.operand(k).filter(|_| k < mask.operand_count()) {
                if *self == Norm::Instance {
                    param = channels(mask, param, k, 1, rank);
                }
                y = binary(mask, op, y, param);
            }
        }
        let mut all = vec![y];
        if mask.result_count() > 1 {
            let mean = mask.mean(x, 0, &axes);
            let one = mask.scalar(0, 1.0);
            all.extend([mean, binary(mask, Binary::Div, one, deviation)]);
        }
        all
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        let role = match k {
            0 => Role::Other,
            1 => Role::Scale,
            _ => Role::Bias,
        };
        all_axes(view, k, role)
    }
    fn statistics(&self, attrs: &Attrs, rank: usize) -> Vec<usize> {
        match self {
            // Its groups are said already.
            Norm::Group => vec![],
            _ => self.axes(attrs, rank).unwrap_or_default(),
        }
    }
    fn ragged(&self, pairs: &Pairs<'_>) -> bool {
        if *self == Norm::Group {
            return pairs.on_one_axis();
        }
        let rank = pairs.view.operand(0).map_or(0, |x| x.axes.len());
        let axes = self.axes(pairs.view.attrs, rank);
        axes.is_ok_and(|axes| pairs.within_rows(&axes))
    }
}

impl Norm {
    /// Multiplies by the scale and adds the bias.
    fn affine(
        self,
        cx: &Eval<'_>,
        shape: &[usize],
        groups: usize,
        out: &mut [f32],
    ) -> Result<(), EvalError> {
        for k in 1..3 {
            let Some(param) = cx.optional(k) else {
                continue;
            };
            let values = param.to_f32()?;
            let mut apply = |at: usize, i: usize| match k {
                1 => out[at] *= values[i],
                _ => out[at] += values[i],
            };
            match self {
                Norm::Group | Norm::Instance => {
                    let plane: usize = shape[2..].iter().product();
                    let share = match cx.attrs.flag("per_group") {
                        true => shape[1] / groups,
                        false => 1,
                    };
                    for at in 0..shape.iter().product() {
                        apply(at, at / plane.max(1) % shape[1] / share);
                    }
                }
                _ => {
                    let mut at = 0;
                    walk(shape, [&broadcast_strides(&param.shape, shape)], |[i]| {
                        apply(at, i);
                        at += 1;
                    });
                }
            }
        }
        Ok(())
    }
    /// Group norm over the survivors of each group, which are counted in the program: whole groups may be lost too.
    fn masked_groups(self, mask: &mut dyn Mask, x: Handle, epsilon: f32) -> Vec<Handle> {
        let axes = mask.axes(0);
        let rank = axes.len();
        let groups = mask.attrs().int_or("groups", 1);
        let each = match &axes[1] {
            Expr::Num(n) => n / groups.max(1),
            _ => return mask.apart(),
        };
        let split = |axes: &[Expr]| {
            let mut all = vec![axes[0].clone(), Expr::Num(groups), Expr::Num(each)];
            all.extend_from_slice(&axes[2..]);
            all
        };
        let mut flat = vec![Expr::Num(1); rank];
        flat[1] = axes[1].clone();
        let over: Vec<i64> = (2..rank as i64 + 1).collect();
        // How many survive: the mask itself, summed.
        let one = mask.scalar(0, 1.0);
        let ones = mask.fill(one, 0, &[1], 0.0);
        let ones = mask.reshape(ones, split(&flat));
        let count = reduce(mask, Reduce::Sum, ones, &[2]);
        let mean = |mask: &mut dyn Mask, value: Handle| {
            let value = mask.fill(value, 0, &[1], 0.0);
            let value = mask.reshape(value, split(&axes));
            let value = reduce(mask, Reduce::Mean, value, &over[1..]);
            let value = reduce(mask, Reduce::Sum, value, &over[..1]);
            binary(mask, Binary::Div, value, count)
        };
        let whole = mask.reshape(x, split(&axes));
        let average = mean(mask, x);
        let center = binary(mask, Binary::Sub, whole, average);
        let center = mask.reshape(center, axes.clone());
        let square = binary(mask, Binary::Mul, center, center);
        let spread = mean(mask, square);
        let epsilon = mask.scalar(0, epsilon);
        let sum = binary(mask, Binary::Add, spread, epsilon);
        let deviation = unary(mask, Unary::Sqrt, sum);
        let center = mask.reshape(center, split(&axes));
        let mut y = binary(mask, Binary::Div, center, deviation);
        let per_group = mask.attrs().flag("per_group");
        if !per_group {
            y = mask.reshape(y, axes.clone());
        }
        for (k, op) in [(1, Binary::Mul), (2, Binary::Add)] {
            if let Some(param) = mask.operand(k) {
                let param = channels(mask, param, k, 1, rank + usize::from(per_group));
                y = binary(mask, op, y, param);
            }
        }
        match per_group {
            true => vec![mask.reshape(y, axes)],
            false => vec![y],
        }
    }
}

/// An operation on two values of a masked program.
pub(super) fn binary(mask: &mut dyn Mask, op: Binary, a: Handle, b: Handle) -> Handle {
    mask.emit(Op::Binary(op), &[Some(a), Some(b)], Attrs::new())
}

/// An operation on one.
pub(super) fn unary(mask: &mut dyn Mask, op: Unary, x: Handle) -> Handle {
    mask.emit(Op::Unary(op), &[Some(x)], Attrs::new())
}

fn reduce(mask: &mut dyn Mask, op: Reduce, x: Handle, axes: &[i64]) -> Handle {
    let attrs = Attrs::new()
        .with("axes", Attr::ints(axes.iter().copied()))
        .with("keep_dims", Attr::Bool(true));
    mask.emit(Op::Reduce(op), &[Some(x)], attrs)
}

/// A vector (operand `k`) along `axis` of a value of some rank.
fn channels(mask: &mut dyn Mask, vector: Handle, k: usize, axis: usize, rank: usize) -> Handle {
    let mut axes = vec![Expr::Num(1); rank];
    axes[axis] = mask.axes(k).into_iter().next().unwrap_or(Expr::Num(1));
    mask.reshape(vector, axes)
}
