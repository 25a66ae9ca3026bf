//! Writes a large program as text: `cargo run --example large -- decoder|fused|residual|concatenations|dense [COUNT]`.
#[path = "../tests/common/large.rs"]
mod large;

use large::{Decoder, concatenations, dense, residual};
use std::io::Write;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let count = args.get(1).map_or(Ok(None), |n| n.parse().map(Some));
    let text = match (args.first().map(String::as_str), count) {
        (Some("decoder"), Ok(count)) => decoder(count, false),
        (Some("fused"), Ok(count)) => decoder(count, true),
        (Some("residual"), Ok(count)) => residual(count.unwrap_or(100_000)),
        (Some("concatenations"), Ok(count)) => concatenations(count.unwrap_or(100_000)),
        (Some("dense"), Ok(count)) => dense(count.unwrap_or(100_000), 16),
        _ => {
            eprintln!(
                "usage: large decoder|fused [LAYERS] or large residual|concatenations|dense [OPERATIONS]"
            );
            std::process::exit(2);
        }
    };
    if let Err(e) = std::io::stdout().write_all(text.as_bytes()) {
        eprintln!("{e}");
        std::process::exit(2);
    }
}

fn decoder(layers: Option<usize>, fused: bool) -> String {
    let large = Decoder::LARGE;
    let layers = layers.unwrap_or(large.layers);
    Decoder {
        layers,
        fused,
        ..large
    }
    .text()
}
