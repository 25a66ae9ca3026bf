//! What the program is called with.
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Makes neural networks narrower: a trained model and a plan in, a smaller model that is proved right out.
#[derive(Parser, Debug)]
#[command(name = "tpc", version, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// A model to read.
#[derive(Args, Debug)]
pub struct Model {
    /// The model: `.onnx`, or `.tir` with its weights in safetensors beside it
    pub model: PathBuf,
    /// Fill the params of a text with random values of this seed, instead of reading weights
    #[arg(long, value_name = "SEED")]
    pub init: Option<u64>,
}

/// A command.
#[derive(Subcommand, Debug)]
#[allow(missing_docs)]
pub enum Command {
    /// Prune a model by a plan, and prove the result; without a plan, convert it
    Compile {
        #[command(flatten)]
        model: Model,
        /// The plan (TOML), or the lock of an earlier compile
        #[arg(long, value_name = "PLAN")]
        prune: Option<PathBuf>,
        /// Where to; the extension decides the form [default: STEM.pruned.EXT beside the model]
        #[arg(short, long, value_name = "OUT")]
        output: Option<PathBuf>,
        /// What to write besides the output, under the same stem
        #[arg(long, value_delimiter = ',', value_name = "FORM")]
        emit: Vec<Emit>,
        /// Do not verify the result
        #[arg(long)]
        no_verify: bool,
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a model as text, with the dimensions of every axis
    Show {
        #[command(flatten)]
        model: Model,
    },
    /// Lay out `.tir` files; nothing but the layout changes
    Fmt {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Change nothing, and fail if a file is laid out otherwise
        #[arg(long)]
        check: bool,
    },
    /// List what can be pruned, and what cannot and why
    Groups {
        #[command(flatten)]
        model: Model,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say why two axes are coupled, or why one is frozen (an axis is `name:axis`)
    Explain {
        #[command(flatten)]
        model: Model,
        /// An axis (`conv1.weight:0`), or the name of a dim
        a: String,
        /// Another
        b: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Count params and multiply-accumulates
    Stats {
        #[command(flatten)]
        model: Model,
        /// How to count
        #[arg(long, value_enum, default_value = "tpc")]
        convention: Convention,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Choose what a plan removes and print it; only a lock is written
    Plan {
        #[command(flatten)]
        model: Model,
        /// The plan (TOML)
        #[arg(long, value_name = "PLAN")]
        prune: PathBuf,
        /// Where the lock goes [default: STEM.pruned.lock beside the model]
        #[arg(short, long, value_name = "LOCK")]
        output: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check that one model is another with positions removed
    Verify {
        #[command(flatten)]
        model: Model,
        /// The pruned model
        pruned: PathBuf,
        /// What was removed [default: found by comparing the weights]
        #[arg(long, value_name = "LOCK")]
        lock: Option<PathBuf>,
        /// The largest difference that passes, relative to the largest magnitude of a value
        #[arg(long, default_value_t = 1e-5)]
        tolerance: f64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a model on the CPU
    Run {
        #[command(flatten)]
        model: Model,
        /// Inputs: `name=file.npy`, or a `.npz` with an array per input [default: random]
        #[arg(short, long, value_name = "INPUT")]
        input: Vec<String>,
        /// Where the outputs go: `.npz`, or `.npy` for a single one
        #[arg(short, long, value_name = "OUT")]
        output: Option<PathBuf>,
        /// Decides random inputs
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Compare two models: dims, params, operations
    Diff {
        /// One
        a: PathBuf,
        /// The other
        b: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What `compile` can write.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Emit {
    /// The text and its weights.
    Tir,
    /// ONNX.
    Onnx,
    /// What was done, in a form that can be replayed.
    Lock,
    /// The report, as JSON.
    Report,
}

/// How to count params and multiply-accumulates.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub enum Convention {
    /// Every element of every param and float constant; contractions only.
    Tpc,
    /// As Torch-Pruning's counter does.
    TorchPruning,
}
