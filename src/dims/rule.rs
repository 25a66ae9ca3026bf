//! The rule notation: `"n (g i), (g o) i -> n (g o)"`.
use super::{Cause, Dim, Dims, Mismatch};
use crate::tensor::Extent;

/// What an axis of a rule says.
#[derive(Clone, Debug, PartialEq)]
enum Axis<'r> {
    Name(&'r str),
    Group(Vec<&'r str>),
    One,
    Rest,
}

/// What a rule made of its operands.
#[derive(Clone, Debug)]
pub struct Applied {
    /// One list of dims per result pattern.
    pub results: Vec<Vec<Dim>>,
    names: Vec<(String, Dim)>,
}

impl Applied {
    /// The dim that a name of the rule stands for.
    pub fn get(&self, name: &str) -> Option<Dim> {
        self.names.iter().find(|(n, _)| n == name).map(|(_, d)| *d)
    }
}

/// The patterns on one side of a rule.
fn side(text: &str) -> Vec<Vec<Axis<'_>>> {
    text.split(',').map(pattern).collect()
}

fn pattern(text: &str) -> Vec<Axis<'_>> {
    let mut axes = vec![];
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some((inner, behind)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            axes.push(Axis::Group(inner.split_whitespace().collect()));
            rest = behind.trim_start();
            continue;
        }
        let (word, behind) = rest.split_at(rest.find([' ', '(']).unwrap_or(rest.len()));
        axes.push(match word {
            "..." => Axis::Rest,
            "1" => Axis::One,
            name => Axis::Name(name),
        });
        rest = behind.trim_start();
    }
    axes
}

impl Dims {
    /// Applies a rule to the axes of operands.
    ///
    /// A name is one dim wherever it stands. `(g i)` is a row-major product, of which at most one factor is found by
    /// division; `1` is an axis of extent 1; `...` are all further axes, broadcast against each other from the right (an
    /// axis broadcasts only if its extent is literally 1). `given` names dims beforehand.
    pub fn apply(
        &mut self,
        rule: &str,
        operands: &[&[Dim]],
        given: &[(&str, Dim)],
        cause: Cause,
    ) -> Result<Applied, Mismatch> {
        let (left, right) = rule.split_once("->").unwrap_or((rule, ""));
        let mut names: Vec<(String, Dim)> =
            given.iter().map(|(n, d)| (n.to_string(), *d)).collect();
        let mut groups: Vec<(Vec<&str>, Dim)> = vec![];
        let mut rests: Vec<&[Dim]> = vec![];
        for (axes, operand) in side(left).iter().zip(operands) {
            let open = axes.contains(&Axis::Rest);
            let fixed = axes.len() - open as usize;
            if operand.len() < fixed || (!open && operand.len() != fixed) {
                let expected = if open {
                    format!("at least {fixed}")
                } else {
                    fixed.to_string()
                };
                return Err(Mismatch::Rank {
                    expected,
                    found: operand.len(),
                });
            }
            let mut at = 0;
            for axis in axes {
                match axis {
                    Axis::Rest => {
                        let n = operand.len() - fixed;
                        rests.push(&operand[at..at + n]);
                        at += n;
                        continue;
                    }
                    Axis::One => self.require_one(operand[at])?,
                    Axis::Name(name) => self.bind(&mut names, name, operand[at], cause)?,
                    Axis::Group(factors) => groups.push((factors.clone(), operand[at])),
                }
                at += 1;
            }
        }
        for (factors, d) in groups {
            self.split(&mut names, &factors, d, cause)?;
        }
        let rest = self.broadcast(&rests, cause)?;
        let named = |names: &[(String, Dim)], name: &str| {
            names.iter().find(|(n, _)| n == name).map(|(_, d)| *d)
        };
        let mut results = vec![];
        for axes in side(right) {
            let mut result = vec![];
            for axis in axes {
                match axis {
                    Axis::Rest => result.extend(&rest),
                    Axis::One => result.push(self.axis(1i64)),
                    Axis::Name(name) => result.extend(named(&names, name)),
                    Axis::Group(factors) => {
                        let factors: Vec<Dim> =
                            factors.iter().filter_map(|f| named(&names, f)).collect();
                        result.push(self.product(&factors));
                    }
                }
            }
            results.push(result);
        }
        Ok(Applied { results, names })
    }

    fn require_one(&self, d: Dim) -> Result<(), Mismatch> {
        match self.extent(d).known() {
            Some(n) if n != 1 => Err(Mismatch::Extents(Extent::from(1i64), Extent::from(n))),
            _ => Ok(()),
        }
    }

    fn bind(
        &mut self,
        names: &mut Vec<(String, Dim)>,
        name: &str,
        d: Dim,
        cause: Cause,
    ) -> Result<(), Mismatch> {
        match names.iter().find(|(n, _)| n == name) {
            Some((_, bound)) => self.equate(*bound, d, cause),
            None => {
                names.push((name.to_string(), d));
                Ok(())
            }
        }
    }

    /// An axis that is a product of names, of which at most one is not bound yet.
    fn split(
        &mut self,
        names: &mut Vec<(String, Dim)>,
        factors: &[&str],
        d: Dim,
        cause: Cause,
    ) -> Result<(), Mismatch> {
        let mut known = Extent::from(1i64);
        let mut dims = vec![];
        let mut open = None;
        for (i, factor) in factors.iter().enumerate() {
            match names.iter().find(|(n, _)| n == factor) {
                Some((_, bound)) => {
                    known = known
                        .checked_mul(self.extent(*bound))
                        .ok_or(Mismatch::Overflow)?;
                    dims.push(*bound);
                }
                None => {
                    open = Some((i, *factor));
                    dims.push(d);
                }
            }
        }
        if let Some((i, name)) = open {
            let rest = self.extent(d).exact_div(&known);
            let rest =
                rest.ok_or_else(|| Mismatch::Split(self.extent(d).clone(), known.clone()))?;
            dims[i] = self.axis(rest);
            names.push((name.to_string(), dims[i]));
        }
        let product = self.product(&dims);
        self.equate(d, product, cause)
    }

    /// Numpy's broadcasting, aligned at the right: an axis whose extent is literally 1 goes along with the others'.
    pub fn broadcast(&mut self, operands: &[&[Dim]], cause: Cause) -> Result<Vec<Dim>, Mismatch> {
        let rank = operands.iter().map(|o| o.len()).max().unwrap_or(0);
        let mut result = vec![];
        for at in 0..rank {
            let mut chosen: Option<Dim> = None;
            for operand in operands {
                let Some(i) = (at + operand.len()).checked_sub(rank) else {
                    continue;
                };
                let d = operand[i];
                let unit = |d: Dim| self.extent(d).known() == Some(1);
                chosen = Some(match chosen {
                    None => d,
                    Some(c) if unit(c) && !unit(d) => d,
                    Some(c) if unit(d) && !unit(c) => c,
                    Some(c) => {
                        self.equate(c, d, cause)?;
                        c
                    }
                });
            }
            result.extend(chosen);
        }
        Ok(result)
    }
}
