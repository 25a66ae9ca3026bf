//! From convolutions and pools to steps: windows that slide.
use super::lower::Forms;
use super::step::{Conv, Fold, Reduce, Slide, Step};
use crate::ops::window::Window;
use crate::ops::{self, Pool};

impl Forms<'_> {
    pub(super) fn conv(&self, shape: &[usize]) -> Option<Conv> {
        let (x, w) = (self.shape(0)?, self.shape(1)?);
        if self.is_there(2) {
            self.shape(2)?;
        }
        let kernel = w[2..].iter().map(|n| *n as i64).collect();
        let window = Window::new(self.attrs, kernel).ok()?;
        let inner = w[1];
        let groups = x[1].checked_div(inner)?;
        let outer = shape[1].checked_div(groups)?;
        let fits = groups * inner == x[1] && groups * outer == shape[1] && w[0] == shape[1];
        let slide = slide(&window, &x[2..], &shape[2..])?;
        fits.then_some(Conv {
            batch: x[0],
            groups,
            inner,
            outer,
            slide,
        })
    }

    pub(super) fn spread(&self, shape: &[usize]) -> Option<Conv> {
        let (x, w) = (self.shape(0)?, self.shape(1)?);
        if self.is_there(2) {
            self.shape(2)?;
        }
        let (window, before) = ops::spread(self.attrs, &w[2..], &x[2..], &shape[2..]).ok()?;
        let groups = usize::try_from(self.attrs.int_or("groups", 1)).ok()?;
        let inner = x[1].checked_div(groups)?;
        let fits = groups * inner == x[1] && groups * w[1] == shape[1] && w[0] == x[1];
        // The window slides over the result.
        let mut slide = slide(&window, &shape[2..], &x[2..])?;
        let lead = 3 - before.len();
        slide.before[lead..].copy_from_slice(&before);
        (fits && !x.contains(&0)).then_some(Conv {
            batch: x[0],
            groups,
            inner,
            outer: w[1],
            slide,
        })
    }

    pub(super) fn pool(&self, kind: Pool, shape: &[usize]) -> Option<Step> {
        let x = self.shape(0)?;
        let fold = match kind {
            Pool::GlobalMax => Some(Fold::Max),
            Pool::GlobalAverage => Some(Fold::Mean),
            Pool::GlobalLp | Pool::Lp => return None,
            Pool::Max | Pool::Average => None,
        };
        let line = x[2..].iter().product();
        if let Some(fold) = fold {
            return (line > 0).then_some(Step::Reduce(Reduce {
                fold,
                line,
                inner: 1,
            }));
        }
        let window = Window::new(self.attrs, self.attrs.ints("kernel")?).ok()?;
        let (spatial, output) = (&x[2..], &shape[2..]);
        let mut slide = slide(&window, spatial, output)?;
        if kind == Pool::Average {
            slide.counts = Some(match self.attrs.flag("count_include_pad") {
                true => covered(&window, spatial, output),
                false => {
                    let mut counts = vec![0f32; slide.places()];
                    slide.rows(|_, out, _| counts[out].iter_mut().for_each(|n| *n += 1.0));
                    counts
                }
            });
        }
        Some(Step::Pool(kind, slide))
    }
}

/// The window of up to three axes.
fn slide(window: &Window, input: &[usize], output: &[usize]) -> Option<Slide> {
    let rank = window.kernel.len();
    let lead = 3usize.checked_sub(rank)?;
    if input.len() != rank || output.len() != rank || input.contains(&0) {
        return None;
    }
    let axis = |i: usize| i.checked_sub(lead);
    let of = |all: &[i64], i| axis(i).map_or(Some(1), |a| usize::try_from(all[a]).ok());
    let three = |all: &[i64]| Some([of(all, 0)?, of(all, 1)?, of(all, 2)?]);
    Some(Slide {
        input: std::array::from_fn(|i| axis(i).map_or(1, |a| input[a])),
        output: std::array::from_fn(|i| axis(i).map_or(1, |a| output[a])),
        kernel: three(&window.kernel)?,
        stride: three(&window.stride)?,
        dilation: three(&window.dilation)?,
        before: std::array::from_fn(|i| {
            axis(i).map_or(0, |a| window.pad_before(a, input[a], output[a]))
        }),
        counts: None,
    })
}

/// By place, how many elements of the window lie on the input or its padding.
fn covered(window: &Window, input: &[usize], output: &[usize]) -> Vec<f32> {
    let before: Vec<i64> = (0..input.len())
        .map(|a| window.pad_before(a, input[a], output[a]))
        .collect();
    let places = output.iter().product();
    (0..places)
        .map(|place| {
            let o = ops::index::unravel(place, output);
            window.covered(&o, &before, input) as f32
        })
        .collect()
}
