//! Schedules: which operations need work, where every value lies, and when its place is free again.
use super::bind::Bindings;
use super::fuse::fuse;
use super::lower::{Form, is_view, lower};
use super::step::{After, Step};
use crate::ir::{Def, Facts, Module, NodeId, ValueId};
use crate::ops::{Attrs, Op};
use crate::tensor::{DType, Extent, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// Elements to which places in the arena are aligned: a line of the cache.
const ALIGN: usize = 16;

/// The type in which elements of a type are computed: half floats as f32.
pub fn computed(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    }
}

/// Where a value lies.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is an input, a param or a constant (perhaps under another shape).
    Given(ValueId),
    /// It is in a slot.
    Slot(usize),
}

/// A part of the arena, or a tensor by itself where the elements are no floats.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The value that is put there; views of it lie there too.
    pub value: ValueId,
    /// Whether it lies in the arena.
    pub floats: bool,
}

/// A module in the order of execution, for all extents at once and all devices.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The operations that need work; the others are views.
    pub tasks: Vec<NodeId>,
    /// Where each value lies; none where nothing makes it.
    pub places: Vec<Option<Place>>,
    /// What lies in the arena or beside it.
    pub slots: Vec<Slot>,
}

/// Schedules a module. None where a device cannot run it as a whole: an operator is not known, or a rank is not.
pub fn schedule(module: &Module, facts: &Facts) -> Option<Schedule> {
    let mut places: Vec<Option<Place>> = (module.values.iter().enumerate())
        .map(|(i, value)| match value.def {
            Def::Input | Def::Param(_) | Def::Const(_) => Some(Place::Given(ValueId(i as u32))),
            Def::Result(..) => None,
        })
        .collect();
    let mut slots: Vec<Slot> = vec![];
    let mut tasks = vec![];
    for (i, node) in module.nodes.iter().enumerate() {
        if node.op == Op::Opaque {
            return None;
        }
        if let ([Some(x)], [Some(y)], true) =
            (&node.operands[..], &node.results[..], is_view(node.op))
        {
            places[y.at()] = places[x.at()];
            continue;
        }
        tasks.push(NodeId(i as u32));
        for v in node.results.iter().flatten() {
            facts.axes(*v)?;
            places[v.at()] = Some(Place::Slot(slots.len()));
            slots.push(Slot {
                value: *v,
                floats: computed(facts.values[v.at()].dtype) == DType::F32,
            });
        }
    }
    Some(Schedule {
        tasks,
        places,
        slots,
    })
}

/// A task with numbers.
#[derive(Clone, Debug)]
pub struct Task {
    /// The operation.
    pub node: NodeId,
    /// What is done.
    pub step: Step,
    /// What is then done with every element of the result, in its place.
    pub after: Vec<After>,
    /// The operands.
    pub reads: Vec<Option<ValueId>>,
    /// Operands that stand in the place of others, or are added to them.
    pub own: Vec<(usize, Tensor)>,
    /// The results.
    pub writes: Vec<Option<ValueId>>,
    /// The operation's attributes, every expression a number.
    pub attrs: Attrs,
    /// Types and shapes of the operands.
    pub operands: Vec<Option<Form>>,
    /// Types and shapes of the results.
    pub results: Vec<Form>,
}

/// A schedule with numbers for all extents.
#[derive(Clone, Debug)]
pub struct Bound {
    /// What is done, in order.
    pub tasks: Vec<Task>,
    /// Type and shape of each value; none where nothing makes it.
    pub forms: Vec<Option<Form>>,
    /// Where each slot begins in the arena.
    pub offsets: Vec<usize>,
    /// Elements of the arena.
    pub size: usize,
}

impl Schedule {
    /// Puts in numbers. None where only the data decide some extent.
    pub fn bind(
        &self,
        module: &Module,
        facts: &Facts,
        extents: &HashMap<Arc<str>, Extent>,
        bindings: &Bindings,
    ) -> Option<Bound> {
        let form = |v: ValueId| -> Option<Form> {
            let shape = facts.shape(v)?;
            let axes: Option<Vec<usize>> = (shape.axes.iter())
                .map(|e| usize::try_from(bindings.number(e)?).ok())
                .collect();
            Some((computed(shape.dtype), axes?))
        };
        let mut forms = vec![None; module.values.len()];
        for (i, place) in self.places.iter().enumerate() {
            if place.is_some() {
                forms[i] = Some(form(ValueId(i as u32))?);
            }
        }
        let of = |v: &Option<ValueId>| v.and_then(|v| forms[v.at()].clone());
        let tasks = self.tasks.iter().map(|id| {
            let node = module.node(*id);
            let attrs = bindings.attrs(&node.attrs, extents);
            let operands: Vec<Option<Form>> = node.operands.iter().map(of).collect();
            let none = (DType::F32, vec![]);
            let results: Vec<Form> = (node.results.iter())
                .map(|v| of(v).unwrap_or(none.clone()))
                .collect();
            let step = lower(node.op, &attrs, &operands, &results);
            Task {
                node: *id,
                step,
                after: vec![],
                reads: node.operands.clone(),
                own: vec![],
                writes: node.results.clone(),
                attrs,
                operands,
                results,
            }
        });
        let tasks = fuse(module, &self.places, &forms, tasks.collect());
        let (offsets, size) = self.arrange(&forms, &self.lives(module, &tasks));
        Some(Bound {
            tasks,
            forms,
            offsets,
            size,
        })
    }
    /// By slot, the task that makes it and the last that reads it; none where no task makes it any more.
    fn lives(&self, module: &Module, tasks: &[Task]) -> Vec<Option<(usize, usize)>> {
        let mut lives: Vec<Option<(usize, usize)>> = vec![None; self.slots.len()];
        let mut touch = |v: ValueId, i: usize| {
            if let Some(Place::Slot(slot)) = self.places[v.at()] {
                let (first, _) = lives[slot].unwrap_or((i, i));
                lives[slot] = Some((first, i));
            }
        };
        for (i, task) in tasks.iter().enumerate() {
            let added = task.after.iter().filter_map(|after| match after {
                After::Add(v) => Some(*v),
                After::Map(..) | After::Clip(..) => None,
            });
            let all = task.writes.iter().chain(&task.reads).flatten().copied();
            all.chain(added).for_each(|v| touch(v, i));
        }
        module
            .outputs
            .iter()
            .for_each(|(v, _)| touch(*v, tasks.len()));
        lives
    }
    /// Places slots so that those which live at the same time do not overlap: the largest first, each as low as it
    /// fits.
    fn arrange(
        &self,
        forms: &[Option<Form>],
        lives: &[Option<(usize, usize)>],
    ) -> (Vec<usize>, usize) {
        let size = |slot: &Slot| match &forms[slot.value.at()] {
            Some((_, shape)) if slot.floats => {
                shape.iter().product::<usize>().next_multiple_of(ALIGN)
            }
            _ => 0,
        };
        let sizes: Vec<usize> = self.slots.iter().map(size).collect();
        let mut order: Vec<usize> = (0..sizes.len()).filter(|i| sizes[*i] > 0).collect();
        order.sort_by_key(|i| (std::cmp::Reverse(sizes[*i]), *i));
        let mut offsets = vec![0; sizes.len()];
        let mut placed: Vec<(usize, usize, usize)> = vec![];
        let mut end = 0;
        for i in order {
            let Some((first, last)) = lives[i] else {
                continue;
            };
            let mut beside: Vec<(usize, usize)> = (placed.iter())
                .filter(|(_, from, to)| *from <= last && first <= *to)
                .map(|(j, ..)| (offsets[*j], offsets[*j] + sizes[*j]))
                .collect();
            beside.sort_unstable();
            let mut at = 0;
            for (from, to) in beside {
                if at + sizes[i] <= from {
                    break;
                }
                at = at.max(to);
            }
            offsets[i] = at;
            end = end.max(at + sizes[i]);
            placed.push((i, first, last));
        }
        (offsets, end)
    }
}
