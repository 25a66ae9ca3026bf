//! Rows that go apart: what operators have to say where, at each position of one dim, other positions of a second one go.
use super::View;

/// Where operand `operand` has the two dims: the one whose positions go on axis `inner`, the other on axis `outer`. On
/// one axis, the former is a factor inside of the latter.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The operand.
    pub operand: usize,
    /// The axis of the dim whose positions go.
    pub inner: usize,
    /// The axis of the dim at each position of which others go.
    pub outer: usize,
}

impl Place {
    /// Whether both are on one axis: the operation sees positions of that axis go, as always.
    pub fn is_one(&self) -> bool {
        self.inner == self.outer
    }
}

/// An operation with the places of both dims in all operands that have them.
pub struct Pairs<'a> {
    /// The operation.
    pub view: View<'a>,
    /// The places.
    pub places: Vec<Place>,
}

impl Pairs<'_> {
    /// Whether both are on one axis wherever they are.
    pub fn on_one_axis(&self) -> bool {
        self.places.iter().all(Place::is_one)
    }
    /// Whether an operation that takes sums, maxima or statistics over `axes` of operand 0 takes them within a row, or
    /// over whole rows.
    pub fn within_rows(&self, axes: &[usize]) -> bool {
        let within = |p: &Place| axes.contains(&p.inner) || !axes.contains(&p.outer);
        self.places.iter().filter(|p| p.operand == 0).all(within)
    }
    /// Whether a contraction, in which axes of one label are one and those of `summed` labels are summed over, meets a
    /// row with that row alone.
    pub fn contracted<L: PartialEq>(
        &self,
        label: impl Fn(usize, usize) -> L,
        summed: impl Fn(&L) -> bool,
    ) -> bool {
        let labels = |p: &Place| (label(p.operand, p.inner), label(p.operand, p.outer));
        self.places.iter().filter(|p| !p.is_one()).all(|p| {
            let (inner, outer) = labels(p);
            let mut alike = self.places.iter().filter(|q| labels(q).0 == inner);
            match summed(&inner) {
                true => alike.all(|q| labels(q).1 == outer),
                false => !summed(&outer),
            }
        })
    }
}
