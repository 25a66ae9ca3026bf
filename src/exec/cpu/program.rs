//! A module made ready for inputs of given shapes: run as often as one likes, with all floats in one arena.
use super::super::bind::Bindings;
use super::super::schedule::{Bound, Place, Schedule, Task, computed, schedule};
use super::super::step::{After, Step};
use super::steps;
use crate::ir::{Facts, Module, ValueId};
use crate::ops::Eval;
use crate::prune::RunError;
use crate::tensor::{DType, Tensor};
use std::borrow::Cow;

/// A module that is ready to run.
pub struct Program<'m> {
    module: &'m Module,
    facts: &'m Facts,
    schedule: Schedule,
    bound: Bound,
    /// Params and constants, as they are computed with, at addresses that floats can be read from.
    given: Vec<Option<Tensor>>,
    /// Values that are no floats.
    loose: Vec<Option<Tensor>>,
    arena: Vec<f32>,
}

impl<'m> Program<'m> {
    /// Makes a module ready for inputs of these shapes. None where it can only be run an operation at a time: an
    /// operator is not known, or only the data decide some extent.
    pub fn new(
        module: &'m Module,
        facts: &'m Facts,
        inputs: &[Tensor],
    ) -> Result<Option<Program<'m>>, RunError> {
        let bindings = Bindings::of(module, facts, inputs)?;
        let extents = module.extents();
        let extents = extents.map_err(|e| RunError::Input(e.to_string()))?;
        let Some(schedule) = schedule(module, facts) else {
            return Ok(None);
        };
        let Some(bound) = schedule.bind(module, facts, &extents, &bindings) else {
            return Ok(None);
        };
        let mut given = vec![None; module.values.len()];
        for (v, tensor) in module.tensors() {
            let wide = ready(tensor);
            given[v.at()] = Some(wide.map_err(|e| RunError::Input(e.to_string()))?);
        }
        Ok(Some(Program {
            loose: vec![None; schedule.slots.len()],
            arena: vec![0.0; bound.size],
            module,
            facts,
            schedule,
            bound,
            given,
        }))
    }
    /// Runs on inputs of the shapes that it was made for; gives one tensor per output.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        for (v, input) in self.module.inputs.iter().zip(inputs) {
            let name = &self.module.value(*v).name;
            let wide = ready(input).map_err(|e| RunError::Input(e.to_string()))?;
            if self.bound.forms[v.at()].as_ref().map(|(_, shape)| shape) != Some(&wide.shape) {
                let message = format!("input `{name}` is of another shape than was made ready for");
                return Err(RunError::Input(message));
            }
            self.given[v.at()] = Some(wide);
        }
        if inputs.len() != self.module.inputs.len() {
            let message = format!("{} inputs are needed", self.module.inputs.len());
            return Err(RunError::Input(message));
        }
        for i in 0..self.bound.tasks.len() {
            self.task(i).map_err(|why| {
                let node = self.module.node(self.bound.tasks[i].node);
                let first = node.results.iter().flatten().next();
                let name = first.map_or(node.op.name(), |v| &self.module.value(*v).name);
                RunError::Failed(name.to_string(), why)
            })?;
        }
        let outputs = self.module.outputs.iter().map(|(v, _)| {
            let failed =
                |why: String| RunError::Failed(self.module.value(*v).name.to_string(), why);
            let tensor = self
                .tensor(*v)
                .ok_or_else(|| failed("it has no value".into()))?;
            let dtype = self.facts.values[v.at()].dtype;
            tensor.cast(dtype).map_err(|e| failed(e.to_string()))
        });
        outputs.collect()
    }
    /// Elements of the arena, of four bytes each.
    pub fn arena(&self) -> usize {
        self.bound.size
    }

    fn task(&mut self, i: usize) -> Result<(), String> {
        let task = &self.bound.tasks[i];
        let slot = match (
            &task.step,
            task.writes[0].and_then(|v| self.schedule.places[v.at()]),
        ) {
            (Step::Reference, _) | (_, None | Some(Place::Given(_))) => {
                let made = self.reference(task)?;
                return self.keep(i, made);
            }
            (_, Some(Place::Slot(slot))) => slot,
        };
        let n: usize = task.results[0].1.iter().product();
        let at = self.bound.offsets[slot];
        // What is read lies before or behind what is written, as both live now.
        let (before, rest) = self.arena.split_at_mut(at);
        let (out, behind) = rest.split_at_mut(n);
        let floats = |v: ValueId| -> Option<Cow<'_, [f32]>> {
            let size: usize = self.bound.forms[v.at()].as_ref()?.1.iter().product();
            match self.schedule.places[v.at()]? {
                Place::Slot(slot) => {
                    let from = self.bound.offsets[slot];
                    let floats = match from < at {
                        true => before.get(from..from + size),
                        false => {
                            (behind.get(from.saturating_sub(at + n)..)).and_then(|b| b.get(..size))
                        }
                    };
                    floats.map(Cow::Borrowed)
                }
                Place::Given(v) => self.given[v.at()].as_ref()?.to_f32().ok(),
            }
        };
        let mut held: Vec<Option<Cow<'_, [f32]>>> =
            task.reads.iter().map(|v| floats((*v)?)).collect();
        for (k, tensor) in &task.own {
            held.resize(held.len().max(k + 1), None);
            held[*k] = tensor.to_f32().ok();
        }
        let operands: Vec<Option<&[f32]>> = held.iter().map(|h| h.as_deref()).collect();
        steps::run(&task.step, &operands, out);
        for after in &task.after {
            let other = match after {
                After::Add(v) => floats(*v),
                After::Map(..) | After::Clip(..) => None,
            };
            steps::after(after, other.as_deref(), out);
        }
        Ok(())
    }
    /// Puts what the reference made in its place.
    fn keep(&mut self, i: usize, made: Vec<Tensor>) -> Result<(), String> {
        let task = &self.bound.tasks[i];
        for (v, (tensor, form)) in task.writes.iter().zip(made.into_iter().zip(&task.results)) {
            let Some(Place::Slot(slot)) = v.and_then(|v| self.schedule.places[v.at()]) else {
                continue;
            };
            let wide = tensor.cast(computed(tensor.dtype));
            let wide = wide.map_err(|e| e.to_string())?;
            if (wide.dtype, &wide.shape) != (form.0, &form.1) {
                let shape = &wide.shape;
                return Err(format!(
                    "it gives a shape of {shape:?}, which is not what was derived"
                ));
            }
            if self.schedule.slots[slot].floats {
                let (at, n) = (self.bound.offsets[slot], wide.len());
                let floats = wide.to_f32().map_err(|e| e.to_string())?;
                self.arena[at..at + n].copy_from_slice(&floats);
            } else {
                self.loose[slot] = Some(wide);
            }
        }
        Ok(())
    }

    fn reference(&self, task: &Task) -> Result<Vec<Tensor>, String> {
        let node = self.module.node(task.node);
        let operands: Vec<Option<Tensor>> = (task.reads.iter())
            .map(|v| {
                v.map(|v| self.tensor(v).ok_or("an operand has no value"))
                    .transpose()
            })
            .collect::<Result<_, _>>()?;
        let borrowed: Vec<Option<&Tensor>> = operands.iter().map(Option::as_ref).collect();
        let cx = Eval {
            attrs: &task.attrs,
            operands: &borrowed,
            results: &task.results,
        };
        node.op.operator().eval(&cx).map_err(|e| e.to_string())
    }
    /// A value as a tensor.
    fn tensor(&self, v: ValueId) -> Option<Tensor> {
        let (_, shape) = self.bound.forms[v.at()].as_ref()?;
        match self.schedule.places[v.at()]? {
            Place::Given(from) => self.given[from.at()].as_ref()?.reshape(shape).ok(),
            Place::Slot(slot) if self.schedule.slots[slot].floats => {
                let at = self.bound.offsets[slot];
                let n = shape.iter().product::<usize>();
                Tensor::from_f32(shape, self.arena.get(at..at + n)?.to_vec()).ok()
            }
            Place::Slot(slot) => self.loose[slot].as_ref()?.reshape(shape).ok(),
        }
    }
}

/// A tensor as it is computed with; floats that do not lie at an address where they can be read are copied.
fn ready(tensor: &Tensor) -> Result<Tensor, crate::tensor::TensorError> {
    let wide = tensor.cast(computed(tensor.dtype))?;
    if wide.dtype == DType::F32
        && let Some(Cow::Owned(floats)) = wide.view::<f32>()
    {
        return Tensor::from_f32(&wide.shape, floats);
    }
    Ok(wide)
}
