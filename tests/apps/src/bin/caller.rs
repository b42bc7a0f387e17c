//! Uses every call that needs no model, and says PASSED if all was as it should be.
#![no_std]
#![no_main]

use sdk::{App, Error, Event, info};

sdk::main!(main);

fn check(right: bool, what: &'static str) -> Result<(), &'static str> {
    if right { Ok(()) } else { Err(what) }
}

fn main(app: &mut App) -> Result<i64, &'static str> {
    timers(app)?;
    keys(app)?;
    files(app)?;
    let mut random = [0; 100];
    app.random(&mut random).map_err(|_| "random")?;
    check(random.iter().any(|byte| *byte != 0), "random bytes are zeros")?;
    check(app.model_info(0) == Err(Error::NotPermitted), "a model without permission")?;
    check(app.listen(true) == Err(Error::NotPermitted), "keywords without permission")?;
    info!(app, "PASSED, started {} times; now it waits to be stopped", app.starts());
    loop {
        if app.wait() == Event::Stop {
            return Ok(7);
        }
    }
}

fn timers(app: &mut App) -> Result<(), &'static str> {
    const MS: u64 = 1_000_000;
    let start = app.now_ns();
    app.set_timer(0, 20 * MS).map_err(|_| "set")?;
    app.set_periodic(1, 8 * MS).map_err(|_| "set")?;
    app.set_timer(2, 1_000 * MS).map_err(|_| "set")?;
    let mut periods = 0;
    loop {
        match app.wait() {
            Event::Timer { id: 0, times: 1 } => break,
            Event::Timer { id: 1, times } => periods += times,
            _ => return Err("another event than a timer's"),
        }
    }
    let waited = app.now_ns() - start;
    check((20 * MS..60 * MS).contains(&waited), "a timer at the wrong time")?;
    check((2..8).contains(&periods), "a periodic timer at the wrong times")?;
    check(app.cancel_timer(1) == Ok(true) && app.cancel_timer(2) == Ok(true), "cancel")?;
    check(app.cancel_timer(1) == Ok(false), "cancelled twice")?;
    check(app.set_timer(8, MS) == Err(Error::BadArgument), "a timer that does not exist")?;
    check(app.set_periodic(0, 10) == Err(Error::BadArgument), "a period that is too short")
}

fn keys(app: &mut App) -> Result<(), &'static str> {
    let mut value = [0; 600];
    check(app.kv_read("none", &mut value) == Err(Error::NotFound), "a key that is not there")?;
    app.kv_write("one", b"first").map_err(|_| "write")?;
    app.kv_write("one", b"second value").map_err(|_| "write again")?;
    check(app.kv_read("one", &mut value) == Ok(12) && value.starts_with(b"second value"), "read")?;
    check(app.kv_list(0, &mut value) == Ok((4, 0)) && value.starts_with(b"one\n"), "list")?;
    check(app.kv_delete("one") == Ok(()) && app.kv_delete("one") == Err(Error::NotFound), "delete")?;
    check(app.kv_write("", b"x") == Err(Error::BadArgument), "an empty key")?;
    check(app.kv_write("a/b", b"x") == Err(Error::BadArgument), "a path as a key")
}

fn files(app: &mut App) -> Result<(), &'static str> {
    app.file_write("notes.txt", 0, b"hello ").map_err(|_| "file write")?;
    app.file_write("notes.txt", 6, b"world").map_err(|_| "file write behind")?;
    let mut bytes = [0; 64];
    check(app.file_read("notes.txt", 3, &mut bytes) == Ok(8) && bytes.starts_with(b"lo world"), "file read")?;
    check(app.file_size("notes.txt") == Ok(11), "file size")?;
    check(app.file_write("../notes", 0, b"x") == Err(Error::BadArgument), "a way out of the folder")?;
    check(app.file_remove("notes.txt") == Ok(()), "file remove")
}
