//! `kinglet disk`: disk images as the system has them, a partition of files and one of keys.
//!
//! The files' partition begins 1 MiB into the image, so that `mcopy -i disk.img@@1M` and `mount -o offset=1048576` find it.

use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};

const MIB: u64 = 1 << 20;
const SECTOR: u64 = 512;
/// Where the files begin.
const FILES_START: u64 = MIB;
/// Types of partitions (`pds/storage/src/partition.rs` knows them too).
const TYPE_FAT16: u8 = 0x0e;
const TYPE_FAT32: u8 = 0x0c;
const TYPE_KEYS: u8 = 0xda;
/// Above this size, a file system is FAT32.
const MOST_FAT16: u64 = 512 * MIB;

/// Arguments of `kinglet disk`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make an image with all files of a folder
    Make {
        /// The folder
        folder: PathBuf,
        /// The image to write
        #[arg(short, long)]
        output: PathBuf,
        /// Size of the image in MiB
        #[arg(long, default_value_t = 32)]
        mib: u64,
        /// Of these, MiB for keys
        #[arg(long, default_value_t = 4)]
        keys_mib: u64,
    },
    /// List a folder of an image
    Ls {
        /// The image
        image: PathBuf,
        /// A folder in it
        #[arg(default_value = "/")]
        path: String,
    },
    /// Copy a file out of an image
    Get {
        /// The image
        image: PathBuf,
        /// The file in it
        path: String,
        /// The file to write
        output: PathBuf,
    },
    /// Copy a file into an image
    Put {
        /// The image
        image: PathBuf,
        /// The file to read
        input: PathBuf,
        /// The file in the image, in a folder that exists
        path: String,
    },
}

/// Runs the command; the error is the message for the user.
pub fn command(args: &Args) -> Result<(), String> {
    match &args.action {
        Action::Make { folder, output, mib, keys_mib } => {
            let image = make(folder, *mib, *keys_mib)?;
            // Whole or not at all.
            let partial = output.with_extension("partial");
            fs::write(&partial, image).map_err(|why| at(&partial, why))?;
            fs::rename(&partial, output).map_err(|why| at(output, why))
        }
        Action::Ls { image, path } => list(&open(image, false)?, path).map_err(|why| in_image(image, path, why)),
        Action::Get { image, path, output } => {
            let content = read(&open(image, false)?, path).map_err(|why| in_image(image, path, why))?;
            fs::write(output, content).map_err(|why| at(output, why))
        }
        Action::Put { image, input, path } => {
            let content = fs::read(input).map_err(|why| at(input, why))?;
            write(&open(image, true)?, path, &content).map_err(|why| in_image(image, path, why))
        }
    }
}

fn at(path: &Path, why: io::Error) -> String {
    format!("{}: {why}", path.display())
}

fn in_image(image: &Path, path: &str, why: io::Error) -> String {
    format!("{}: {path}: {why}", image.display())
}

/// A new image in memory.
fn make(folder: &Path, mib: u64, keys_mib: u64) -> Result<Vec<u8>, String> {
    let files_mib = mib.checked_sub(keys_mib + 1).filter(|files| *files >= 3 && keys_mib >= 1);
    let Some(files_mib) = files_mib.filter(|_| mib <= 4096) else {
        return Err(format!(
            "{mib} MiB with {keys_mib} MiB for keys leave too little for files (3), or are more than 4096"
        ));
    };
    let keys_start = FILES_START + files_mib * MIB;
    let fat32 = files_mib * MIB > MOST_FAT16;
    let mut files = Cursor::new(vec![0; (files_mib * MIB) as usize]);
    let kind = if fat32 { fatfs::FatType::Fat32 } else { fatfs::FatType::Fat16 };
    // The smallest clusters with which the number of them fits the kind of FAT.
    let cluster = if fat32 { 4096 } else { (files_mib * MIB / 0xff00).next_power_of_two().clamp(512, 16384) as u32 };
    let mut options = FormatVolumeOptions::new().volume_label(*b"KINGLET    ").bytes_per_cluster(cluster);
    // Below this there are too few clusters for anything but FAT12, which the size decides.
    if fat32 || files_mib >= 4 {
        options = options.fat_type(kind);
    }
    fatfs::format_volume(&mut files, options).map_err(|why| format!("making the file system: {why}"))?;
    {
        let fs = FileSystem::new(&mut files, FsOptions::new()).map_err(|why| why.to_string())?;
        copy_folder(folder, &fs.root_dir())?;
        fs.unmount().map_err(|why| why.to_string())?;
    }
    let mut image = vec![0; FILES_START as usize];
    let entries = [
        (if fat32 { TYPE_FAT32 } else { TYPE_FAT16 }, FILES_START, files_mib * MIB),
        (TYPE_KEYS, keys_start, keys_mib * MIB),
    ];
    for (entry, (kind, start, bytes)) in image[446..510].chunks_exact_mut(16).zip(entries) {
        // Cylinders and heads say nothing any more; these values tell so.
        entry[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]);
        entry[4] = kind;
        entry[5..8].copy_from_slice(&[0xfe, 0xff, 0xff]);
        entry[8..12].copy_from_slice(&((start / SECTOR) as u32).to_le_bytes());
        entry[12..16].copy_from_slice(&((bytes / SECTOR) as u32).to_le_bytes());
    }
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image.extend_from_slice(files.get_ref());
    image.resize((mib * MIB) as usize, 0);
    Ok(image)
}

/// Copies a folder of the host with all that is in it.
fn copy_folder<T: Read + Write + Seek>(from: &Path, to: &fatfs::Dir<'_, T>) -> Result<(), String> {
    let mut entries: Vec<_> =
        fs::read_dir(from).map_err(|why| at(from, why))?.collect::<Result<_, _>>().map_err(|why| at(from, why))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| format!("{}: the name is not UTF-8", path.display()))?;
        if path.is_dir() {
            copy_folder(&path, &to.create_dir(name).map_err(|why| at(&path, why))?)?;
        } else {
            let content = fs::read(&path).map_err(|why| at(&path, why))?;
            let mut file = to.create_file(name).map_err(|why| at(&path, why))?;
            file.write_all(&content).map_err(|why| at(&path, why))?;
        }
    }
    Ok(())
}

/// The part of an image that holds the files.
struct Files {
    image: fs::File,
    start: u64,
    bytes: u64,
    place: u64,
}

impl Read for Files {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.bytes.saturating_sub(self.place) as usize);
        self.image.seek(SeekFrom::Start(self.start + self.place))?;
        let count = self.image.read(&mut buffer[..length])?;
        self.place += count as u64;
        Ok(count)
    }
}

impl Write for Files {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.bytes.saturating_sub(self.place) as usize);
        self.image.seek(SeekFrom::Start(self.start + self.place))?;
        let count = self.image.write(&buffer[..length])?;
        self.place += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.image.flush()
    }
}

impl Seek for Files {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.place.checked_add_signed(by),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
        };
        self.place = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.place)
    }
}

fn open(path: &Path, write: bool) -> Result<FileSystem<Files>, String> {
    let mut image = fs::OpenOptions::new().read(true).write(write).open(path).map_err(|why| at(path, why))?;
    let mut first = [0; 512];
    image.read_exact(&mut first).map_err(|why| at(path, why))?;
    let number = |at: usize| u64::from(u32::from_le_bytes([first[at], first[at + 1], first[at + 2], first[at + 3]]));
    let entry = (446..510).step_by(16).find(|at| [TYPE_FAT16, TYPE_FAT32].contains(&first[at + 4]));
    let Some(entry) = entry.filter(|_| first[510..] == [0x55, 0xaa]) else {
        return Err(format!("{}: not an image that `kinglet disk make` made: no partition of files", path.display()));
    };
    let files = Files { image, start: number(entry + 8) * SECTOR, bytes: number(entry + 12) * SECTOR, place: 0 };
    FileSystem::new(files, FsOptions::new()).map_err(|why| at(path, why))
}

fn list(fs: &FileSystem<Files>, path: &str) -> io::Result<()> {
    let root = fs.root_dir();
    let folder = if path.trim_matches('/').is_empty() { root } else { root.open_dir(path.trim_matches('/'))? };
    for entry in folder.iter() {
        let entry = entry?;
        match entry.file_name().as_str() {
            "." | ".." => {}
            name if entry.is_dir() => println!("{:>10}  {name}/", ""),
            name => println!("{:>10}  {name}", entry.len()),
        }
    }
    Ok(())
}

fn read(fs: &FileSystem<Files>, path: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs.root_dir().open_file(path.trim_matches('/'))?.read_to_end(&mut content)?;
    Ok(content)
}

fn write(fs: &FileSystem<Files>, path: &str, content: &[u8]) -> io::Result<()> {
    let mut file = fs.root_dir().create_file(path.trim_matches('/'))?;
    file.truncate()?;
    file.write_all(content)?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_what_the_folder_has_and_takes_more() {
        let folder = std::env::temp_dir().join(format!("kinglet-disk-{}", std::process::id()));
        fs::create_dir_all(folder.join("Some folder")).unwrap();
        fs::write(folder.join("Some folder/a long name.text"), [7; 5000]).unwrap();
        for (mib, keys_mib) in [(5, 1), (8, 4), (32, 4), (64, 1)] {
            let image = folder.with_extension("img");
            fs::write(&image, make(&folder, mib, keys_mib).unwrap()).unwrap();
            assert_eq!(fs::metadata(&image).unwrap().len(), mib * MIB);
            {
                let fs = open(&image, true).unwrap();
                assert_eq!(read(&fs, "/some folder/a long name.text").unwrap(), [7; 5000]);
                write(&fs, "new.bin", &[1; 600]).unwrap();
            }
            assert_eq!(read(&open(&image, false).unwrap(), "NEW.BIN").unwrap(), [1; 600]);
            fs::remove_file(image).unwrap();
        }
        assert!(make(&folder, 4, 1).is_err() && make(&folder, 32, 0).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
