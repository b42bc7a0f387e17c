//! The operators: each file decodes one (or a few alike) from the model, checking everything, and runs it.

pub mod activation;
pub mod add;
pub mod broadcast;
pub mod conv;
pub mod curve;
pub mod depthwise;
pub mod fully_connected;
pub mod gemm;
pub mod grouped_conv;
pub mod hard_swish;
pub mod hart;
pub mod join;
pub mod lstm;
pub mod matmul;
pub mod mul;
pub mod pool;
pub mod quantize;
pub mod reduce;
pub mod repeat;
pub mod reshape;
pub mod resize;
#[cfg(any(test, feature = "self-test"))]
pub mod self_test;
pub mod slice;
pub mod softmax;
pub mod transpose_conv;
pub mod triple;
pub mod variable;
pub mod walk;
