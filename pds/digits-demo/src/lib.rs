//! The main job of the first image: classifies held-out scans of handwritten digits.
#![cfg_attr(not(test), no_std)]
