//! `kinglet describe`: what is in a `.tflite` file, how its plan uses memory, what runs where, and whether it fits.
//!
//! The file goes through the parser of the device, so what is refused here is refused there, with the same words. Which
//! operators the accelerator's vector kernels take, its firmware's own rules say.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ml_runtime::{ARENA_ALIGN, Io, Model};
use npu_firmware::reach;
use zerocopy::IntoBytes;

use crate::board::Board;
use crate::xml;

mod operators;
mod picture;
#[cfg(test)]
mod tests;

use operators::{Operators, tensor};
use picture::Plan;

/// Arguments of `kinglet describe`.
#[derive(clap::Args)]
pub struct Args {
    /// The model: a .tflite file
    model: PathBuf,
    /// Bytes of the working memory it is to fit in; otherwise the size of region 'arena' in the system description
    #[arg(long, value_parser = bytes)]
    arena: Option<u64>,
    /// The system description that has the region 'arena'
    #[arg(long, default_value = "system.xml")]
    system: PathBuf,
    /// The board it is to run on
    #[arg(long, default_value = "qemu_virt_riscv64")]
    board: String,
    /// Folder of the boards
    #[arg(long, default_value = "boards")]
    boards: PathBuf,
    /// Also draw the plan of the arena into this file
    #[arg(long)]
    svg: Option<PathBuf>,
}

/// Reads a number of bytes as system descriptions have them.
fn bytes(text: &str) -> Result<u64, String> {
    xml::parse_number(text).ok_or_else(|| format!("'{text}' is not a number of bytes (0x… and _ are allowed)"))
}

/// Runs the command: fails if the model cannot run, or does not fit.
pub fn command(args: &Args) -> Result<ExitCode, String> {
    let file = std::fs::read(&args.model).map_err(|why| format!("{}: {why}", args.model.display()))?;
    let board = Board::find(&args.boards, &args.board).map_err(|error| error.to_string())?;
    let room = match args.arena {
        Some(bytes) => Some(bytes),
        None => arena_of(&args.system)?,
    };
    let name = args.model.display().to_string();
    let description = describe(&name, &file, &board, room).map_err(|why| format!("{name}: {why}"))?;
    print!("{}", description.text);
    if let Some(path) = &args.svg {
        std::fs::write(path, &description.svg).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    Ok(if description.fits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The size of the region `arena`, if there is a description.
fn arena_of(system: &Path) -> Result<Option<u64>, String> {
    let Ok(source) = std::fs::read_to_string(system) else { return Ok(None) };
    let context = |error| format!("{}:{error}", system.display());
    let document = xml::parse(&source).map_err(context)?;
    let mut regions = document.descendants().filter(|node| node.has_tag_name("memory_region"));
    match regions.find(|node| node.attribute("name") == Some("arena")) {
        Some(region) => xml::number(&document, region, "size").map_err(context),
        None => Ok(None),
    }
}

/// What there is to say of a model.
struct Description {
    text: String,
    svg: String,
    fits: bool,
}

/// Describes the model in `file`, which is to fit in `room` bytes of working memory if that is known.
fn describe(name: &str, file: &[u8], board: &Board, room: Option<u64>) -> Result<Description, String> {
    let mut tables = vec![0u64; Model::table_bytes(file).map_err(refused)?.div_ceil(8)];
    let model = Model::load(file, tables.as_mut_bytes(), Io::Caller).map_err(refused)?;
    let window = board.devices.contains_key("npu").then(|| board.number("npu", "shared_bytes")).transpose()?;
    let operators = Operators::of(&model, window.is_some() && model.persistent_bytes() <= reach::TABLE_BYTES);
    let plan = Plan::of(&model);

    let mut text = String::new();
    let count = model.operator_count();
    let _ = writeln!(text, "{name}: {} bytes, {count} operators, {} MACs", file.len(), model.macs());
    for (index, input) in model.inputs().enumerate() {
        let _ = writeln!(text, "input {index}: {}, {} bytes", tensor(&input), input.bytes());
    }
    for (index, output) in model.outputs().enumerate() {
        let _ = writeln!(text, "output {index}: {}, {} bytes", tensor(&output), output.bytes());
    }
    let _ = write!(text, "\n{operators}\n{plan}\n");
    let fits = verdict(&mut text, &model, file.len() as u64, room, window, board);
    Ok(Description { text, svg: plan.svg(name), fits })
}

fn refused(error: ml_runtime::LoadError) -> String {
    format!("refused: {error}")
}

/// Says what memory the model needs and whether there is so much.
fn verdict(
    text: &mut String,
    model: &Model<'_>,
    file_bytes: u64,
    room: Option<u64>,
    window: Option<u64>,
    board: &Board,
) -> bool {
    let tables = model.persistent_bytes().next_multiple_of(ARENA_ALIGN) as u64;
    let arena = model.arena_bytes() as u64;
    let edges = model.inputs().chain(model.outputs()).map(|tensor| tensor.bytes() as u64).sum::<u64>();
    let mut fits = true;
    let mut line = |what: &str, needed: u64, room: Option<u64>, fix: &str| {
        let _ = match room {
            Some(room) if needed <= room => writeln!(text, "fits: {what} is {needed} bytes of {room}"),
            Some(room) => {
                fits = false;
                writeln!(text, "does not fit: {what} is {needed} bytes, there are {room}; {fix}")
            }
            None => writeln!(text, "{what} is {needed} bytes; --arena BYTES says whether that fits"),
        };
    };
    let what = format!("working memory (arena {arena} + tables {tables})");
    line(&what, arena + tables, room, "raise size of region 'arena' in the system description");
    if let Some(window) = window {
        // Clients' buffers lie there, too, and so do other models.
        let what = format!(
            "what lies in the accelerator's window (arena, tables, file {file_bytes}, inputs and outputs {edges})"
        );
        line(&what, arena + tables + file_bytes + edges, Some(window), "the accelerator reaches nothing else");
        if model.persistent_bytes() > reach::TABLE_BYTES {
            let most = reach::TABLE_BYTES;
            let _ = writeln!(text, "the accelerator's firmware has {most} bytes for tables: it runs on the processor");
        }
    } else {
        let _ = writeln!(text, "board {} has no accelerator", board.name);
    }
    if model.inputs().len() != 1 || model.outputs().len() != 1 {
        fits = false;
        let _ = writeln!(text, "does not fit: the model runner takes models of one input and one output");
    }
    fits
}
