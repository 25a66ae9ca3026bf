//! Spans and diagnostics: whatever points into a source, worded where it is found, rendered in one function.
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt::Write;
use std::sync::Arc;

/// A range of bytes in a source text.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
        }
    }
}

/// A text that diagnostics point into: its name (a path, as the user gave it) and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path, as the user gave it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Where something is: in a text, or at a named part of a file that has no lines (an ONNX node).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A range of a text.
    Text(Arc<Source>, Span),
    /// A part of a binary file: the file, and what in it (``node `/conv1/Conv` ``).
    Part(String, String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Text(source, span) => {
                let (line, column) = line_column(&source.text, span.start as usize);
                write!(f, "{}:{line}:{column}", source.name)
            }
            Place::Part(file, part) => write!(f, "{file}: {part}"),
        }
    }
}

/// Line and column of a byte, both from 1; the column counts characters.
pub fn line_column(text: &str, at: usize) -> (usize, usize) {
    let at = (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before[before.rfind('\n').map_or(0, |n| n + 1)..]
        .chars()
        .count()
        + 1;
    (line, column)
}

/// Where the lines of a text begin: who shows many places does not count all lines before each.
#[derive(Clone, Debug, Default)]
pub struct Lines(Vec<usize>);

impl Lines {
    /// The lines of a text.
    pub fn new(text: &str) -> Lines {
        let behind = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines(std::iter::once(0).chain(behind).collect())
    }
    /// A place as text: the same as it shows itself. These are the lines of the text that it is in.
    pub fn show(&self, place: &Place) -> String {
        let Place::Text(source, span) = place else {
            return place.to_string();
        };
        let before = self
            .0
            .partition_point(|start| *start <= span.start as usize);
        let start = before.checked_sub(1).and_then(|i| self.0.get(i));
        let start = start.copied().unwrap_or(0);
        let line = source.text.get(start..).unwrap_or_default();
        let (_, column) = line_column(line, span.start as usize - start);
        format!("{}:{}:{column}", source.name, before.max(1))
    }
}

/// A mistake in what the user gave: what is wrong, where, and what to do.
///
/// The message is lower case, with backticks and no full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// Where; none for mistakes of a whole file.
    pub place: Option<Place>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic without a place.
    pub fn new(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            message: message.into(),
            place: None,
            help: None,
        }
    }
    /// The same, at a place.
    pub fn at(mut self, place: Place) -> Diagnostic {
        self.place = Some(place);
        self
    }
    /// The same, with advice.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
    /// The diagnostic as text, without colours, ending in a line break.
    pub fn render(&self) -> String {
        self.render_with(&Renderer::plain())
    }
    /// The diagnostic for a terminal.
    pub fn render_styled(&self) -> String {
        self.render_with(&Renderer::styled())
    }
    fn render_with(&self, renderer: &Renderer) -> String {
        let mut text = match &self.place {
            Some(Place::Text(source, span)) => {
                let end = (span.end as usize).min(source.text.len());
                let start = (span.start as usize).min(end);
                let snippet = Snippet::source(&source.text)
                    .path(&source.name)
                    .annotation(AnnotationKind::Primary.span(start..end));
                let mut group = Level::ERROR.primary_title(&self.message).element(snippet);
                if let Some(help) = &self.help {
                    group = group.element(Level::HELP.message(help));
                }
                renderer.render(&[group])
            }
            other => {
                let mut text = renderer.render(&[annotate_snippets::Group::with_title(
                    Level::ERROR.primary_title(&self.message),
                )]);
                if let Some(Place::Part(file, part)) = other {
                    let _ = write!(text, "\n --> {file}: {part}");
                }
                if let Some(help) = &self.help {
                    let _ = write!(text, "\n  = help: {help}");
                }
                text
            }
        };
        text.push('\n');
        text
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.render().trim_end())
    }
}

impl std::error::Error for Diagnostic {}

/// The name nearest to `name`, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, all: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    all.into_iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|(distance, other)| *distance <= 1 + other.len().max(name.len()) / 3)
        .min()
        .map(|(_, other)| other)
}
