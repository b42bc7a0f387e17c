//! Hostile commands do not fit.

use proptest::prelude::*;

use crate::layout::{Command, command_fits};

const SHARED: usize = 1 << 16;

fn place() -> impl Strategy<Value = (u32, u32)> {
    let number = || prop_oneof![0..1u32 << 17, (0..1u32 << 12).prop_map(|n| n * 16), any::<u32>()];
    (number(), number())
}

proptest! {
    #[test]
    fn what_fits_is_inside_and_apart(model in place(), arena in place(), input in place(), output in place()) {
        let command = Command {
            model_at: model.0, model_bytes: model.1, arena_at: arena.0, arena_bytes: arena.1,
            input_at: input.0, input_bytes: input.1, output_at: output.0, output_bytes: output.1,
            ..Command::default()
        };
        if command_fits(&command, SHARED) {
            let span = |(at, bytes): (u32, u32)| at as usize..at as usize + bytes as usize;
            let mut owner = vec![0u8; SHARED];
            for (part, bit) in [(arena, 1), (output, 2)] {
                owner[span(part)].iter_mut().for_each(|byte| *byte |= bit);
            }
            prop_assert!(owner.iter().all(|byte| *byte != 3));
            prop_assert!(owner[span(model)].iter().chain(&owner[span(input)]).all(|byte| *byte == 0));
            prop_assert!(model.0 % 16 == 0 && arena.0 % 16 == 0);
        }
    }
}
