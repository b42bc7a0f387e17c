//! What the benchmarks of models have in common: names and quotients.

use core::fmt;

/// What the public models are called in the figures.
const SHORT_NAMES: [(&str, &str); 5] = [
    ("micro_speech_int8", "micro_speech"),
    ("mlperf_ad01_int8", "ad"),
    ("mlperf_kws_dscnn_int8", "kws"),
    ("mlperf_vww_96_int8", "vww"),
    ("mlperf_ic_resnet8_int8", "ic"),
];
/// Instructions, or the like, for each multiply-accumulate, to three places.
pub struct PerMac(pub u64, pub u64);

impl fmt::Display for PerMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths = (1000 * self.0 + self.1 / 2) / self.1;
        write!(f, "{}.{:03}", thousandths / 1000, thousandths % 1000)
    }
}

/// What a model is called in the figures.
pub fn short_name(name: &'static str) -> &'static str {
    SHORT_NAMES.iter().find(|(long, _)| *long == name).map_or(name, |(_, short)| short)
}
