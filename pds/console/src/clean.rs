//! What a client may put on the terminal: text, and nothing that a terminal obeys.
//!
//! A log line that carries escape sequences could move the cursor, retitle the window or hide other lines. So control
//! characters (C0, DEL, C1), characters that are invisible or turn the direction of writing, and bytes that are not UTF-8
//! appear as `\xNN`. A tab stays: it only moves to the right.

/// The most bytes that one byte of a line becomes.
pub const GROWTH: usize = 4;

/// Gives `line` to `emit`, piece by piece, with everything but text escaped.
pub fn clean(line: &[u8], mut emit: impl FnMut(&[u8])) {
    for chunk in line.utf8_chunks() {
        let text = chunk.valid();
        let mut start = 0;
        for (index, character) in text.char_indices() {
            if is_obeyed(character) {
                emit(&text.as_bytes()[start..index]);
                start = index + character.len_utf8();
                text.as_bytes()[index..start].iter().for_each(|byte| emit(&escape(*byte)));
            }
        }
        emit(&text.as_bytes()[start..]);
        chunk.invalid().iter().for_each(|byte| emit(&escape(*byte)));
    }
}

/// Whether a terminal does something else with the character than show it.
fn is_obeyed(character: char) -> bool {
    let formats = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    formats || (character.is_control() && character != '\t')
}

fn escape(byte: u8) -> [u8; GROWTH] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    [b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleaned(line: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        clean(line, |piece| out.extend_from_slice(piece));
        out
    }

    #[test]
    fn text_stays_and_controls_show() {
        assert_eq!(cleaned("ok\tgrün ✓".as_bytes()), "ok\tgrün ✓".as_bytes());
        assert_eq!(cleaned(b"\x1b[2J\r\n\x7f\0"), br"\x1b[2J\x0d\x0a\x7f\x00");
        // U+009B is a control sequence introducer in one character, and 0x9b alone is not UTF-8.
        assert_eq!(cleaned("a\u{9b}b".as_bytes()), br"a\xc2\x9bb");
        assert_eq!(cleaned("a\u{202e}b".as_bytes()), br"a\xe2\x80\xaeb");
        assert_eq!(cleaned(b"a\x9b\xffb"), br"a\x9b\xffb");
        assert_eq!(cleaned(&[0xe2, 0x9c]), br"\xe2\x9c");
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_gets_out(line: Vec<u8>) {
            let out = String::from_utf8(cleaned(&line)).unwrap();
            prop_assert!(out.chars().all(|character| character == '\t' || !character.is_control()));
            prop_assert!(out.len() <= GROWTH * line.len());
        }
    }
}
