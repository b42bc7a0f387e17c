//! From a line to commands and their words.
//!
//! `;` ends a command, blanks separate words, `#` at the start of a word begins a comment. Between single quotes
//! everything is itself; between double quotes, and outside, a backslash makes the next character itself.

use core::fmt;
use heapless::{String, Vec};
use protocols::console::MAX_LINE;

/// The most words of a command.
pub const MAX_WORDS: usize = 32;

/// Why a line is not a list of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// A quote that is not closed.
    OpenQuote(char),
    /// A backslash at the end.
    OpenBackslash,
    /// More than [`MAX_WORDS`] words.
    TooManyWords,
    /// More than [`MAX_LINE`] bytes.
    TooLong,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyntaxError::OpenQuote(quote) => write!(f, "the quote {quote} is not closed"),
            SyntaxError::OpenBackslash => f.write_str("nothing follows the last backslash"),
            SyntaxError::TooManyWords => write!(f, "a command has at most {MAX_WORDS} words"),
            SyntaxError::TooLong => write!(f, "a line has at most {MAX_LINE} bytes"),
        }
    }
}

/// The words of one command.
#[derive(Clone, Debug, Default)]
pub struct Words {
    text: String<MAX_LINE>,
    /// Where each word ends in `text`; the next begins there.
    ends: Vec<u16, MAX_WORDS>,
}

impl Words {
    /// No words.
    pub const fn new() -> Self {
        Self { text: String::new(), ends: Vec::new() }
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A word.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = usize::from(*self.ends.get(index)?);
        let start = index.checked_sub(1).map_or(0, |before| usize::from(self.ends[before]));
        self.text.get(start..end)
    }

    /// All words.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// Takes the first command of `line`, which may have no words, and gives the rest of the line behind it.
///
/// # Errors
/// See [`SyntaxError`].
pub fn first_command(line: &str) -> Result<(Words, &str), SyntaxError> {
    let mut words = Words::new();
    let mut in_word = false;
    let mut quote = None;
    let mut characters = line.char_indices();
    while let Some((index, character)) = characters.next() {
        let literal = match (quote, character) {
            (Some(open), close) if open == close => {
                quote = None;
                continue;
            }
            (Some('\''), character) => character,
            (_, '\\') => characters.next().ok_or(SyntaxError::OpenBackslash)?.1,
            (Some(_), character) => character,
            (None, '\'' | '"') => {
                quote = Some(character);
                in_word = true;
                continue;
            }
            (None, ';') => return end_command(words, in_word, &line[index + 1..]),
            (None, '#') if !in_word => return Ok((words, "")),
            (None, character) if character.is_whitespace() => {
                if core::mem::take(&mut in_word) {
                    words.end_word()?;
                }
                continue;
            }
            (None, character) => character,
        };
        in_word = true;
        words.text.push(literal).map_err(|_| SyntaxError::TooLong)?;
    }
    match quote {
        Some(quote) => Err(SyntaxError::OpenQuote(quote)),
        None => end_command(words, in_word, ""),
    }
}

fn end_command(mut words: Words, in_word: bool, rest: &str) -> Result<(Words, &str), SyntaxError> {
    if in_word {
        words.end_word()?;
    }
    Ok((words, rest))
}

impl Words {
    fn end_word(&mut self) -> Result<(), SyntaxError> {
        self.ends.push(self.text.len() as u16).map_err(|_| SyntaxError::TooManyWords)
    }
}

/// Looks through all commands of a line, so that none of it runs if one is wrong.
///
/// # Errors
/// See [`SyntaxError`].
pub fn check(line: &str) -> Result<(), SyntaxError> {
    let mut rest = line;
    while !rest.is_empty() {
        rest = first_command(rest)?.1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commands(line: &str) -> Result<std::vec::Vec<std::vec::Vec<std::string::String>>, SyntaxError> {
        let (mut rest, mut all) = (line, std::vec::Vec::new());
        while !rest.is_empty() {
            let (words, after) = first_command(rest)?;
            all.push(words.iter().map(str::to_string).collect());
            rest = after;
        }
        Ok(all)
    }

    #[test]
    fn words_and_commands() {
        assert_eq!(commands("ps").unwrap(), [["ps"]]);
        assert_eq!(commands("  infer   digits\t3 ").unwrap(), [["infer", "digits", "3"]]);
        assert_eq!(commands("ps;mem ; uptime").unwrap(), [["ps"], ["mem"], ["uptime"]]);
        assert_eq!(
            commands(r#"echo 'a b;#\' "c \"d\"" e\ f """#).unwrap(),
            [["echo", r"a b;#\", "c \"d\"", "e f", ""]]
        );
        assert_eq!(commands("echo a#b # c ; d").unwrap(), [["echo", "a#b"]]);
        assert_eq!(commands("a'b'\"c\"d").unwrap(), [["abcd"]]);
        assert_eq!(commands(";;").unwrap(), [[""; 0], []]);
    }

    #[test]
    fn errors_name_themselves() {
        assert_eq!(check("ps; echo 'x"), Err(SyntaxError::OpenQuote('\'')));
        assert_eq!(check("echo \"x\\"), Err(SyntaxError::OpenBackslash));
        assert_eq!(check(&"x ".repeat(33)), Err(SyntaxError::TooManyWords));
        assert_eq!(check(&"x ".repeat(32)), Ok(()));
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in prop::collection::vec("\\PC{0,20}", 1..20)) {
            let line: std::vec::Vec<std::string::String> =
                words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
            prop_assume!(line.join(" ").len() <= MAX_LINE);
            prop_assert_eq!(commands(&line.join(" ")).unwrap(), [words]);
        }

        #[test]
        fn any_line_is_harmless(line in "\\PC{0,300}") {
            let _ = commands(&line);
        }
    }
}
