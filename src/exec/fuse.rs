//! What is done at once: batch norms in the weights of the convolution before, activations and sums in place.
use super::lower::Form;
use super::schedule::{Place, Task};
use super::step::{After, Step};
use crate::ir::{Module, ValueId};
use crate::ops::Binary;
use crate::tensor::{DType, Tensor};

/// The tasks that are left when those that can be have been done together with the one that made their operand.
pub fn fuse(
    module: &Module,
    places: &[Option<Place>],
    forms: &[Option<Form>],
    tasks: Vec<Task>,
) -> Vec<Task> {
    let slot = |v: ValueId| match places[v.at()] {
        Some(Place::Slot(slot)) => Some(slot),
        _ => None,
    };
    let slots = places.iter().flatten().filter_map(|p| match p {
        Place::Slot(slot) => Some(slot + 1),
        Place::Given(_) => None,
    });
    let count = slots.max().unwrap_or(0);
    let mut uses = vec![0; count];
    let read = tasks.iter().flat_map(|t| t.reads.iter().flatten().copied());
    let outputs = module.outputs.iter().map(|(v, _)| *v);
    read.chain(outputs)
        .filter_map(slot)
        .for_each(|s| uses[s] += 1);
    let mut fusion = Fusion {
        module,
        places,
        forms,
        uses,
        makers: vec![None; count],
        done: vec![],
    };
    for task in tasks {
        let writes = task.writes.clone();
        let at = match fusion.absorb(&task) {
            Some(at) => {
                fusion.done[at].writes = task.writes;
                at
            }
            None => {
                fusion.done.push(task);
                fusion.done.len() - 1
            }
        };
        for slot in writes.into_iter().flatten().filter_map(slot) {
            fusion.makers[slot] = Some(at);
        }
    }
    fusion.done
}

struct Fusion<'a> {
    module: &'a Module,
    places: &'a [Option<Place>],
    forms: &'a [Option<Form>],
    /// How often each slot is read, or is an output.
    uses: Vec<usize>,
    /// Which task makes each slot.
    makers: Vec<Option<usize>>,
    done: Vec<Task>,
}

impl Fusion<'_> {
    /// Does a task together with an earlier one, if it can be; gives that one's place.
    fn absorb(&mut self, task: &Task) -> Option<usize> {
        match &task.step {
            Step::BatchNorm(channels) => self.fold(task, channels.epsilon),
            Step::Map(f, attrs) => {
                let at = self.maker(task.reads[0]?)?;
                self.done[at].after.push(After::Map(*f, attrs.clone()));
                Some(at)
            }
            Step::Clip => {
                let at = self.maker(task.reads[0]?)?;
                let bound = |k: usize, none: f32| match task.reads.get(k).copied().flatten() {
                    Some(v) => {
                        let bound = self.given(v)?.to_f32().ok()?;
                        Some(bound.first().copied().unwrap_or(none))
                    }
                    None => Some(none),
                };
                let (least, most) = (bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?);
                self.done[at].after.push(After::Clip(least, most));
                Some(at)
            }
            Step::Zip(Binary::Add, ..) => {
                let sides = [
                    (task.reads[0]?, task.reads[1]?),
                    (task.reads[1]?, task.reads[0]?),
                ];
                let fits = |(v, other): (ValueId, ValueId)| {
                    let at = self.maker(v)?;
                    let (own, result) = (self.form(v)?, self.form(task.writes[0]?)?);
                    let ready = match self.places[other.at()]? {
                        Place::Given(_) => true,
                        Place::Slot(slot) => self.makers[slot]? < at,
                    };
                    // The other is as it is, or repeated over the first axes.
                    let other_form = self.form(other)?;
                    let lead = other_form.1.iter().take_while(|n| **n == 1).count();
                    let same = own == result && own.1.ends_with(&other_form.1[lead..]);
                    (ready && same && other_form.0 == DType::F32).then_some((at, other))
                };
                // The later one, as the other must be there before it.
                let (at, other) = sides
                    .into_iter()
                    .filter_map(fits)
                    .max_by_key(|(at, _)| *at)?;
                self.done[at].after.push(After::Add(other));
                Some(at)
            }
            _ => None,
        }
    }
    /// The task that makes a value which nothing else reads, and which it can still change.
    fn maker(&self, v: ValueId) -> Option<usize> {
        let Some(Place::Slot(slot)) = self.places[v.at()] else {
            return None;
        };
        let at = self.makers[slot].filter(|_| self.uses[slot] == 1)?;
        match self.done[at].step {
            Step::Conv(_)
            | Step::Spread(_)
            | Step::Product(_)
            | Step::Zip(..)
            | Step::BatchNorm(_)
            | Step::Norm(_) => Some(at),
            Step::Map(..)
            | Step::Clip
            | Step::Softmax(..)
            | Step::Reduce(_)
            | Step::Pool(..)
            | Step::Copy(_)
            | Step::Reference => None,
        }
    }
    fn form(&self, v: ValueId) -> Option<&Form> {
        self.forms[v.at()].as_ref()
    }
    fn given(&self, v: ValueId) -> Option<&Tensor> {
        match self.places[v.at()]? {
            Place::Given(v) => self.module.value(v).tensor(),
            Place::Slot(_) => None,
        }
    }
    /// A batch norm becomes part of the weights and the bias of the convolution before it.
    fn fold(&mut self, task: &Task, epsilon: f32) -> Option<usize> {
        let x = task.reads[0]?;
        let at = self.maker(x)?;
        let conv = &self.done[at];
        let Step::Conv(_) = conv.step else {
            return None;
        };
        if !conv.after.is_empty() || !conv.own.is_empty() || conv.writes[0] != Some(x) {
            return None;
        }
        let floats = |v: Option<ValueId>| Some(self.given(v?)?.to_f32().ok()?.into_owned());
        let all: Option<Vec<Vec<f32>>> = (1..5).map(|k| floats(task.reads[k])).collect();
        let all = all?;
        let (scale, shift, mean, variance) = (&all[0], &all[1], &all[2], &all[3]);
        let weight = conv.reads[1]?;
        let shape = &self.form(weight)?.1;
        let mut w = floats(Some(weight))?;
        let mut bias = match conv.reads.get(2).copied().flatten() {
            Some(v) => floats(Some(v))?,
            None => vec![0.0; shape[0]],
        };
        let rows = w.chunks_mut((shape[1..].iter().product::<usize>()).max(1));
        for (c, (row, bias)) in rows.zip(&mut bias).enumerate() {
            let factor = scale[c] / (variance[c] + epsilon).sqrt();
            row.iter_mut().for_each(|w| *w *= factor);
            *bias = (*bias - mean[c]) * factor + shift[c];
        }
        let own = vec![
            (1, Tensor::from_f32(shape, w).ok()?),
            (2, Tensor::from_f32(&[bias.len()], bias).ok()?),
        ];
        self.done[at].own = own;
        Some(at)
    }
}
