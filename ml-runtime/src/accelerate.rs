//! The seam for processors with kernels of their own, such as an accelerator with vectors.
//!
//! [`crate::Interpreter::run_with`] offers each heavy operator to a [`Kernels`] first. Who takes it computes the same
//! values bit for bit; who does not leaves the output alone, and the runtime's own kernel runs.

use crate::fixed_point::{Finish, Multiplier};
pub use crate::window::{Axis, Window};

/// Someone who may run heavy operators in the runtime's place.
pub trait Kernels {
    /// Offers a convolution; true if `output` is complete.
    fn conv(&mut self, layer: &ConvLayer<'_>, input: &[i8], output: &mut [i8]) -> bool;
    /// Offers a depthwise convolution of several channels; `weights` has the output channel as its last index.
    fn depthwise(&mut self, layer: &ConvLayer<'_>, input: &[i8], output: &mut [i8]) -> bool;
    /// Offers a fully connected layer.
    fn fully_connected(&mut self, layer: &DenseLayer<'_>, input: &[i8], output: &mut [i8]) -> bool;
}

/// Takes nothing.
impl Kernels for () {
    fn conv(&mut self, _: &ConvLayer<'_>, _: &[i8], _: &mut [i8]) -> bool {
        false
    }

    fn depthwise(&mut self, _: &ConvLayer<'_>, _: &[i8], _: &mut [i8]) -> bool {
        false
    }

    fn fully_connected(&mut self, _: &DenseLayer<'_>, _: &[i8], _: &mut [i8]) -> bool {
        false
    }
}

/// What follows the sum of one output channel: `(sum + bias) · fraction / 2^31 · 2^exponent`, each step rounded as the
/// reference rounds it, then the output's zero point and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    /// Added to the sum.
    pub bias: i32,
    /// In 2^30..2^31, or 0.
    pub fraction: i32,
    /// Left shift if positive.
    pub exponent: i32,
}

impl Factor {
    pub(crate) fn new(bias: i32, multiplier: Multiplier) -> Self {
        Factor { bias, fraction: multiplier.fraction, exponent: multiplier.exponent }
    }
}

/// The output's zero point and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Zero point of the output.
    pub zero_point: i32,
    /// Smallest value.
    pub min: i32,
    /// Largest value.
    pub max: i32,
}

impl From<Finish> for Bounds {
    fn from(finish: Finish) -> Self {
        Bounds { zero_point: finish.zero_point, min: finish.min, max: finish.max }
    }
}

/// A convolution, checked.
pub struct ConvLayer<'t> {
    /// Its geometry.
    pub window: Window,
    /// The weights, as they lie in the file.
    pub weights: &'t [i8],
    /// Distance between the weights of two output channels.
    pub channel_stride: usize,
    /// Distance between two weights of an output channel, in the order row, column, input channel.
    pub inner_stride: usize,
    /// The input's zero point, which is also the value of padding.
    pub zero_point: i32,
    /// The output's zero point and bounds.
    pub bounds: Bounds,
    pub(crate) factor: &'t dyn Fn(usize) -> Factor,
}

impl ConvLayer<'_> {
    /// What output channel `index` needs after its sum.
    pub fn factor(&self, index: usize) -> Factor {
        (self.factor)(index)
    }
}

/// A fully connected layer, checked.
pub struct DenseLayer<'t> {
    /// Rows of the input.
    pub batches: usize,
    /// Inputs of a row.
    pub inputs: usize,
    /// Outputs of a row.
    pub outputs: usize,
    /// The weights: `inputs` for each output.
    pub weights: &'t [i8],
    /// The input's zero point.
    pub zero_point: i32,
    /// The output's zero point and bounds.
    pub bounds: Bounds,
    /// The biases, little-endian.
    pub bias: Option<&'t [[u8; 4]]>,
    /// What all outputs need, but for their biases, if that is the same.
    pub uniform: Option<Factor>,
    pub(crate) factor: &'t dyn Fn(usize) -> Factor,
}

impl DenseLayer<'_> {
    /// What output `index` needs after its sum.
    pub fn factor(&self, index: usize) -> Factor {
        (self.factor)(index)
    }
}
