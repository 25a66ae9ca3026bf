//! An operation as an ONNX node: its attributes, and the operands that are attributes in the language.
use super::node::{
    attribute_float, attribute_floats, attribute_int, attribute_ints, attribute_tensor,
    attribute_text, attribute_texts,
};
use super::rows::{Field, Form, Row};
use super::shapes::Graph;
use super::wire::proto::AttributeProto;
use super::wire::{code_of, tensor_proto};
use crate::ops::{Attr, Attrs, Expr, Shape};
use crate::tensor::{DType, Extent, Tensor};
use std::collections::BTreeMap;

/// An operation to be written.
pub struct Giving<'a> {
    /// The row of its operator.
    pub row: &'static Row,
    /// The set of operators that the file is written in.
    pub opset: i64,
    /// The operation's attributes.
    pub attrs: &'a Attrs,
    /// Extents of named dims.
    pub lookup: &'a dyn Fn(&str) -> Option<Extent>,
    /// Types and extents of the operands.
    pub operands: &'a [Option<Shape>],
    /// Types and extents of the results.
    pub results: &'a [Option<Shape>],
    /// What new values are named after.
    pub base: &'a str,
}

/// The parts of a node besides its operands that are operands in the language, too.
#[derive(Default)]
pub struct Given {
    /// The attributes.
    pub attributes: Vec<AttributeProto>,
    /// Operands by place.
    pub slots: BTreeMap<usize, String>,
}

impl Giving<'_> {
    /// The attributes and operands of the node; says what cannot be written.
    pub fn give(&self, graph: &mut Graph) -> Result<Given, String> {
        let mut given = Given::default();
        for field in self.row.fields {
            self.field(field, graph, &mut given)?;
        }
        self.special(graph, &mut given)?;
        Ok(given)
    }
    fn base(&self, field: &str) -> String {
        format!("{}/{field}", self.base)
    }
    fn extent(&self, expr: &Expr) -> Result<Extent, String> {
        expr.extent(self.lookup).map_err(|e| e.to_string())
    }
    fn extents(&self, name: &str) -> Result<Option<Vec<Extent>>, String> {
        match self.attrs.exprs(name) {
            None => Ok(None),
            Some(all) => all
                .into_iter()
                .map(|e| self.extent(e))
                .collect::<Result<_, _>>()
                .map(Some),
        }
    }
    fn field(&self, field: &Field, graph: &mut Graph, given: &mut Given) -> Result<(), String> {
        let attr = self.attrs.get(field.name);
        let place = field.place(self.opset);
        let wrong = || format!("attribute `{}` cannot be written", field.name);
        let scalar = |graph: &mut Graph, given: &mut Given, tensor: Tensor| {
            let name = graph.constant(&self.base(field.onnx), tensor);
            place.map(|k| given.slots.insert(k, name));
        };
        match field.form {
            Form::Special | Form::Fixed(_) | Form::Dropped => {}
            Form::True => given.attributes.push(attribute_int(
                field.onnx,
                self.attrs.flag(field.name) as i64,
            )),
            Form::Bool | Form::On => {
                if let Some(attr) = attr {
                    let truth = *attr == Attr::Bool(true);
                    given
                        .attributes
                        .push(attribute_int(field.onnx, truth as i64));
                }
            }
            Form::Float => match (attr.map(|_| self.attrs.float_or(field.name, 0.0)), place) {
                (None, _) => {}
                (Some(x), None) => given.attributes.push(attribute_float(field.onnx, x)),
                (Some(x), Some(_)) => scalar(graph, given, Tensor::scalar(x)),
            },
            Form::Floats => {
                if attr.is_some() {
                    let all = self.attrs.floats(field.name).ok_or_else(wrong)?;
                    given.attributes.push(attribute_floats(field.onnx, all));
                }
            }
            Form::Text | Form::Capitals => match attr {
                None => {}
                Some(Attr::Str(text)) if field.form == Form::Text => {
                    given.attributes.push(attribute_text(field.onnx, text));
                }
                Some(Attr::Str(text)) => given
                    .attributes
                    .push(attribute_text(field.onnx, &text.to_ascii_uppercase())),
                Some(_) => return Err(wrong()),
            },
            Form::DType => match attr {
                None => {}
                Some(Attr::DType(dtype)) => given
                    .attributes
                    .push(attribute_int(field.onnx, code_of(*dtype) as i64)),
                Some(_) => return Err(wrong()),
            },
            Form::Int | Form::Extent => {
                let Some(one) = self.extents(field.name)? else {
                    return Ok(());
                };
                let [one] = &one[..] else { return Err(wrong()) };
                match (place, field.form, one.known()) {
                    (None, _, Some(n)) => given.attributes.push(attribute_int(field.onnx, n)),
                    (Some(_), Form::Int, Some(n)) => scalar(graph, given, Tensor::scalar(n)),
                    (Some(k), ..) => {
                        let name =
                            graph.extents(&self.base(field.onnx), std::slice::from_ref(one))?;
                        given.slots.insert(k, name);
                    }
                    (None, _, None) => return Err(wrong()),
                }
            }
            Form::Ints | Form::Extents => {
                if let Some(all) = self.extents(field.name)? {
                    self.list(field, &all, graph, given)?;
                }
            }
        }
        Ok(())
    }
    /// Integers as an attribute, or as an operand where the set has it so.
    fn list(
        &self,
        field: &Field,
        all: &[Extent],
        graph: &mut Graph,
        given: &mut Given,
    ) -> Result<(), String> {
        if let Some(k) = field.place(self.opset) {
            let name = graph.extents(&self.base(field.onnx), all)?;
            given.slots.insert(k, name);
            return Ok(());
        }
        let known: Option<Vec<i64>> = all.iter().map(Extent::known).collect();
        let known = known.ok_or_else(|| format!("`{}` is known at run time only", field.name))?;
        given.attributes.push(attribute_ints(field.onnx, known));
        Ok(())
    }
    fn operand(&self, k: usize) -> Result<&[Extent], String> {
        let shape = self.operands.get(k).and_then(Option::as_ref);
        shape
            .map(|s| &s.axes[..])
            .ok_or_else(|| format!("operand {k} has no known rank"))
    }
    fn target(&self) -> Result<&[Extent], String> {
        let shape = self.results.first().and_then(Option::as_ref);
        shape
            .map(|s| &s.axes[..])
            .ok_or_else(|| "the result has no known rank".into())
    }
    fn row_field(&self, onnx: &str) -> Result<&'static Field, String> {
        let field = self.row.fields.iter().find(|f| f.onnx == onnx);
        field.ok_or_else(|| format!("`{}` has no `{onnx}`", self.row.onnx))
    }
    fn special(&self, graph: &mut Graph, given: &mut Given) -> Result<(), String> {
        if !self.row.domain.is_empty() {
            return Ok(());
        }
        match self.row.onnx {
            "Reshape" => {
                let (target, keeps) = reshape(self.operand(0)?, self.target()?);
                if keeps {
                    given.attributes.push(attribute_int("allowzero", 1));
                }
                let name = graph.extents(&self.base("shape"), &target)?;
                given.slots.insert(1, name);
            }
            "Expand" => {
                let (x, target) = (self.operand(0)?, self.target()?);
                let lead = target.len().saturating_sub(x.len());
                // An axis that stays is written as 1, if its extent is known at run time only.
                let one = |(i, e): (usize, &Extent)| match i.checked_sub(lead).map(|i| &x[i]) {
                    Some(from) if !e.is_known() && from == e => Extent::from(1i64),
                    _ => e.clone(),
                };
                let target: Vec<Extent> = target.iter().enumerate().map(one).collect();
                let name = graph.extents(&self.base("shape"), &target)?;
                given.slots.insert(1, name);
            }
            "ConstantOfShape" => {
                let name = graph.extents(&self.base("shape"), self.target()?)?;
                given.slots.insert(0, name);
                given.attributes.push(self.value()?);
            }
            "CenterCropPad" => {
                let target = self.target()?;
                let axes = match self.attrs.ints("axes") {
                    Some(axes) => axes,
                    None => (0..target.len() as i64).collect(),
                };
                let extent = |axis: &i64| {
                    let axis = crate::ops::normalize_axis(*axis, target.len());
                    axis.map(|axis| target[axis].clone())
                        .map_err(|e| e.to_string())
                };
                let sizes: Vec<Extent> = axes.iter().map(extent).collect::<Result<_, _>>()?;
                let name = graph.extents(&self.base("shape"), &sizes)?;
                given.slots.insert(1, name);
            }
            "Split" | "SplitToSequence" => {
                let sizes = self.extents("sizes")?.ok_or("`sizes` is missing")?;
                self.list(self.row_field("split")?, &sizes, graph, given)?;
            }
            "Slice" => self.slice(graph, given)?,
            "Pad" => self.pad(graph, given)?,
            "Resize" => self.resize(graph, given)?,
            "Softmax" | "LogSoftmax" | "Hardmax" => {
                let old = self.opset < 13;
                let last = self.operand(0)?.len() as i64 - 1;
                let axis = self.attrs.int_or("axis", -1);
                let flat = self.attrs.flag("flatten");
                if !old && flat || old && !flat && axis != last && axis != -1 {
                    return Err(format!(
                        "it means something else in operator set {}",
                        self.opset
                    ));
                }
                if self.attrs.get("axis").is_none() {
                    given.attributes.push(attribute_int("axis", -1));
                }
            }
            "LSTM" | "GRU" | "RNN" => {
                if let Some(Attr::Str(names)) = self.attrs.get("activations") {
                    let names = names.split(',').map(str::trim);
                    given.attributes.push(attribute_texts("activations", names));
                }
            }
            "GroupNormalization" if self.attrs.flag("per_group") != (self.opset < 21) => {
                return Err(format!(
                    "it means something else in operator set {}",
                    self.opset
                ));
            }
            _ => {}
        }
        Ok(())
    }
    /// The value of a constant of a shape.
    fn value(&self) -> Result<AttributeProto, String> {
        let dtype = self.attrs.dtype("dtype").unwrap_or(DType::F32);
        let one = match self.attrs.get("value") {
            Some(Attr::Expr(Expr::Num(n))) => Tensor::from_i64(&[1], vec![*n]),
            _ => Tensor::from_f32(&[1], vec![self.attrs.float_or("value", 0.0)]),
        };
        let one = one.and_then(|t| t.cast(dtype)).map_err(|e| e.to_string())?;
        Ok(attribute_tensor("value", tensor_proto("", &one)))
    }
    fn slice(&self, graph: &mut Graph, given: &mut Given) -> Result<(), String> {
        let x = self.operand(0)?;
        let starts = self.extents("starts")?.ok_or("`starts` is missing")?;
        let ends = self.extents("ends")?.ok_or("`ends` is missing")?;
        let axes = self.attrs.ints("axes");
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self.attrs.ints("steps");
        if ends.len() != starts.len() || axes.len() != starts.len() {
            return Err("`axes`, `starts` and `ends` do not fit each other".into());
        }
        let bound = |i: usize, at: &Extent, is_end: bool| {
            let up = steps
                .as_ref()
                .is_none_or(|s| s.get(i).is_none_or(|s| *s > 0));
            let axis = crate::ops::normalize_axis(axes[i], x.len()).map_err(|e| e.to_string())?;
            // The end of a negative step is a position, of which -1 is before the first.
            if is_end && !up && at.known().is_some_and(|n| n < 0) {
                return Ok(Extent::from(i64::MIN + 1));
            }
            if at.is_known() {
                return Ok(at.clone());
            }
            Ok(match x[axis].checked_sub(at).and_then(|e| e.known()) {
                Some(0) => Extent::from(i64::MAX),
                Some(n) if n > 0 => Extent::from(-n),
                _ => at.clone(),
            })
        };
        let all = |list: &[Extent], is_end| -> Result<Vec<Extent>, String> {
            list.iter()
                .enumerate()
                .map(|(i, e)| bound(i, e, is_end))
                .collect()
        };
        let (starts, ends) = (all(&starts, false)?, all(&ends, true)?);
        for (k, name, list) in [(1, "starts", starts), (2, "ends", ends)] {
            let name = graph.extents(&self.base(name), &list)?;
            given.slots.insert(k, name);
        }
        let name = graph.ints(&self.base("axes"), &axes)?;
        given.slots.insert(3, name);
        if let Some(steps) = steps {
            let name = graph.ints(&self.base("steps"), &steps)?;
            given.slots.insert(4, name);
        }
        Ok(())
    }
    fn pad(&self, graph: &mut Graph, given: &mut Given) -> Result<(), String> {
        let pads = self.extents("pads")?.ok_or("`pads` is missing")?;
        let rank = self.operand(0)?.len();
        let axes = self.attrs.ints("axes");
        let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
        if pads.len() != 2 * axes.len() {
            return Err("`pads` and `axes` do not fit each other".into());
        }
        let mut all = vec![Extent::from(0i64); 2 * rank];
        for (i, axis) in axes.iter().enumerate() {
            let axis = crate::ops::normalize_axis(*axis, rank).map_err(|e| e.to_string())?;
            all[axis] = pads[i].clone();
            all[axis + rank] = pads[i + axes.len()].clone();
        }
        let name = graph.extents(&self.base("pads"), &all)?;
        given.slots.insert(1, name);
        Ok(())
    }
    fn resize(&self, graph: &mut Graph, given: &mut Given) -> Result<(), String> {
        let floats = |graph: &mut Graph, name: &str, all: Vec<f32>| {
            let tensor = Tensor::from_f32(&[all.len()], all).map_err(|e| e.to_string())?;
            Ok::<String, String>(graph.constant(&self.base(name), tensor))
        };
        // Before set 13 all operands must be there, empty ones included.
        let old = self.opset < 13;
        match self.attrs.floats("roi") {
            Some(roi) => drop(given.slots.insert(1, floats(graph, "roi", roi)?)),
            None if old => drop(given.slots.insert(1, floats(graph, "roi", vec![])?)),
            None => {}
        }
        if let Some(scales) = self.attrs.floats("scales") {
            given.slots.insert(2, floats(graph, "scales", scales)?);
            return Ok(());
        }
        if old {
            given.slots.insert(2, floats(graph, "scales", vec![])?);
        }
        let name = graph.extents(&self.base("sizes"), self.target()?)?;
        given.slots.insert(3, name);
        Ok(())
    }
}

/// The target of a reshape, with 0 for axes that stay and -1 for one that follows where extents are known at run time
/// only; and whether a 0 in it is an extent.
fn reshape(x: &[Extent], target: &[Extent]) -> (Vec<Extent>, bool) {
    let open: Vec<usize> = (0..target.len())
        .filter(|i| !target[*i].is_known())
        .collect();
    let empty = target.iter().any(|e| e.known() == Some(0));
    if open.is_empty() || empty {
        return (target.to_vec(), empty);
    }
    let mut out = target.to_vec();
    if let [one] = open[..] {
        out[one] = Extent::from(-1i64);
        return (out, false);
    }
    let mut left = vec![];
    for i in open {
        if x.get(i) == Some(&target[i]) {
            out[i] = Extent::from(0i64);
        } else {
            left.push(i);
        }
    }
    if let [one] = left[..] {
        out[one] = Extent::from(-1i64);
    }
    (out, false)
}
