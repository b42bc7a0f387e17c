//! The operators: each file decodes one (or a few alike) from the model, checking everything, and runs it.

pub mod activation;
pub mod add;
pub mod conv;
pub mod depthwise;
pub mod fully_connected;
pub mod gemm;
pub mod hart;
pub mod mul;
pub mod pool;
pub mod quantize;
#[cfg(any(test, feature = "self-test"))]
pub mod self_test;
pub mod softmax;
