//! Ownership of spans, against a table of bytes.

use crate::{BufferError, Buffers, Span};
use proptest::prelude::*;

#[test]
fn bad_spans_are_refused_by_name() {
    let mut buffers = Buffers::<2>::new(4096, 64);
    let span = |offset, bytes| Span { offset, bytes };
    assert_eq!(buffers.take(span(0, 0)), Err(BufferError::Empty));
    assert_eq!(buffers.take(span(32, 8)), Err(BufferError::Misaligned));
    assert_eq!(buffers.take(span(4096, 1)), Err(BufferError::OutOfBounds));
    assert_eq!(buffers.take(span(!63, u32::MAX)), Err(BufferError::OutOfBounds));
    assert_eq!(buffers.take(span(64, 100)), Ok(()));
    assert_eq!(buffers.take(span(64, 100)), Err(BufferError::InUse), "submitted twice");
    assert_eq!(buffers.take(span(128, 10)), Err(BufferError::InUse), "aliased");
    assert_eq!(buffers.take_all(&[span(0, 64), span(192, 8)]), Err(BufferError::TooMany));
    assert_eq!(buffers.in_use(), 1, "all or none");
    assert_eq!(buffers.take_all(&[span(0, 65)]), Err(BufferError::InUse));
    assert_eq!(buffers.take_all(&[span(0, 64)]), Ok(()));
    assert_eq!(buffers.give_back(span(64, 99)), Err(BufferError::NotInUse));
    assert_eq!(buffers.give_back(span(64, 100)), Ok(()));
    assert_eq!(buffers.give_back(span(64, 100)), Err(BufferError::NotInUse));
    buffers.clear();
    assert_eq!(buffers.in_use(), 0);
}

proptest! {
    #[test]
    fn no_byte_has_two_owners(steps in prop::collection::vec((any::<bool>(), 0u32..70, 0u32..40), 1..100)) {
        let mut buffers = Buffers::<4>::new(64, 1);
        let mut owned: Vec<Span> = Vec::new();
        for (take, offset, bytes) in steps {
            let span = Span { offset, bytes };
            if take {
                let free = |byte: u32| byte < 64 && !owned.iter().any(|span| span.range().contains(&(byte as usize)));
                let fits = bytes > 0 && (offset..offset + bytes).all(free) && owned.len() < 4;
                prop_assert_eq!(buffers.take(span).is_ok(), fits);
                if fits {
                    owned.push(span);
                }
            } else {
                let span = owned.get(offset as usize % 4).copied().unwrap_or(span);
                prop_assert_eq!(buffers.give_back(span).is_ok(), owned.contains(&span));
                owned.retain(|used| *used != span);
            }
            prop_assert_eq!(buffers.in_use(), owned.len());
        }
    }
}
