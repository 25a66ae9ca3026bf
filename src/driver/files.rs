//! Models in files: read in either form, written whole or not at all.
use super::Failure;
use crate::diag::{Diagnostic, Source};
use crate::ir::{Facts, Module};
use crate::syntax::{Seeded, Weights};
use crate::tensor::{DType, Tensor};
use crate::{onnx, syntax, weights};
use indexmap::IndexMap;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// The form of a model file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// The textual language, with weights in safetensors beside it.
    Tir,
    /// ONNX.
    Onnx,
}

impl Form {
    /// The form that a path's extension states.
    pub fn of(path: &Path) -> Result<Form, Failure> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("tir") => Ok(Form::Tir),
            Some("onnx") => Ok(Form::Onnx),
            _ => Err(Failure::Usage(format!(
                "`{}` ends neither in `.tir` nor in `.onnx`",
                path.display()
            ))),
        }
    }
    /// The extension.
    pub fn extension(self) -> &'static str {
        match self {
            Form::Tir => "tir",
            Form::Onnx => "onnx",
        }
    }
}

/// Reads a text file that diagnostics can point into.
pub fn source(path: &Path) -> Result<Arc<Source>, Failure> {
    let bytes = std::fs::read(path).map_err(|e| Failure::io(path, e))?;
    let name = path.display().to_string();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Arc::new(Source { name, text })),
        Err(_) => Err(Diagnostic::new(format!("`{name}` is not a text")).into()),
    }
}

/// Reads a model; with a seed, the params of a text are filled instead of read.
pub fn load(path: &Path, init: Option<u64>) -> Result<Module, Failure> {
    let form = Form::of(path)?;
    std::fs::metadata(path)
        .and_then(|m| match m.is_file() {
            true => std::fs::File::open(path).map(drop),
            false => Err(std::io::Error::other("it is not a file")),
        })
        .map_err(|e| Failure::io(path, e))?;
    let module = match form {
        Form::Onnx => onnx::read(path)?,
        Form::Tir => {
            let source = source(path)?;
            match init {
                Some(seed) => syntax::parse(&source, &Seeded::new(seed))?,
                None => syntax::parse(&source, &Beside::of(path)?)?,
            }
        }
    };
    let tensors: Vec<_> = module.tensors().collect();
    if let Some((v, _)) = tensors.par_iter().find_first(|(_, t)| t.has_nan()) {
        let value = module.value(*v);
        let place = module.place(value.span, &format!("value `{}`", value.name));
        let wrong = format!("`{}` holds values that are not a number", value.name);
        return Err(Diagnostic::new(wrong).at(place).into());
    }
    Ok(module)
}

/// The weights that lie beside a text, if they do.
struct Beside {
    expected: String,
    tensors: Option<IndexMap<String, Tensor>>,
}

impl Beside {
    fn of(path: &Path) -> Result<Beside, Failure> {
        let expected = path.with_extension("safetensors");
        let index = path.with_file_name("model.safetensors.index.json");
        let sharded = path.with_extension("safetensors.index.json");
        let there = [&expected, &sharded, &index]
            .into_iter()
            .find(|p| p.is_file());
        let tensors = there.map(|p| weights::read(p)).transpose()?;
        let expected = expected.display().to_string();
        Ok(Beside { expected, tensors })
    }
}

impl Weights for Beside {
    fn get(&self, name: &str, dtype: DType, shape: &[usize]) -> Result<Tensor, Diagnostic> {
        match &self.tensors {
            Some(tensors) => Weights::get(tensors, name, dtype, shape),
            None => Err(Diagnostic::new(format!(
                "the weights file `{}` is missing",
                self.expected
            ))
            .help("`--init SEED` fills the params with random values instead")),
        }
    }
}

/// Files that are written aside, in a directory beside their place, and put there together.
pub struct Output {
    aside: TempDir,
    files: Vec<(PathBuf, PathBuf)>,
    /// What would be read before what is written here.
    stale: Vec<PathBuf>,
}

impl Output {
    /// Output next to `path`.
    pub fn beside(path: &Path) -> Result<Output, Failure> {
        let directory = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        let aside = tempfile::Builder::new()
            .prefix(".tpc-")
            .tempdir_in(directory);
        let aside = aside.map_err(|e| Failure::io(directory, e))?;
        Ok(Output {
            aside,
            files: vec![],
            stale: vec![],
        })
    }
    /// Writes a model; gives the path under which it can be read until [`Output::publish`].
    pub fn model(&mut self, module: &Module, facts: &Facts, to: &Path) -> Result<PathBuf, Failure> {
        let aside = self.place(to);
        match Form::of(to)? {
            Form::Onnx => {
                onnx::write(module, facts, &aside)?;
                // Weights that are too many for one file lie in a second one.
                let data = |path: &Path| {
                    let mut name = path.as_os_str().to_owned();
                    name.push(".data");
                    PathBuf::from(name)
                };
                if data(&aside).exists() {
                    self.files.push((data(&aside), data(to)));
                }
            }
            Form::Tir => {
                let beside = to.with_extension("safetensors");
                if syntax::stored(module).next().is_some() {
                    let written = weights::write(syntax::stored(module), &self.place(&beside))?;
                    if !written.contains(&self.place(&beside)) {
                        self.stale.push(beside.clone());
                    }
                    let place = |path: &PathBuf| {
                        beside.with_file_name(path.file_name().unwrap_or_default())
                    };
                    self.files
                        .extend(written.iter().map(|path| (path.clone(), place(path))));
                }
                self.write(&aside, syntax::print(module).as_bytes())?;
            }
        }
        self.files.push((aside.clone(), to.to_path_buf()));
        Ok(aside)
    }
    /// Writes a text.
    pub fn text(&mut self, text: &str, to: &Path) -> Result<(), Failure> {
        let aside = self.place(to);
        self.write(&aside, text.as_bytes())?;
        self.files.push((aside, to.to_path_buf()));
        Ok(())
    }
    /// Lets something else write a file, at the path it is given.
    pub fn with(
        &mut self,
        to: &Path,
        write: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let aside = self.place(to);
        write(&aside)?;
        self.files.push((aside, to.to_path_buf()));
        Ok(())
    }
    fn place(&self, to: &Path) -> PathBuf {
        self.aside.path().join(to.file_name().unwrap_or_default())
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        std::fs::write(path, bytes).map_err(|e| Failure::io(path, e))
    }
    /// Puts everything in its place.
    pub fn publish(self) -> Result<(), Failure> {
        for (from, to) in &self.files {
            std::fs::rename(from, to).map_err(|e| Failure::io(to, e))?;
        }
        for path in self.stale.iter().filter(|path| path.is_file()) {
            std::fs::remove_file(path).map_err(|e| Failure::io(path, e))?;
        }
        Ok(())
    }
}
