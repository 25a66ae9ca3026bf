//! Tokens: the text cut into words, and the bounds that hold before anything is parsed.
use crate::diag::Span;
use logos::{Lexer, Logos};
use std::borrow::Cow;

/// How deep brackets may be nested.
const DEEPEST: usize = 128;
/// How many `-` and `/` one expression may have: each makes its tree one deeper.
const LONGEST: usize = 512;

/// A mistake in the text; its source is known to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Mistake {
    /// A mistake at a place.
    pub fn new(span: Span, message: impl Into<String>) -> Mistake {
        let message = message.into();
        Mistake {
            span,
            message,
            help: None,
        }
    }
    /// The same with advice.
    pub fn help(mut self, help: impl Into<String>) -> Mistake {
        self.help = Some(help.into());
        self
    }
}

/// Why the text at some place is no token.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum NoToken {
    /// A character that nothing begins with.
    #[default]
    Character,
    /// A quote that the line does not close.
    Unclosed,
    /// Digits that go over into something else.
    Number,
    /// A sigil without a name.
    Sigil,
}

/// A token. Names keep their sigils and quotes.
#[derive(Logos, Copy, Clone, Debug, PartialEq, Eq)]
#[logos(error = NoToken, skip r"[ \t\r\n\u{feff}]+")]
#[allow(missing_docs)]
pub enum Token<'s> {
    #[token("model")]
    Model,
    #[token("meta")]
    Meta,
    #[token("dim")]
    Dim,
    #[token("param")]
    Param,
    #[token("const")]
    Const,
    #[token("input")]
    Input,
    #[token("output")]
    Output,
    #[token("opaque")]
    Opaque,
    #[regex(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*", |lex| lex.slice())]
    Word(&'s str),
    #[regex(r#"%([A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*|"([^"\\\n]|\\[^\n])*")"#, |lex| lex.slice())]
    #[regex(r#"%("([^"\\\n]|\\[^\n])*\\?)?"#, |lex| unfinished(lex), priority = 1)]
    Value(&'s str),
    #[regex(r#"@([A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*|"([^"\\\n]|\\[^\n])*")"#, |lex| lex.slice())]
    #[regex(r#"@("([^"\\\n]|\\[^\n])*\\?)?"#, |lex| unfinished(lex), priority = 1)]
    Stored(&'s str),
    #[regex(r#""([^"\\\n]|\\[^\n])*""#, |lex| lex.slice())]
    #[regex(r#"b?"([^"\\\n]|\\[^\n])*\\?"#, |lex| unfinished(lex), priority = 1)]
    Text(&'s str),
    #[regex(r#"b"[^"\\\n]*""#, |lex| lex.slice())]
    Bytes(&'s str),
    #[regex(r"[0-9]+", |lex| lex.slice(), priority = 6)]
    Int(&'s str),
    #[regex(r"[0-9]+\.[0-9]+([eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+", |lex| lex.slice(), priority = 6)]
    #[regex(r"[0-9][0-9A-Za-z_.]*", |_| Err(NoToken::Number), priority = 1)]
    Float(&'s str),
    #[token("_", priority = 10)]
    Absent,
    #[token("(")]
    LParen,
    #[token(")")]
    RParen,
    #[token("[")]
    LBracket,
    #[token("]")]
    RBracket,
    #[token("{")]
    LBrace,
    #[token("}")]
    RBrace,
    #[token(",")]
    Comma,
    #[token(":")]
    Colon,
    #[token("=")]
    Equals,
    #[token("?")]
    Question,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("*")]
    Star,
    #[token("/")]
    Slash,
    #[regex(r"//[^\n]*", |lex| lex.slice(), allow_greedy = true)]
    Comment(&'s str),
}

fn unfinished<'s>(lex: &mut Lexer<'s, Token<'s>>) -> Result<&'s str, NoToken> {
    Err(if lex.slice().len() == 1 && lex.slice() != "\"" {
        NoToken::Sigil
    } else {
        NoToken::Unclosed
    })
}

/// The tokens of a text, comments too, each with its place.
pub struct Tokens<'s> {
    lexer: Lexer<'s, Token<'s>>,
    depth: usize,
    operators: usize,
}

impl<'s> Tokens<'s> {
    /// The tokens of a text.
    pub fn new(text: &'s str) -> Tokens<'s> {
        Tokens {
            lexer: Token::lexer(text),
            depth: 0,
            operators: 0,
        }
    }
    fn check(&mut self, token: Token<'s>, span: Span) -> Result<(), Mistake> {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => self.depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => {
                self.depth = self.depth.saturating_sub(1)
            }
            Token::Minus | Token::Slash => self.operators += 1,
            Token::Comma | Token::Equals | Token::Colon => self.operators = 0,
            _ => {}
        }
        if self.depth > DEEPEST {
            return Err(Mistake::new(
                span,
                format!("brackets are nested more than {DEEPEST} deep"),
            ));
        }
        if self.operators > LONGEST {
            return Err(Mistake::new(
                span,
                format!("an expression has more than {LONGEST} differences and quotients"),
            ));
        }
        Ok(())
    }
}

impl<'s> Iterator for Tokens<'s> {
    type Item = Result<(usize, Token<'s>, usize), Mistake>;

    fn next(&mut self) -> Option<Self::Item> {
        let token = self.lexer.next()?;
        let range = self.lexer.span();
        let span = Span::new(range.start, range.end);
        Some(match token {
            Ok(token) => self
                .check(token, span)
                .map(|()| (range.start, token, range.end)),
            Err(error) => Err(no_token(error, span, self.lexer.slice())),
        })
    }
}

fn no_token(error: NoToken, span: Span, slice: &str) -> Mistake {
    match error {
        NoToken::Character => {
            let shown = slice.escape_debug().to_string();
            let shown = if shown == "\\\\" { "\\" } else { &shown };
            let mistake = Mistake::new(span, format!("`{shown}` means nothing here"));
            match slice {
                ";" => mistake.help("nothing stands between statements"),
                "#" => mistake.help("comments begin with `//`"),
                _ => mistake
                    .help("names that are not letters, digits, `_` and `.` are quoted: `%\"a/b\"`"),
            }
        }
        NoToken::Unclosed => Mistake::new(span, "a quote is not closed on its line")
            .help("a line break in a text is written `\\n`"),
        NoToken::Number => Mistake::new(span, format!("`{slice}` is no number")).help(
            "numbers are written `12`, `0.5` or `1e-5`; names that begin with a digit are quoted",
        ),
        NoToken::Sigil => Mistake::new(span, format!("`{slice}` without a name behind it")).help(
            "values are written `%name`, params and constants `@name`; other names are quoted",
        ),
    }
}

/// What a text between quotes says: `\n`, `\r`, `\t`, `\0`, `\\`, `\"`, `\'` and `\u{hex}` stand for characters.
///
/// `text` is a token that begins at byte `start` of the source; sigils before the quote are no part of the name, and a
/// bare name is itself.
pub fn unquote(text: &str, start: u32) -> Result<Cow<'_, str>, Mistake> {
    let bare = text.trim_start_matches(['%', '@']);
    let Some(inner) = bare.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return Ok(Cow::Borrowed(bare));
    };
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    let offset = start as usize + text.len() - bare.len() + 1;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let escaped = chars.next().map(|(_, c)| c);
        let plain = match escaped {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('0') => Some('\0'),
            Some(c @ ('\\' | '"' | '\'')) => Some(c),
            Some('u') => hex(&inner[at + 2..]).map(|(c, len)| {
                chars.nth(len - 1);
                c
            }),
            _ => None,
        };
        let Some(plain) = plain else {
            let end = at + 1 + escaped.map_or(0, char::len_utf8);
            let span = Span::new(offset + at, offset + end);
            return Err(
                Mistake::new(span, format!("`{}` stands for no character", &inner[at..end]))
                    .help("`\\n`, `\\r`, `\\t`, `\\0`, `\\\\`, `\\\"` and `\\u{hex}` do; a backslash is written `\\\\`"),
            );
        };
        out.push(plain);
    }
    Ok(Cow::Owned(out))
}

/// The character that `{hex}...` begins with, and how many characters that took.
fn hex(text: &str) -> Option<(char, usize)> {
    let digits = text.strip_prefix('{')?.split('}').next()?;
    let code = u32::from_str_radix(digits, 16)
        .ok()
        .filter(|_| digits.bytes().all(|c| c.is_ascii_hexdigit()))?;
    (digits.len() + 1 < text.len()).then_some((char::from_u32(code)?, digits.len() + 2))
}
