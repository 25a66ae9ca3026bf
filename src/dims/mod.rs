//! The dimension algebra: terms, unification, freezing, explanations.
//!
//! A dimension is an identity, not a size: two axes of 64 are apart until an equation ties them. Terms are symbols,
//! ordered concatenations and row-major products over e-classes; equations unite classes, and rules refine what two
//! forms of one class say of each other until nothing changes. The leaves that remain are the *atoms*: the same position
//! of an atom goes everywhere at once or nowhere.
//!
//! ```
//! use tpc::dims::{Cause, Dims, Term};
//! let mut dims = Dims::new();
//! let (a, b, whole) = (dims.axis(2i64), dims.axis(3i64), dims.axis(5i64));
//! let sum = dims.concat(&[a, b]);
//! dims.equate(whole, sum, Cause(0)).unwrap();
//! dims.solve().unwrap();
//! assert!(matches!(dims.term(whole), Term::Sum(parts) if parts.len() == 2));
//! ```
mod cycles;
mod explain;
mod factor;
mod limits;
mod read;
mod refine;
mod rule;
mod statements;
mod terms;

pub use explain::Step;
pub(crate) use factor::gcd;
pub use read::{Sizes, Term, known};
pub use rule::Applied;

use crate::tensor::Extent;
use egg::{EGraph, Id};
use refine::NOBODY;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use terms::{Node, Table};

/// A dimension as it was stated: an axis, a part or a factor. Two may be of one class; see [`Dims::find`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim(u32);

/// What stated something: an index that means something to the caller (an operation, a declaration).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cause(pub u32);

/// Why a dimension keeps all its positions. Where there are several reasons, the least is kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// An axis of an input of the model.
    Input,
    /// An axis of an output of the model.
    Output,
    /// Its extent is known at run time only.
    RuntimeExtent,
    /// A window slides along it, or it is interpolated.
    SpatialAxis,
    /// It is addressed by index.
    Index,
    /// It has one position only.
    SinglePosition,
    /// An operator for which the order or the neighbourhood of positions matters.
    Barrier,
    /// An operator that is not known.
    Opaque,
    /// The plan says so.
    Plan,
    /// Two products whose rows do not fit each other.
    NoFit,
    /// It overlaps itself.
    Overlap,
    /// Refining it took too long.
    WorkLimit,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Input => "input",
            Reason::Output => "output",
            Reason::RuntimeExtent => "run-time extent",
            Reason::SpatialAxis => "spatial axis",
            Reason::Index => "index",
            Reason::SinglePosition => "single position",
            Reason::Barrier => "barrier",
            Reason::Opaque => "opaque operator",
            Reason::Plan => "plan",
            Reason::NoFit => "rows that do not fit",
            Reason::Overlap => "overlaps itself",
            Reason::WorkLimit => "work limit",
        })
    }
}

/// Two dimensions that cannot be equal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Two different numbers.
    #[error("one dimension would be both {0} and {1}")]
    Extents(Extent, Extent),
    /// Another number of axes than the rule has.
    #[error("it takes an operand of {expected} axes, and gets one of {found}")]
    Rank {
        /// What the rule has, `3` or `at least 2`.
        expected: String,
        /// What was given.
        found: usize,
    },
    /// A number that does not split.
    #[error("{0} does not split into {1} equal parts")]
    Split(Extent, Extent),
    /// More elements than fit 64 bits.
    #[error("an extent overflows")]
    Overflow,
}

/// A mismatch that shows only when everything is put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{mismatch}")]
pub struct Conflict {
    /// What does not fit.
    pub mismatch: Mismatch,
    /// What stated the equality that made it so, as far as that is known.
    pub cause: Option<Cause>,
}

/// The algebra. State axes and equations, [`solve`](Dims::solve), then read.
pub struct Dims {
    graph: EGraph<Node, Table>,
    /// Statements as edges, for explanations: two handles, and what stated it (none: one is a part of the other).
    edges: Vec<(Dim, Dim, Option<Cause>)>,
    /// Where freezing was stated.
    freezes: Vec<(Dim, Reason, Cause)>,
    /// How much was stated and refined: parts, factors, symbols.
    work: usize,
    path: Vec<Id>,
    /// How many terms and classes there were when nothing was left to be done.
    settled: (usize, usize),
    /// How deep cutting is nested at present.
    depth: usize,
    /// Classes whose terms are too long to be read; they are frozen.
    heavy: HashSet<Id>,
    memo: RefCell<HashMap<Id, Term>>,
}

impl Default for Dims {
    fn default() -> Dims {
        Dims::new()
    }
}

impl Dims {
    /// No dimensions.
    pub fn new() -> Dims {
        Dims {
            graph: EGraph::new(Table::default()),
            edges: vec![],
            freezes: vec![],
            work: 0,
            path: vec![],
            settled: (0, 0),
            depth: 0,
            heavy: HashSet::new(),
            memo: RefCell::default(),
        }
    }
    /// A new axis of a tensor: it may shrink, never vanish. With a run-time extent it is frozen, but for the known factors
    /// of what turns out to be a product.
    pub fn axis(&mut self, extent: impl Into<Extent>) -> Dim {
        let id = self.symbol(extent.into(), true);
        Dim::from(id)
    }
    /// A new dimension that is only a part or a factor of others.
    pub fn part(&mut self, extent: impl Into<Extent>) -> Dim {
        let id = self.symbol(extent.into(), false);
        Dim::from(id)
    }
    /// The concatenation of dimensions, in order; of none it is an empty part.
    pub fn concat(&mut self, parts: &[Dim]) -> Dim {
        if parts.is_empty() {
            return self.part(0i64);
        }
        let ids: Vec<Id> = parts.iter().map(|p| p.id()).collect();
        let before = self.graph.total_size();
        let sum = self.cat(&ids);
        let sum = self.own(sum, before, parts);
        self.edges
            .extend(parts.iter().filter(|p| **p != sum).map(|p| (*p, sum, None)));
        sum
    }
    /// The row-major product of dimensions, the outermost first; of none it is a part of one position.
    pub fn product(&mut self, factors: &[Dim]) -> Dim {
        let Some((first, rest)) = factors.split_first() else {
            return self.part(1i64);
        };
        let before = self.graph.total_size();
        let product = rest
            .iter()
            .fold(first.id(), |left, right| self.times(left, right.id()));
        let product = self.own(product, before, factors);
        self.edges.extend(
            factors
                .iter()
                .filter(|f| **f != product)
                .map(|f| (*f, product, None)),
        );
        product
    }
    /// A term that was there already stands for its whole class, an axis perhaps: what is stated of the term is stated of
    /// a part of its own, so that an explanation does not take it for that axis.
    fn own(&mut self, term: Id, before: usize, parts: &[Dim]) -> Dim {
        let dim = Dim::from(term);
        if self.graph.total_size() > before || parts.contains(&dim) {
            return dim;
        }
        let own = self.symbol(self.extent(dim).clone(), false);
        self.unite(own, term);
        Dim::from(own)
    }
    /// States that two dimensions are one.
    ///
    /// Fails where both are numbers and differ; where they differ and a run-time extent is among them, that they are
    /// equal is an assumption (see [`Dims::assumptions`]).
    pub fn equate(&mut self, a: Dim, b: Dim, cause: Cause) -> Result<(), Mismatch> {
        let (x, y) = (self.extent(a), self.extent(b));
        if x != y {
            if x.is_known() && y.is_known() {
                return Err(Mismatch::Extents(x.clone(), y.clone()));
            }
            let assumed = (x.clone(), y.clone(), cause);
            self.graph.analysis.assumptions.push(assumed);
        }
        if a != b {
            self.edges.push((a, b, Some(cause)));
            self.unite(a.id(), b.id());
        }
        match &self.graph.analysis.conflict {
            Some(conflict) => Err(conflict.clone()),
            None => Ok(()),
        }
    }
    /// States that a dimension keeps all its positions.
    pub fn freeze(&mut self, d: Dim, reason: Reason, cause: Cause) {
        self.freezes.push((d, reason, cause));
        self.freeze_class(d.id(), (reason, cause));
    }
    /// States that a dimension is a count: some operator carries it as a batch or group index.
    pub fn count(&mut self, d: Dim) {
        self.count_class(d.id());
    }
    /// The extent.
    pub fn extent(&self, d: Dim) -> &Extent {
        &self.graph[d.id()].data.extent
    }
    /// Why the dimension is frozen, and what stated it.
    pub fn frozen(&self, d: Dim) -> Option<(Reason, Cause)> {
        let leaf = || !self.is_known(d.id()) && self.product_of(d.id()).is_none();
        let stated = self.fact(d.id()).frozen;
        stated.or_else(|| leaf().then_some((Reason::RuntimeExtent, NOBODY)))
    }
    /// Whether some operator carries it as a batch or group index.
    pub fn is_count(&self, d: Dim) -> bool {
        self.graph[d.id()].data.count
    }
    /// The class of a dimension, as one of its members.
    pub fn find(&self, d: Dim) -> Dim {
        Dim::from(self.graph.find(d.id()))
    }
    /// Equalities that were taken for granted, as run-time extents are among them.
    pub fn assumptions(&self) -> &[(Extent, Extent, Cause)] {
        &self.graph.analysis.assumptions
    }
}

impl Dim {
    fn id(self) -> Id {
        Id::from(self.0 as usize)
    }
}

impl From<Id> for Dim {
    fn from(id: Id) -> Dim {
        Dim(usize::from(id) as u32)
    }
}
