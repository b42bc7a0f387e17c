//! Vector kernels: none so far, so that the runtime's own kernels run.

/// The vector kernels.
pub struct Vectors {
    /// Operators taken so far.
    pub taken: u32,
}

impl Vectors {
    /// None taken yet.
    pub fn new() -> Self {
        Vectors { taken: 0 }
    }
}

impl ml_runtime::accelerate::Kernels for Vectors {
    fn conv(&mut self, _: &ml_runtime::accelerate::ConvLayer<'_>, _: &[i8], _: &mut [i8]) -> bool {
        false
    }

    fn depthwise(&mut self, _: &ml_runtime::accelerate::ConvLayer<'_>, _: &[i8], _: &mut [i8]) -> bool {
        false
    }

    fn fully_connected(&mut self, _: &ml_runtime::accelerate::DenseLayer<'_>, _: &[i8], _: &mut [i8]) -> bool {
        false
    }
}
