//! The textual form of a module.
//!
//! One statement a line, in any order as long as names are defined above their uses:
//!
//! ```text
//! model "name"
//! meta "key" = "value"
//! dim N = ?, c = 64, t = a + b
//! param @conv1.weight : f32[c, 3, 7, 7]
//! const @axes : i64[2] = [2, 3]
//! input %image : f32[N, 3, 224, 224]
//! %0 = conv(%image, @conv1.weight) {stride = [2, 2], name = "/conv1/Conv", meta = ["key", "value"]}
//! %a, _ = split(%0) {axis = 1, sizes = [a, b]} : f32[N, a, 112, 112], _
//! %b = opaque "com.acme::Op"(%a, _, @axes) {node = b"aGVsbG8="} : f32[*]
//! output %b : f32[*]
//! ```
//!
//! `_` stands for an absent operand, a result that is not used, a type that is not stated. The attributes `name` and
//! `meta` (keys and values in turn) of every operation carry what the node was called where it came from. Constants of
//! more than 64 elements have no `=`: they live beside the params, in the weights.
mod ast;
mod base64;
mod call;
mod constant;
mod expect;
mod fill;
mod format;
mod item;
mod lower;
mod print;
mod token;

lalrpop_util::lalrpop_mod!(
    #[allow(
        missing_docs,
        unused,
        clippy::all,
        clippy::pedantic,
        clippy::restriction
    )]
    grammar,
    "/tpc.rs"
);

pub use fill::{Seeded, Weights};
pub use format::format;
pub use print::{print, stored};

use crate::diag::{Diagnostic, Place, Source};
use crate::ir::Module;
use std::sync::Arc;
use token::{Mistake, Token, Tokens};

/// Elements of the largest constant that the text holds; larger ones live in the weights.
const LARGEST_CONST: usize = 64;

/// Reads a module. The elements of params, and of constants that the text does not hold, come from `weights`.
///
/// What is returned is checked: names, attributes and their kinds, the number of operands, types and shapes of the
/// weights. Whether operations fit each other is for [`crate::ir::propagate`] to find out.
pub fn parse(source: &Arc<Source>, weights: &dyn Weights) -> Result<Module, Diagnostic> {
    let program = read(source)?;
    lower::module(source, &program, weights).map_err(|mistake| diagnostic(source, mistake))
}

/// The text as statements, nothing checked but its form.
fn read(source: &Source) -> Result<Vec<ast::Statement<'_>>, Diagnostic> {
    if u32::try_from(source.text.len()).is_err() {
        return Err(Diagnostic::new(format!(
            "`{}` is larger than 4 GiB",
            source.name
        )));
    }
    let tokens = Tokens::new(&source.text).filter(|t| !matches!(t, Ok((_, Token::Comment(_), _))));
    grammar::ProgramParser::new()
        .parse(tokens)
        .map_err(|error| diagnostic(source, expect::mistake(&source.text, error)))
}

fn diagnostic(source: &Source, mistake: Mistake) -> Diagnostic {
    let place = Place::Text(Arc::new(source.clone()), mistake.span);
    let diagnostic = Diagnostic::new(mistake.message).at(place);
    match mistake.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// A name behind a sigil: bare if it is words and dots, quoted otherwise.
fn sigiled(sigil: char, name: &str) -> String {
    let bare = name.split('.').all(|word| {
        !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
    });
    match bare {
        true => format!("{sigil}{name}"),
        false => format!("{sigil}{name:?}"),
    }
}
