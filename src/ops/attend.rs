//! The reference of attention: scores of queries and keys, and values weighed by them.
use super::movement::wrong;
use super::{Eval, EvalError};
use crate::tensor::Tensor;

/// Heads of one operand: batch, heads, positions and features.
#[derive(Clone)]
pub(super) struct Heads {
    pub batch: usize,
    pub heads: usize,
    pub length: usize,
    pub width: usize,
    /// The elements, in the order of these axes.
    pub values: Vec<f32>,
}

impl Heads {
    /// An operand `b heads t d`, or `b t (heads d)`.
    pub fn of(x: &Tensor, heads: usize) -> Result<Heads, EvalError> {
        let all = x.to_f32()?;
        match x.shape[..] {
            [batch, heads, length, width] => Ok(Heads {
                batch,
                heads,
                length,
                width,
                values: all.into_owned(),
            }),
            [batch, length, features] if heads > 0 && features % heads == 0 => {
                let width = features / heads;
                Ok(Heads::columns(
                    &all,
                    [batch, length, features],
                    0,
                    [heads, width],
                ))
            }
            _ => wrong("an operand does not split into heads"),
        }
    }
    /// The heads that stand in the columns from `first` on of rows `b t`.
    pub fn columns(
        all: &[f32],
        [batch, length, features]: [usize; 3],
        first: usize,
        [heads, width]: [usize; 2],
    ) -> Heads {
        let mut values = Vec::with_capacity(batch * length * heads * width);
        for b in 0..batch {
            for h in 0..heads {
                for t in 0..length {
                    let at = (b * length + t) * features + first + h * width;
                    values.extend_from_slice(&all[at..at + width]);
                }
            }
        }
        Heads {
            batch,
            heads,
            length,
            width,
            values,
        }
    }
    /// What was there before, then these: one behind the other along the positions.
    pub fn behind(self, past: Option<&Tensor>) -> Result<Heads, EvalError> {
        let Some(past) = past else { return Ok(self) };
        let past = Heads::of(past, self.heads)?;
        if [past.batch, past.heads, past.width] != [self.batch, self.heads, self.width] {
            return wrong("the cache does not fit");
        }
        let mut values = Vec::with_capacity(past.values.len() + self.values.len());
        for line in 0..self.batch * self.heads {
            values.extend_from_slice(past.line(line));
            values.extend_from_slice(self.line(line));
        }
        Ok(Heads {
            length: past.length + self.length,
            values,
            ..self
        })
    }
    /// All positions of one head of one batch.
    fn line(&self, line: usize) -> &[f32] {
        let size = self.length * self.width;
        &self.values[line * size..(line + 1) * size]
    }
    /// The features of one position.
    pub fn at(&self, b: usize, h: usize, t: usize) -> &[f32] {
        let at = ((b * self.heads + h) * self.length + t) * self.width;
        &self.values[at..at + self.width]
    }
    /// A tensor of result `k`'s shape, `b heads t d` or `b t (heads d)`.
    pub fn result(&self, cx: &Eval<'_>, k: usize) -> Result<Tensor, EvalError> {
        let (_, shape) = cx.result(k)?;
        let values = match shape.len() {
            3 => {
                let mut values = Vec::with_capacity(self.values.len());
                for b in 0..self.batch {
                    for t in 0..self.length {
                        (0..self.heads).for_each(|h| values.extend_from_slice(self.at(b, h, t)));
                    }
                }
                values
            }
            _ => self.values.clone(),
        };
        floats(cx, k, values)
    }
}

/// Values as result `k`; they are flat where nobody takes it, and its shape says nothing.
pub(super) fn floats(cx: &Eval<'_>, k: usize, values: Vec<f32>) -> Result<Tensor, EvalError> {
    let (dtype, shape) = cx.result(k)?;
    let flat = [values.len()];
    let shape = match shape.iter().product::<usize>() == values.len() {
        true => shape,
        false => &flat,
    };
    Ok(Tensor::from_f32(shape, values)?.cast(dtype)?)
}

/// How scores are made.
pub(super) struct Scores<'a> {
    /// What products are multiplied by.
    pub scale: f64,
    /// The bound of a soft cap; 0 is none.
    pub softcap: f64,
    /// What is added, by batch, head, query and key.
    pub bias: &'a dyn Fn([usize; 4]) -> f64,
    /// Which scores are given besides: 0 products, 1 capped ones, 2 with what is added, 3 shares.
    pub stage: i64,
}

/// The values weighed by the scores, and the scores at a stage, `b heads s t`. Heads of keys and values are shared by
/// successive heads of queries; a query that sees no key gives zeros.
pub(super) fn attend(q: &Heads, k: &Heads, v: &Heads, how: &Scores<'_>) -> (Heads, Vec<f32>) {
    let repeats = (q.heads / k.heads.max(1)).max(1);
    let mut out = Vec::with_capacity(q.batch * q.heads * q.length * v.width);
    let mut seen = Vec::with_capacity(q.batch * q.heads * q.length * k.length);
    for b in 0..q.batch {
        for h in 0..q.heads {
            for s in 0..q.length {
                let query = q.at(b, h, s);
                let mut open = false;
                let mut scores = Vec::with_capacity(k.length);
                for t in 0..k.length {
                    let key = k.at(b, h / repeats, t);
                    let products = query.iter().zip(key).map(|(x, y)| f64::from(x * y));
                    let product = products.sum::<f64>() * how.scale;
                    let capped = match how.softcap > 0.0 {
                        true => how.softcap * (product / how.softcap).tanh(),
                        false => product,
                    };
                    let bias = (how.bias)([b, h, s, t]);
                    open |= bias > f64::NEG_INFINITY;
                    scores.push(capped + bias);
                    match how.stage {
                        0 => seen.push(product as f32),
                        1 => seen.push(capped as f32),
                        2 => seen.push((capped + bias) as f32),
                        _ => {}
                    }
                }
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                scores.iter_mut().for_each(|x| *x = (*x - top).exp());
                let sum: f64 = scores.iter().sum();
                let at = out.len();
                out.resize(at + v.width, 0f32);
                for (t, score) in scores.iter().enumerate() {
                    let share = if open { (score / sum) as f32 } else { 0.0 };
                    if how.stage == 3 {
                        seen.push(share);
                    }
                    if share != 0.0 {
                        let value = v.at(b, h / repeats, t);
                        let to = out[at..].iter_mut().zip(value);
                        to.for_each(|(o, x)| *o += share * x);
                    }
                }
            }
        }
    }
    let out = Heads {
        width: v.width,
        values: out,
        ..Heads {
            batch: q.batch,
            heads: q.heads,
            length: q.length,
            width: 0,
            values: vec![],
        }
    };
    (out, seen)
}
