//! Pools over windows, plane by plane.
use super::super::step::Slide;
use super::steps::split;
use crate::ops::Pool;

/// The maximum or the mean of every window.
pub fn pool(kind: Pool, slide: &Slide, x: &[f32], out: &mut [f32]) {
    let (volume, places) = (slide.volume(), slide.places());
    split(out, places, |first, out| {
        let planes = x[first * volume..].chunks(volume);
        for (x, out) in planes.zip(out.chunks_mut(places)) {
            match kind {
                Pool::Max => {
                    out.fill(f32::NEG_INFINITY);
                    each(
                        slide,
                        x,
                        out,
                        |o, x| if x > o || x.is_nan() { x } else { o },
                    );
                }
                _ => {
                    out.fill(0.0);
                    each(slide, x, out, |o, x| o + x);
                    let counts = slide.counts.as_deref().unwrap_or_default();
                    out.iter_mut()
                        .zip(counts)
                        .for_each(|(o, n)| *o /= n.max(1.0));
                }
            }
        }
    });
}

/// Takes every element of every window into its output.
#[inline(always)]
fn each(slide: &Slide, x: &[f32], out: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    let stride = slide.stride[2];
    slide.rows(|_, row, from| {
        let out = &mut out[row];
        match stride {
            1 => {
                let x = &x[from..from + out.len()];
                out.iter_mut().zip(x).for_each(|(o, x)| *o = f(*o, *x));
            }
            _ => {
                let reads = x[from..].iter().step_by(stride);
                out.iter_mut().zip(reads).for_each(|(o, x)| *o = f(*o, *x));
            }
        }
    });
}
