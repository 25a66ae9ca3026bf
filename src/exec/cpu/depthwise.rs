//! Depthwise convolution of planes: sums stay in registers over all of a window.
use super::super::step::Slide;
use super::wide::wide;
use rayon::prelude::*;

/// Neighbouring windows that are summed together.
const LANES: usize = 16;

/// Convolves each plane of `x` with its channel's window, and adds to what is in `out`.
pub fn depthwise(slide: &Slide, channels: usize, x: &[f32], w: &[f32], out: &mut [f32]) {
    let (volume, places, taps) = (slide.volume(), slide.places(), slide.taps());
    let flat = slide.kernel[0] == 1 && slide.input[0] == 1 && slide.output[0] == 1;
    let padded = Padded::new(slide);
    out.par_chunks_mut(places).enumerate().for_each_init(
        Vec::new,
        |room: &mut Vec<f32>, (plane, out)| {
            let x = &x[plane * volume..][..volume];
            let w = &w[plane % channels * taps..][..taps];
            wide(|| match flat {
                true => {
                    room.resize(padded.rows * slide.stride[2] * padded.pitch, 0.0);
                    padded.fill(slide, x, room);
                    padded.convolve(slide, w, room, out);
                }
                false => by_tap(slide, x, w, out),
            });
        },
    );
}

/// One element of the window after the other.
#[inline(always)]
fn by_tap(slide: &Slide, x: &[f32], w: &[f32], out: &mut [f32]) {
    slide.rows(|tap, row, from| {
        let reads = x[from..].iter().step_by(slide.stride[2]);
        let pairs = out[row].iter_mut().zip(reads);
        pairs.for_each(|(o, x)| *o += w[tap] * x);
    });
}

/// A plane with its padding. What neighbouring windows read lies together: columns are in as many phases as the stride
/// says, one behind the other.
struct Padded {
    rows: usize,
    /// Columns of a phase, with room for a last group of windows that is not full.
    pitch: usize,
}

impl Padded {
    fn new(slide: &Slide) -> Padded {
        let span = |axis: usize, windows: usize| {
            (windows - 1) * slide.stride[axis] + (slide.kernel[axis] - 1) * slide.dilation[axis] + 1
        };
        let windows = slide.output[2].next_multiple_of(LANES);
        Padded {
            rows: span(1, slide.output[1]),
            pitch: span(2, windows).div_ceil(slide.stride[2]),
        }
    }
    /// Puts the elements in their places; what lies between stays 0.
    #[inline(always)]
    fn fill(&self, slide: &Slide, x: &[f32], room: &mut [f32]) {
        let (stride, width) = (slide.stride[2], slide.input[2]);
        let line = stride * self.pitch;
        let first = usize::try_from(-slide.before[2]).unwrap_or(0);
        let to = usize::try_from(slide.before[2]).unwrap_or(0);
        for (row, room) in room.chunks_mut(line).enumerate() {
            let from = row as i64 - slide.before[1];
            let from = usize::try_from(from).ok();
            let Some(from) = from.filter(|i| *i < slide.input[1] && first < width) else {
                continue;
            };
            let x = &x[from * width + first..(from + 1) * width];
            match stride {
                1 => {
                    let n = x.len().min(line.saturating_sub(to));
                    room[to..to + n].copy_from_slice(&x[..n]);
                }
                _ => {
                    for (at, x) in (to..line).zip(x) {
                        room[at % stride * self.pitch + at / stride] = *x;
                    }
                }
            }
        }
    }
    #[inline(always)]
    fn convolve(&self, slide: &Slide, w: &[f32], room: &[f32], out: &mut [f32]) {
        let ([_, _, kw], stride) = (slide.kernel, slide.stride[2]);
        let line = stride * self.pitch;
        // Per element of the window, where the first window's reads begin.
        let reads = |tap: usize| {
            let along = tap % kw * slide.dilation[2];
            let row = tap / kw * slide.dilation[1] * line;
            row + along % stride * self.pitch + along / stride
        };
        let reads: Vec<usize> = (0..w.len()).map(reads).collect();
        for (j, out) in out.chunks_mut(slide.output[2]).enumerate() {
            let row = &room[j * slide.stride[1] * line..];
            for (group, out) in out.chunks_mut(LANES).enumerate() {
                let mut sums = [0f32; LANES];
                for (w, at) in w.iter().zip(&reads) {
                    let x = &row[at + group * LANES..][..LANES];
                    for (s, x) in sums.iter_mut().zip(x) {
                        *s += w * x;
                    }
                }
                out.iter_mut().zip(sums).for_each(|(o, s)| *o += s);
            }
        }
    }
}
