//! From opinions about windows to words that were heard.
//!
//! A word is seen by several windows while it passes through them. So the opinions of the last few are averaged; a word is heard
//! when its average is high enough, and not again before it has been low.

use crate::MAX_WORDS;

/// Opinions that are averaged: 240 ms.
const AVERAGED: usize = 3;
/// The sum of so many opinions, of 0 to 255 each, from which on a word counts as heard: 70 %.
const HEARD: u16 = 535;
/// The sum at which it may be heard again: 30 %.
const OVER: u16 = 230;
/// Opinions after a word was heard that can make no other one heard: parts of a word sound like others.
const REST: u8 = 3;

/// A word that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its number.
    pub word: usize,
    /// How sure the model is, averaged, in thousandths.
    pub confidence: u32,
}

/// The opinions so far.
#[derive(Clone, Debug)]
pub struct Detector {
    opinions: [[u8; MAX_WORDS]; AVERAGED],
    /// Opinions since the start or the last gap, at most [`AVERAGED`].
    count: usize,
    next: usize,
    /// Words that were heard and are not over yet.
    sounding: [bool; MAX_WORDS],
    rest: u8,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// At the start.
    pub const fn new() -> Self {
        Detector { opinions: [[0; MAX_WORDS]; AVERAGED], count: 0, next: 0, sounding: [false; MAX_WORDS], rest: 0 }
    }

    /// Forgets the opinions: the sound has a gap. A word that was heard just before it is still not heard again behind it.
    pub fn gap(&mut self) {
        self.count = 0;
    }

    /// Adds the model's opinion: for each word a probability, as the int8 softmax gives it (-128 is 0, 127 is 255/256), as a
    /// byte. `is_word` says which of them are words that can be heard.
    pub fn add(&mut self, output: &[u8], is_word: impl Fn(usize) -> bool) -> Option<Decision> {
        let opinion = &mut self.opinions[self.next];
        *opinion = [0; MAX_WORDS];
        for (opinion, value) in opinion.iter_mut().zip(output) {
            *opinion = value ^ 0x80;
        }
        self.next = (self.next + 1) % AVERAGED;
        self.count = (self.count + 1).min(AVERAGED);
        self.rest = self.rest.saturating_sub(1);
        let recent = (0..self.count).map(|back| (self.next + AVERAGED - 1 - back) % AVERAGED);
        let mut sums = [0u16; MAX_WORDS];
        for index in recent {
            for (sum, value) in sums.iter_mut().zip(&self.opinions[index]) {
                *sum += u16::from(*value);
            }
        }
        for (sounding, sum) in self.sounding.iter_mut().zip(&sums) {
            *sounding &= *sum > OVER;
        }
        let (word, sum) = sums.iter().copied().enumerate().max_by_key(|(word, sum)| (*sum, usize::MAX - word))?;
        if sum < HEARD || !is_word(word) || self.sounding[word] || self.rest > 0 {
            return None;
        }
        self.sounding[word] = true;
        self.rest = REST;
        Some(Decision { word, confidence: u32::from(sum) * 1000 / (256 * AVERAGED as u32) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An opinion that is so sure of one word.
    fn sure(word: usize, probability: u8) -> [u8; 12] {
        let mut output = [0x80; 12];
        output[word] = probability ^ 0x80;
        output
    }

    fn is_word(word: usize) -> bool {
        word < 10
    }

    #[test]
    fn a_word_is_heard_once() {
        let mut detector = Detector::new();
        let heard: Vec<_> = (0..20).filter_map(|_| detector.add(&sure(3, 250), is_word)).collect();
        assert_eq!(heard, [Decision { word: 3, confidence: 976 }]);
        for _ in 0..3 {
            assert_eq!(detector.add(&sure(11, 255), is_word), None, "silence is no word");
        }
        let heard: Vec<_> = (0..20).filter_map(|_| detector.add(&sure(3, 250), is_word)).collect();
        assert_eq!(heard.len(), 1, "said again");
    }

    #[test]
    fn one_opinion_is_not_enough() {
        let mut detector = Detector::new();
        for _ in 0..10 {
            assert_eq!(detector.add(&sure(1, 255), is_word), None);
            for _ in 0..3 {
                assert_eq!(detector.add(&sure(10, 255), is_word), None);
            }
        }
        assert_eq!(detector.add(&sure(1, 170), is_word), None);
        assert_eq!((0..20).filter_map(|_| detector.add(&sure(1, 170), is_word)).count(), 0, "unsure for long");
    }

    #[test]
    fn words_follow_each_other_but_not_at_once() {
        let mut detector = Detector::new();
        let mut said = |word: usize, opinions: usize| -> Vec<usize> {
            (0..opinions).filter_map(|_| detector.add(&sure(word, 255), is_word)).map(|heard| heard.word).collect()
        };
        assert_eq!((said(1, 3), said(2, 2), said(2, 1), said(1, 3)), (vec![1], vec![], vec![2], vec![1]));
    }

    #[test]
    fn opinions_of_before_a_gap_do_not_count() {
        let mut detector = Detector::new();
        detector.add(&sure(1, 255), is_word);
        detector.add(&sure(1, 255), is_word);
        detector.gap();
        assert_eq!(detector.add(&sure(1, 255), is_word), None);
        assert_eq!(detector.add(&sure(1, 255), is_word), None);
        assert!(detector.add(&sure(1, 255), is_word).is_some());
    }

    proptest! {
        /// Whatever the model says, words are words, sure enough, and not too many.
        #[test]
        fn anything(outputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..60)) {
            let mut detector = Detector::new();
            let mut since = usize::from(REST);
            for output in outputs {
                since += 1;
                if let Some(Decision { word, confidence }) = detector.add(&output, is_word) {
                    prop_assert!(is_word(word) && (600..1000).contains(&confidence) && since >= usize::from(REST));
                    since = 0;
                }
            }
        }
    }
}
