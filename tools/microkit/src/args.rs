//! The command line of Microkit 2.3's tool.
//!
//! It is read by hand, since it has two habits that argument libraries avoid: `--search-path` takes every word up to the
//! next one with a dash, and the word after any other option is its value even if it has one.

use crate::error::{Error, Result};
use crate::image::ImageType;
use crate::sdk::Sdk;
use std::ffi::OsString;
use std::path::PathBuf;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Say what can be asked for.
    Help,
    /// Compose a system.
    Compose(Box<Args>),
}

/// How to compose a system.
#[derive(Debug, PartialEq, Eq)]
pub struct Args {
    /// The description.
    pub system: PathBuf,
    /// Name of the board's folder.
    pub board: String,
    /// Name of the configuration's folder.
    pub config: String,
    /// The image file to write.
    pub output: PathBuf,
    /// The report to write.
    pub report: PathBuf,
    /// Where program images and prefill files are looked for, before the current folder.
    pub search_path: Vec<PathBuf>,
    /// The kind of image.
    pub image_type: ImageType,
    /// A kernel in place of the SDK's.
    pub override_kernel: Option<PathBuf>,
}

const USAGE: &str = "\
usage: microkit SYSTEM --board BOARD --config CONFIG [OPTION]...

  SYSTEM                          the system description; --search-path is greedy, so put it before that
  --board BOARD
  --config CONFIG
  -o, --output FILE               the image (loader.img)
  -r, --report FILE               what was composed (report.txt)
  --search-path [FOLDER]...       where program images and prefill files are; the current folder is searched last
  --image-type TYPE               binary, elf or uimage (uimage)
  --override-kernel FILE          another kernel, for debugging the kernel
  --capdl-json FILE, --viper-output FOLDER
                                  accepted for makefiles that pass them; nothing is written
  -h, --help
";

/// What `--help` prints.
pub fn help(sdk: Option<&Sdk>) -> String {
    let mut text = String::from(USAGE);
    text.push_str("\nThis composer builds systems on its own kernel, which is not seL4. Boards:\n");
    for board in sdk.iter().flat_map(|sdk| sdk.boards()) {
        let configs = sdk.map(|sdk| sdk.configs(&board).join(", ")).unwrap_or_default();
        text.push_str(&format!("  {board} ({configs})\n"));
    }
    text
}

/// Reads a command line, without the program's name.
pub fn parse(words: impl IntoIterator<Item = OsString>, sdk: &Sdk) -> Result<Command> {
    let mut words = words.into_iter().peekable();
    let (mut system, mut board, mut config, mut override_kernel) = (None, None, None, None);
    let (mut output, mut report) = (PathBuf::from("loader.img"), PathBuf::from("report.txt"));
    let mut search_path = Vec::new();
    let mut image_type = ImageType::UImage;
    while let Some(word) = words.next() {
        let option = word.to_str().unwrap_or_default();
        let mut value = || words.next().ok_or_else(|| Error::new(format!("{option}: a value is missing")));
        match option {
            "-h" | "--help" => return Ok(Command::Help),
            "-o" | "--output" => output = value()?.into(),
            "-r" | "--report" => report = value()?.into(),
            "--board" => board = Some(find_board(&text(value()?)?, sdk)?),
            "--config" => config = Some(text(value()?)?),
            "--override-kernel" => override_kernel = Some(PathBuf::from(value()?)),
            "--image-type" => image_type = find_image_type(&text(value()?)?)?,
            // Makefiles of Microkit's own examples ask for these, and nothing else that they do depends on them. There is no
            // capDL specification, since the kernel gets its objects ready-made.
            "--capdl-json" | "--viper-output" => {
                value()?;
                eprintln!("warning: {option}: nothing is written, this composer has neither capDL nor Viper output");
            }
            "--search-path" => {
                while let Some(folder) = words.next_if(|word| !word.as_encoded_bytes().starts_with(b"-")) {
                    search_path.push(folder.into());
                }
            }
            _ if system.is_none() => system = Some(PathBuf::from(word)),
            _ => return Err(Error::new(format!("'{}' is one argument too many", word.display()))),
        }
    }
    let mut missing = Vec::new();
    missing.extend(board.is_none().then_some("--board"));
    missing.extend(config.is_none().then_some("--config"));
    missing.extend(system.is_none().then_some("SYSTEM"));
    let (Some(system), Some(board), Some(config)) = (system, board, config) else {
        return Err(Error::new(format!("these are missing: {}\n{USAGE}", missing.join(", "))));
    };
    let configs = sdk.configs(&board);
    if !configs.contains(&config) {
        return Err(Error::new(format!(
            "--config: there is no '{config}' for {board}; there are {}",
            configs.join(", ")
        )));
    }
    let args = Args { system, board, config, output, report, search_path, image_type, override_kernel };
    Ok(Command::Compose(Box::new(args)))
}

fn text(word: OsString) -> Result<String> {
    word.into_string().map_err(|word| Error::new(format!("'{}' is not UTF-8", word.display())))
}

fn find_board(name: &str, sdk: &Sdk) -> Result<String> {
    let boards = || sdk.boards().join(", ");
    sdk.board_named(name).ok_or_else(|| Error::new(format!("--board: there is no '{name}'; there are {}", boards())))
}

fn find_image_type(name: &str) -> Result<ImageType> {
    match name {
        "binary" => Ok(ImageType::Binary),
        "elf" => Ok(ImageType::Elf),
        "uimage" => Ok(ImageType::UImage),
        _ => Err(Error::new(format!("--image-type: there is no '{name}'; there are binary, elf, uimage"))),
    }
}
