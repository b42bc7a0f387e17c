//! Completion of the word before the cursor.

use crate::commands::{Argument, COMMANDS, find};
use crate::jobs;
use crate::npu;
use crate::reports::Facts;
use crate::storage;
use crate::words::first_command;
use core::fmt;
use protocols::console::Level;
use protocols::model_pack::ModelPack;
use protocols::system_table::text;

/// What the word before the cursor may become.
#[derive(Clone, Copy)]
pub struct Completion<'a> {
    /// The word as far as it was typed.
    pub typed: &'a str,
    argument: Argument,
}

impl<'a> Completion<'a> {
    /// Looks at the line up to the cursor. None if there is nothing to complete: within quotes, or after a word that is
    /// no command.
    pub fn new(before_cursor: &'a str) -> Option<Self> {
        let mut rest = before_cursor;
        let words = loop {
            let (words, after) = first_command(rest).ok()?;
            if after.is_empty() && !rest.trim_end().ends_with(';') {
                break words;
            }
            rest = after;
        };
        let typed = rest.rsplit([' ', '\t']).next().unwrap_or("");
        if typed.contains(['\'', '"', '\\', '#']) {
            return None;
        }
        let complete_words = if typed.is_empty() { words.len() } else { words.len().checked_sub(1)? };
        let argument = match complete_words.checked_sub(1) {
            None => Argument::Command,
            Some(position) => *find(words.get(0)?)?.arguments.get(position)?,
        };
        Some(Self { typed, argument })
    }

    /// Gives each word that it may become to `each`.
    pub fn candidates<'f>(&self, facts: &Facts<'f>, each: &mut dyn FnMut(&str)) {
        let mut offer = |word: &str| {
            if word.starts_with(self.typed) {
                each(word);
            }
        };
        match self.argument {
            Argument::Command => COMMANDS.iter().for_each(|spec| offer(spec.name)),
            Argument::Pd => facts.table.pds.iter().for_each(|pd| offer(text(&pd.name))),
            Argument::PdOrAll => {
                offer("all");
                facts.table.pds.iter().for_each(|pd| offer(text(&pd.name)));
            }
            Argument::Level => Level::NAMES.iter().for_each(|(_, name)| offer(name)),
            Argument::Script => facts.scripts.names().for_each(offer),
            Argument::Jobs => jobs::WORDS.into_iter().for_each(offer),
            Argument::Every => offer("every"),
            Argument::Rot => offer("test"),
            Argument::Npu => npu::words().for_each(offer),
            Argument::Switch => ["on", "off"].into_iter().for_each(offer),
            Argument::Model => facts.models.iter().flat_map(ModelPack::models).for_each(|model| offer(model.name())),
            Argument::Kv => storage::KV_WORDS.into_iter().for_each(offer),
            Argument::Free => {}
        }
    }

    /// How many candidates there are, and how many bytes they have in common.
    pub fn common(&self, facts: &Facts<'_>) -> (usize, heapless::String<64>) {
        let mut count = 0;
        let mut common: heapless::String<64> = heapless::String::new();
        self.candidates(facts, &mut |word| {
            if count == 0 {
                // A name that is longer is completed in part.
                word.chars().take_while(|character| common.push(*character).is_ok()).for_each(drop);
            } else {
                let same = common.chars().zip(word.chars()).take_while(|(one, two)| one == two);
                let bytes = same.map(|(one, _)| one.len_utf8()).sum();
                common.truncate(bytes);
            }
            count += 1;
        });
        (count, common)
    }
}

/// All candidates in a row.
pub struct List<'a>(pub &'a Completion<'a>, pub &'a Facts<'a>);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.0.candidates(self.1, &mut |word| {
            if result.is_ok() {
                result = write!(f, "{word}  ");
            }
        });
        result
    }
}
