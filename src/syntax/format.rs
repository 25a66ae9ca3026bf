//! Layout: one statement a line, params aligned at `:`, comments where they stood.
use super::ast::StatementKind;
use super::token::{Token, Tokens};
use crate::diag::{Diagnostic, Source};
use std::fmt::Write;

/// The text in the layout that the printer writes, with every comment and at most one empty line between statements.
/// Formatting twice changes nothing more. A text that does not parse is a diagnostic.
pub fn format(source: &Source) -> Result<String, Diagnostic> {
    let program = super::read(source)?;
    let mut statements = program.iter().map(|s| {
        let param = matches!(s.kind, StatementKind::Param(..));
        (s.span.start as usize, param)
    });
    let mut next = statements.next();
    let mut rows: Vec<Row> = vec![];
    let mut end = 0;
    let mut before: Option<Token<'_>> = None;
    let mut last: Option<Token<'_>> = None;
    for (start, token, stop) in Tokens::new(&source.text).flatten() {
        let breaks = source.text[end..start].matches('\n').count();
        end = stop;
        if let Token::Comment(text) = token {
            let text = text.trim_end().to_string();
            match rows.last_mut() {
                Some(row) if breaks == 0 && row.comment.is_none() => row.comment = Some(text),
                _ => {
                    // Between the words of a statement, or between statements.
                    let inside = next.is_none_or(|(at, _)| at > start) && inside(&program, start);
                    rows.push(Row {
                        inside,
                        empty_before: breaks > 1 && !inside,
                        comment: Some(text),
                        ..Row::default()
                    });
                }
            }
            continue;
        }
        let begins = next.filter(|(at, _)| *at == start);
        if let Some((_, param)) = begins {
            next = statements.next();
            (before, last) = (None, None);
            rows.push(Row {
                param,
                empty_before: breaks > 1,
                ..Row::default()
            });
        } else if rows.last().is_none_or(|row| row.comment.is_some()) {
            // A comment ended the line within the statement.
            rows.push(Row {
                inside: true,
                ..Row::default()
            });
        }
        if let Some(row) = rows.last_mut() {
            if !row.text.is_empty() && spaced(before, last, token) {
                row.text.push(' ');
            }
            if row.param && row.colon.is_none() && token == Token::Colon {
                row.colon = Some(row.text.len());
            }
            row.text.push_str(&source.text[start..stop]);
        }
        before = last;
        last = Some(token);
    }
    Ok(laid_out(rows))
}

/// Whether a byte lies within a statement.
fn inside(program: &[super::ast::Statement<'_>], at: usize) -> bool {
    let after = program.partition_point(|s| s.span.start as usize <= at);
    after > 0 && (program[after - 1].span.end as usize) > at
}

/// A line to be: words, a comment, or both.
#[derive(Default)]
struct Row {
    text: String,
    comment: Option<String>,
    /// Where the `:` of a param stands.
    colon: Option<usize>,
    param: bool,
    /// Whether it continues a statement.
    inside: bool,
    empty_before: bool,
}

/// Whether a space stands between two words, given what stood before the first.
fn spaced(before: Option<Token<'_>>, last: Option<Token<'_>>, token: Token<'_>) -> bool {
    use Token::*;
    let Some(last) = last else { return false };
    // A minus is a sign unless an operand stands before it.
    let sign = last == Minus
        && !matches!(
            before,
            Some(Word(_) | Int(_) | Float(_) | Text(_) | Absent | RParen | RBracket)
                | Some(Model | Meta | Dim | Param | Const | Input | Output | Opaque)
        );
    let name = matches!(
        last,
        Word(_) | Text(_) | Absent | Model | Meta | Dim | Param | Const | Input | Output | Opaque
    );
    match (last, token) {
        (LParen | LBracket | LBrace, _) | (_, RParen | RBracket | RBrace | Comma) => false,
        _ if sign => false,
        (_, LParen | LBracket) => !name,
        _ => true,
    }
}

/// The rows as text: colons of neighbouring params under each other, and so their comments.
fn laid_out(mut rows: Vec<Row>) -> String {
    align_colons(&mut rows);
    let mut out = String::new();
    let mut at = 0;
    while at < rows.len() {
        // Rows with both words and a comment, one under the other.
        let run = rows[at..]
            .iter()
            .enumerate()
            .take_while(|(i, row)| {
                !row.text.is_empty() && row.comment.is_some() && (*i == 0 || !row.empty_before)
            })
            .count();
        let width = |row: &Row| row.text.chars().count() + if row.inside { 4 } else { 0 };
        let widest = rows[at..at + run].iter().map(width).max().unwrap_or(0);
        for row in &rows[at..at + run.max(1)] {
            if row.empty_before && !out.is_empty() {
                out.push('\n');
            }
            if row.inside {
                out.push_str("    ");
            }
            out.push_str(&row.text);
            if let Some(comment) = &row.comment {
                let gap = if row.text.is_empty() {
                    0
                } else {
                    widest + 2 - width(row)
                };
                let _ = write!(out, "{:gap$}{comment}", "");
            }
            out.push('\n');
        }
        at += run.max(1);
    }
    out
}

/// Comments between params do not part them; anything else does.
fn align_colons(rows: &mut [Row]) {
    let mut at = 0;
    while at < rows.len() {
        let run = rows[at..]
            .iter()
            .enumerate()
            .take_while(|(i, row)| {
                (row.colon.is_some() || row.text.is_empty()) && (*i == 0 || !row.empty_before)
            })
            .count();
        let column = |row: &Row| row.colon.map(|colon| row.text[..colon].chars().count());
        let widest = rows[at..at + run]
            .iter()
            .filter_map(column)
            .max()
            .unwrap_or(0);
        for row in &mut rows[at..at + run] {
            if let (Some(colon), Some(own)) = (row.colon, column(row)) {
                row.text.insert_str(colon, &" ".repeat(widest - own));
            }
        }
        at += run.max(1);
    }
}
