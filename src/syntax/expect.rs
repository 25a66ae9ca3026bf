//! What the parser expected, in plain words.
use super::token::{Mistake, Token, Tokens};
use crate::diag::{Span, nearest};
use lalrpop_util::ParseError;

/// The mistake behind an error of the parser.
pub fn mistake(text: &str, error: ParseError<usize, Token<'_>, Mistake>) -> Mistake {
    match error {
        ParseError::User { error } => error,
        ParseError::InvalidToken { location } => {
            Mistake::new(Span::new(location, location), "no word begins here")
        }
        ParseError::UnrecognizedEof { expected, .. } => {
            let end = text.trim_end().len();
            let last = text[..end].char_indices().next_back().map_or(0, |(i, _)| i);
            let message = format!("the text ends where {} must follow", either(&expected));
            Mistake::new(Span::new(last, end), message)
        }
        ParseError::UnrecognizedToken {
            token: (start, token, end),
            expected,
        } => found(text, start, token, end, &expected),
        ParseError::ExtraToken {
            token: (start, token, end),
        } => found(text, start, token, end, &[]),
    }
}

/// The words that begin a statement.
const STATEMENTS: [&str; 8] = [
    "model", "meta", "dim", "param", "const", "input", "output", "opaque",
];

fn found(text: &str, start: usize, token: Token<'_>, end: usize, expected: &[String]) -> Mistake {
    let word = &text[start..end];
    let wants = |terminal: &str| expected.iter().any(|e| e.trim_matches('"') == terminal);
    if let [only] = expected
        && only == "\"(\""
    {
        // An operator's name without operands: perhaps it is no operator.
        let before = Tokens::new(&text[..start]).flatten();
        let before = before.filter(|(_, token, _)| !matches!(token, Token::Comment(_)));
        if let Some((from, Token::Word(name), to)) = before.last()
            && let Some(near) = nearest(name, STATEMENTS)
        {
            let message = format!("`{name}` begins no statement");
            return Mistake::new(Span::new(from, to), message).help(format!("there is `{near}`"));
        }
    }
    let mistake = Mistake::new(
        Span::new(start, end),
        match expected {
            [] => format!("`{word}` does not belong here"),
            _ => format!("expected {}, found `{word}`", either(expected)),
        },
    );
    match token {
        _ if wants("+") => mistake,
        Token::Word(_) if wants("value") && wants("stored") => mistake.help(format!(
            "values are written `%{word}`, params and constants `@{word}`"
        )),
        Token::Int(_) | Token::Float(_) if wants("value") && wants("stored") => {
            mistake.help("a number is an operand by a name: `const @two : f32[] = 2.0`")
        }
        Token::Value(_) if wants("stored") => {
            mistake.help("params and constants are written `@name`")
        }
        Token::Stored(_) if wants("value") => mistake.help("values are written `%name`"),
        Token::Slash | Token::Minus | Token::Colon => {
            mistake.help("names that are not letters, digits, `_` and `.` are quoted: `%\"a/b\"`")
        }
        Token::Text(_) if expected.len() == 1 && wants("(") => {
            mistake.help("only `opaque` has a quoted type behind it")
        }
        _ => mistake,
    }
}

/// Terminals of the grammar as a person says them, joined by `or`.
fn either(expected: &[String]) -> String {
    let all: Vec<&str> = expected.iter().map(|e| e.trim_matches('"')).collect();
    let has = |terminal: &str| all.contains(&terminal);
    // A word can stand wherever a statement's first word can: seen together they are a statement, else a name.
    let statement = has("model") && has("value") && !has("int");
    let term = has("int");
    let mut words: Vec<String> = vec![];
    let mut say = |word: &str| {
        if !words.iter().any(|w| w == word) {
            words.push(word.to_string());
        }
    };
    for terminal in &all {
        let word = *terminal == "word" || STATEMENTS.contains(terminal);
        match *terminal {
            "(" | "-" | "_" | "text" | "float" | "int" if term => say("a number or a name"),
            _ if word && term => say("a number or a name"),
            _ if word && statement => say("a statement"),
            "value" | "_" if statement => say("a statement"),
            _ if word => say("a name"),
            "+" | "-" | "*" | "/" => say("an operator"),
            "value" => say("a value (`%name`)"),
            "stored" => say("a param or constant (`@name`)"),
            "text" => say("a quoted text"),
            // Possible, but never what is meant: bytes where any value may stand, and operators named like statements.
            "bytes" => {}
            "(" if all.len() > 1 => {}
            other => say(&format!("`{other}`")),
        }
    }
    // The statement last: it is what follows if nothing continues the one before.
    if let Some(at) = words.iter().position(|w| w == "a statement") {
        let statement = words.remove(at);
        words.push(statement);
    }
    match words.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}
