//! Pointwise operators of one operand.
use super::table::family;
use super::*;
use crate::tensor::Tensor;

family! {
    /// A pointwise operator of one operand; it keeps every axis.
    Unary {
        Relu "relu" LeakyRelu "leaky_relu" Elu "elu" Selu "selu" Celu "celu" ThresholdedRelu "thresholded_relu"
        Sigmoid "sigmoid" HardSigmoid "hard_sigmoid" HardSwish "hard_swish" Swish "swish" Mish "mish" Gelu "gelu"
        Softplus "softplus" Softsign "softsign" Tanh "tanh" Erf "erf" Exp "exp" Log "log" Sqrt "sqrt"
        Reciprocal "reciprocal" Neg "neg" Abs "abs" Sign "sign" Floor "floor" Ceil "ceil" Round "round"
        Sin "sin" Cos "cos" Tan "tan" Asin "asin" Acos "acos" Atan "atan" Sinh "sinh" Cosh "cosh" Asinh "asinh"
        Acosh "acosh" Atanh "atanh" Not "not" BitNot "bit_not" Shrink "shrink" IsNan "is_nan" IsInf "is_inf" Identity "identity"
    }
}

const ALPHA: &[AttrSpec] = &[("alpha", Kind::Float)];
const ALPHA_BETA: &[AttrSpec] = &[("alpha", Kind::Float), ("beta", Kind::Float)];
const ALPHA_GAMMA: &[AttrSpec] = &[("alpha", Kind::Float), ("gamma", Kind::Float)];

impl Unary {
    /// The function on one float; attributes default as ONNX has them.
    pub fn function(self, attrs: &Attrs) -> Box<dyn Fn(f32) -> f32 + Sync> {
        let alpha = |default| attrs.float_or("alpha", default);
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        match self {
            Unary::Relu => Box::new(|x| if x < 0.0 { 0.0 } else { x }),
            Unary::LeakyRelu => {
                let a = alpha(0.01);
                Box::new(move |x| if x < 0.0 { a * x } else { x })
            }
            Unary::Elu => {
                let a = alpha(1.0);
                Box::new(move |x| if x < 0.0 { a * x.exp_m1() } else { x })
            }
            Unary::Selu => {
                let (a, g) = (alpha(1.673_263_2), attrs.float_or("gamma", 1.050_701));
                Box::new(move |x| if x <= 0.0 { g * a * x.exp_m1() } else { g * x })
            }
            Unary::Celu => {
                let a = alpha(1.0);
                Box::new(move |x| x.max(0.0) + (a * (x / a).exp_m1()).min(0.0))
            }
            Unary::ThresholdedRelu => {
                let a = alpha(1.0);
                Box::new(move |x| if x > a { x } else { 0.0 })
            }
            Unary::Sigmoid => Box::new(sigmoid),
            Unary::HardSigmoid => {
                let (a, b) = (alpha(0.2), attrs.float_or("beta", 0.5));
                Box::new(move |x| (a * x + b).clamp(0.0, 1.0))
            }
            Unary::HardSwish => Box::new(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            Unary::Swish => {
                let a = alpha(1.0);
                Box::new(move |x| x * sigmoid(a * x))
            }
            Unary::Mish => Box::new(|x| x * softplus(x).tanh()),
            Unary::Gelu if attrs.str_or("approximate", "none") == "tanh" => Box::new(|x| {
                0.5 * x
                    * (1.0
                        + ((2.0 / std::f32::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
            }),
            Unary::Gelu => Box::new(|x| 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))),
            Unary::Softplus => Box::new(softplus),
            Unary::Softsign => Box::new(|x| x / (1.0 + x.abs())),
            Unary::Tanh => Box::new(f32::tanh),
            Unary::Erf => Box::new(erf),
            Unary::Exp => Box::new(f32::exp),
            Unary::Log => Box::new(f32::ln),
            Unary::Sqrt => Box::new(f32::sqrt),
            Unary::Reciprocal => Box::new(f32::recip),
            Unary::Neg => Box::new(|x| -x),
            Unary::Abs => Box::new(f32::abs),
            Unary::Sign => Box::new(|x| {
                if x > 0.0 {
                    1.0
                } else if x < 0.0 {
                    -1.0
                } else {
                    x
                }
            }),
            Unary::Floor => Box::new(f32::floor),
            Unary::Ceil => Box::new(f32::ceil),
            Unary::Round => Box::new(f32::round_ties_even),
            Unary::Sin => Box::new(f32::sin),
            Unary::Cos => Box::new(f32::cos),
            Unary::Tan => Box::new(f32::tan),
            Unary::Asin => Box::new(f32::asin),
            Unary::Acos => Box::new(f32::acos),
            Unary::Atan => Box::new(f32::atan),
            Unary::Sinh => Box::new(f32::sinh),
            Unary::Cosh => Box::new(f32::cosh),
            Unary::Asinh => Box::new(f32::asinh),
            Unary::Acosh => Box::new(f32::acosh),
            Unary::Atanh => Box::new(f32::atanh),
            Unary::Not => Box::new(|x| (x == 0.0) as u8 as f32),
            // Of integers alone, which are not floats.
            Unary::BitNot => Box::new(|_| f32::NAN),
            Unary::Shrink => {
                let (lambda, bias) = (attrs.float_or("lambda", 0.5), attrs.float_or("bias", 0.0));
                Box::new(move |x| {
                    if x < -lambda {
                        x + bias
                    } else if x > lambda {
                        x - bias
                    } else {
                        0.0
                    }
                })
            }
            Unary::IsNan => Box::new(|x| x.is_nan() as u8 as f32),
            Unary::IsInf => {
                let (up, down) = (
                    attrs.int_or("detect_positive", 1) != 0,
                    attrs.int_or("detect_negative", 1) != 0,
                );
                Box::new(move |x| {
                    ((x == f32::INFINITY && up) || (x == f32::NEG_INFINITY && down)) as u8 as f32
                })
            }
            Unary::Identity => Box::new(|x| x),
        }
    }
    fn is_test(self) -> bool {
        matches!(self, Unary::IsNan | Unary::IsInf)
    }
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The error function, through `exp(-x²)` and a continued series in f64; accurate to f32.
///
/// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.6 (series) and 7.1.14 (continued fraction).
pub fn erf(x: f32) -> f32 {
    let z = (x as f64).abs();
    let value = if z < 2.5 {
        let (mut term, mut sum, mut n) = (z, z, 0.0);
        while term > 1e-17 * sum && n < 200.0 {
            term *= 2.0 * z * z / (2.0 * n + 3.0);
            sum += term;
            n += 1.0;
        }
        2.0 / std::f64::consts::PI.sqrt() * (-z * z).exp() * sum
    } else if z < 6.0 {
        let fraction = (1..60).rev().fold(z, |f, k| z + k as f64 / 2.0 / f);
        1.0 - (-z * z).exp() / (std::f64::consts::PI.sqrt() * fraction)
    } else if z.is_nan() {
        z
    } else {
        1.0
    };
    value.copysign(x as f64) as f32
}

impl Operator for Unary {
    fn attrs(&self) -> &'static [AttrSpec] {
        match self {
            Unary::LeakyRelu | Unary::Elu | Unary::Celu | Unary::ThresholdedRelu | Unary::Swish => {
                ALPHA
            }
            Unary::Selu => ALPHA_GAMMA,
            Unary::HardSigmoid => ALPHA_BETA,
            Unary::Gelu => &[("approximate", Kind::Str)],
            Unary::Shrink => &[("lambda", Kind::Float), ("bias", Kind::Float)],
            Unary::IsInf => &[
                ("detect_positive", Kind::Int),
                ("detect_negative", Kind::Int),
            ],
            _ => &[],
        }
    }
    fn operands(&self) -> RangeInclusive<usize> {
        1..=1
    }
    fn removal(&self) -> Removal {
        Removal::Exact
    }
    fn rule(&self, cx: &mut Rule<'_>) -> Result<(), RuleError> {
        let x = cx.operand(0)?;
        cx.result(
            if self.is_test() {
                crate::tensor::DType::Bool
            } else {
                x.dtype
            },
            x.axes.to_vec(),
        );
        Ok(())
    }
    fn macs(&self, _: &View<'_>) -> Extent {
        Extent::from(0i64)
    }
    fn eval(&self, cx: &Eval<'_>) -> Result<Vec<Tensor>, EvalError> {
        let x = cx.operand(0)?;
        if *self == Unary::Identity {
            return Ok(vec![x.clone()]);
        }
        let (dtype, _) = cx.result(0)?;
        if x.dtype.is_integer() && dtype == x.dtype {
            let wide: Vec<i64> = x
                .to_i64()?
                .iter()
                .map(|n| match self {
                    Unary::Neg => Ok(n.wrapping_neg()),
                    Unary::Abs => Ok(n.wrapping_abs()),
                    Unary::Sign => Ok(n.signum()),
                    Unary::Relu => Ok((*n).max(0)),
                    Unary::BitNot => Ok(!n),
                    Unary::Shrink => Ok(Unary::Shrink.function(cx.attrs)(*n as f32) as i64),
                    _ => Err(EvalError::Wrong(format!("`{}` of integers", self.name()))),
                })
                .collect::<Result<_, _>>()?;
            return Ok(vec![Tensor::from_i64(&x.shape, wide)?.cast(dtype)?]);
        }
        let f = self.function(cx.attrs);
        let values = x.to_f32()?.iter().map(|x| f(*x)).collect();
        Ok(vec![Tensor::from_f32(&x.shape, values)?.cast(dtype)?])
    }
    fn masked(&self, mask: &mut dyn Mask) -> Vec<Handle> {
        mask.apart()
    }
    fn usage(&self, view: &View<'_>, k: usize) -> Use {
        if *self == Unary::Identity {
            Use::Seen
        } else {
            all_axes(view, k, Role::Other)
        }
    }
    fn ragged(&self, _: &Pairs<'_>) -> bool {
        true
    }
}
