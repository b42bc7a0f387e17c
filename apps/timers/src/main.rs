//! Several timers at once, waited for together.
#![no_std]
#![no_main]

use sdk::{App, Error, Event, info, warning};

sdk::main!(main);

const MS: u64 = 1_000_000;
const END: usize = 0;
const FAST: usize = 1;
const SLOW: usize = 2;
const NEVER: usize = 3;

fn main(app: &mut App) -> Result<(), Error> {
    let start_ns = app.now_ns();
    app.set_timer(END, 1_000 * MS)?;
    app.set_periodic(FAST, 100 * MS)?;
    app.set_periodic(SLOW, 300 * MS)?;
    app.set_timer(NEVER, 500 * MS)?;
    let cancelled = app.cancel_timer(NEVER)?;
    info!(app, "timer {NEVER} is cancelled: {cancelled}");
    let mut fast = 0;
    loop {
        let event = app.wait();
        let at_ms = (app.now_ns() - start_ns) / MS;
        match event {
            Event::Timer { id: FAST, times } => fast += times,
            Event::Timer { id: SLOW, .. } => {
                info!(app, "{at_ms} ms: the slow one; the fast one has expired {fast} times")
            }
            Event::Timer { id: END, .. } => break,
            Event::Timer { id, .. } => warning!(app, "{at_ms} ms: timer {id}, which was cancelled"),
            Event::Stop => break,
            _ => {}
        }
    }
    info!(app, "ends after {} ms", (app.now_ns() - start_ns) / MS);
    Ok(())
}
