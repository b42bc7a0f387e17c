//! `kinglet pack`: the models of the repository with their samples as one file, which the image maps read-only.
//!
//! Each folder below `ml-runtime/models` that has a `model.tflite` becomes a model of that name. A `samples.bin` beside it
//! holds labels, inputs and exact outputs: 8 bytes "KLSAMPLE", then little-endian u32: version 1, count, bytes of an input,
//! bytes of an output; then all labels, all inputs, all outputs. Instead there may be `inputs.bin` and `outputs.bin`, which
//! are tensors back to back, without labels. The layout of the result is `protocols::model_pack`.

use std::path::{Path, PathBuf};

use ml_runtime::{Io, Model};
use protocols::model::NAME_BYTES;
use protocols::model_pack::{ALIGN, Header, MAGIC, MAX_MODELS, ModelEntry, NO_LABEL};
use zerocopy::IntoBytes;

/// Options of `kinglet pack`.
#[derive(clap::Args)]
pub struct Args {
    /// Folders with one folder for each model
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// File to write
    #[arg(short, long)]
    output: PathBuf,
}

/// Runs the command.
pub fn command(args: &Args) -> Result<(), String> {
    let mut models = Vec::new();
    for folder in &args.folders {
        models.extend(read_folder(folder)?);
    }
    let bytes = build(&models)?;
    std::fs::write(&args.output, &bytes).map_err(|error| format!("{}: {error}", args.output.display()))
}

/// A model to pack.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Name, at most 32 bytes.
    pub name: String,
    /// The `.tflite` file.
    pub file: Vec<u8>,
    /// One class a sample; none at all if the classes are not known.
    pub labels: Vec<u8>,
    /// All inputs back to back.
    pub inputs: Vec<u8>,
    /// All outputs back to back.
    pub outputs: Vec<u8>,
}

/// Reads all models below `folder`, by name.
pub fn read_folder(folder: &Path) -> Result<Vec<Source>, String> {
    let fail = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut models = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| fail(folder, error))? {
        let path = entry.map_err(|error| fail(folder, error))?.path();
        let file = path.join("model.tflite");
        if !file.is_file() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut source =
            Source { name, file: std::fs::read(&file).map_err(|error| fail(&file, error))?, ..Source::default() };
        let samples = path.join("samples.bin");
        if samples.is_file() {
            let bytes = std::fs::read(&samples).map_err(|error| fail(&samples, error))?;
            read_samples(&mut source, &bytes).map_err(|reason| format!("{}: {reason}", samples.display()))?;
        } else if path.join("inputs.bin").is_file() {
            for (name, target) in [("inputs.bin", &mut source.inputs), ("outputs.bin", &mut source.outputs)] {
                *target = std::fs::read(path.join(name)).map_err(|error| fail(&path.join(name), error))?;
            }
        }
        models.push(source);
    }
    models.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(models)
}

fn read_samples(source: &mut Source, bytes: &[u8]) -> Result<(), String> {
    let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let head = (number(8), number(12), number(16), number(20));
    let (b"KLSAMPLE", (Some(1), Some(count), Some(input), Some(output))) = (bytes.get(..8).unwrap_or_default(), head)
    else {
        return Err("not a file of samples, version 1".into());
    };
    let sizes = [24, count, count.saturating_mul(input), count.saturating_mul(output)];
    if sizes.iter().fold(0usize, |sum, size| sum.saturating_add(*size)) != bytes.len() {
        return Err("another length than its header says".into());
    }
    let (labels, rest) = bytes[24..].split_at(count);
    let (inputs, outputs) = rest.split_at(count * input);
    (source.labels, source.inputs, source.outputs) = (labels.into(), inputs.into(), outputs.into());
    Ok(())
}

/// The pack of `models`. Each is loaded as the device will load it, so that a model that cannot run is found here.
pub fn build(models: &[Source]) -> Result<Vec<u8>, String> {
    if models.len() > MAX_MODELS {
        return Err(format!("{} models, but a pack holds at most {MAX_MODELS}", models.len()));
    }
    let mut contents = vec![0; size_of::<Header>() + models.len() * size_of::<ModelEntry>()];
    let mut entries = Vec::new();
    for model in models {
        let [input_bytes, output_bytes] =
            tensor_bytes(model).map_err(|reason| format!("model {}: {reason}", model.name))?;
        let mut name = [0; NAME_BYTES];
        let Some(target) = name.get_mut(..model.name.len()) else {
            return Err(format!("model {}: its name is longer than {NAME_BYTES} bytes", model.name));
        };
        target.copy_from_slice(model.name.as_bytes());
        let samples = match model.labels.len() {
            0 => model.inputs.len() / input_bytes,
            labelled => labelled,
        };
        let mut labels = model.labels.clone();
        labels.resize(samples, NO_LABEL);
        if model.inputs.len() != samples * input_bytes || model.outputs.len() != samples * output_bytes {
            return Err(format!("model {}: its samples have other sizes than its tensors", model.name));
        }
        entries.push(ModelEntry {
            name,
            file_at: append(&mut contents, &model.file)?,
            file_bytes: model.file.len() as u32,
            samples: samples as u32,
            input_bytes: input_bytes as u32,
            output_bytes: output_bytes as u32,
            labels_at: append(&mut contents, &labels)?,
            inputs_at: append(&mut contents, &model.inputs)?,
            outputs_at: append(&mut contents, &model.outputs)?,
        });
    }
    contents.resize(contents.len().next_multiple_of(ALIGN), 0);
    let header = Header { magic: MAGIC, bytes: contents.len() as u32, models: models.len() as u32 };
    contents[..size_of::<Header>()].copy_from_slice(header.as_bytes());
    contents[size_of::<Header>()..][..size_of_val(&entries[..])].copy_from_slice(entries.as_bytes());
    Ok(contents)
}

/// Adds aligned bytes and returns where they start.
fn append(contents: &mut Vec<u8>, bytes: &[u8]) -> Result<u32, String> {
    contents.resize(contents.len().next_multiple_of(ALIGN), 0);
    let at = contents.len();
    contents.extend_from_slice(bytes);
    match u32::try_from(contents.len()) {
        Ok(_) => Ok(at as u32),
        Err(_) => Err("the models do not fit in 4 GiB".into()),
    }
}

/// Bytes of the model's only input and output.
fn tensor_bytes(model: &Source) -> Result<[usize; 2], String> {
    let text = |error: ml_runtime::LoadError| error.to_string();
    let mut tables = vec![0u64; Model::table_bytes(&model.file).map_err(text)?.div_ceil(8)];
    let model = Model::load(&model.file, tables.as_mut_bytes(), Io::Caller).map_err(text)?;
    let (mut inputs, mut outputs) = (model.inputs(), model.outputs());
    match (inputs.next(), inputs.next(), outputs.next(), outputs.next()) {
        (Some(input), None, Some(output), None) => Ok([input.bytes(), output.bytes()]),
        _ => Err("it has several inputs or outputs; the model runner takes one of each".into()),
    }
}

#[cfg(test)]
mod tests {
    use protocols::model_pack::ModelPack;

    use super::*;

    fn repository() -> Vec<Source> {
        read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ml-runtime/models")).unwrap()
    }

    #[test]
    fn the_repository_packs() {
        let sources = repository();
        let bytes = build(&sources).unwrap();
        let mut words = vec![0u128; bytes.len() / 16];
        words.as_mut_bytes().copy_from_slice(&bytes);
        let pack = ModelPack::parse(words.as_bytes()).unwrap();
        let (_, digits) = pack.by_name("digits").unwrap();
        let source = sources.iter().find(|source| source.name == "digits").unwrap();
        assert_eq!(digits.file(), source.file);
        assert_eq!(digits.samples(), source.labels.len());
        let last = digits.sample(digits.samples() - 1).unwrap();
        assert_eq!(last.input, &source.inputs[source.inputs.len() - 64..]);
        assert_eq!(last.output, &source.outputs[source.outputs.len() - 10..]);
    }

    #[test]
    fn what_cannot_run_is_refused() {
        let mut sources = repository();
        sources[0].file.truncate(1000);
        assert!(build(&sources).unwrap_err().contains("broken flatbuffer"));
        let mut sources = repository();
        sources[0].inputs.pop();
        assert!(build(&sources).unwrap_err().contains("other sizes"));
        sources[0].labels.clear();
        assert!(build(&sources).unwrap_err().contains("other sizes"), "inputs without labels must be whole");
        let mut sources = repository();
        sources[0].name = "x".repeat(33);
        assert!(build(&sources).unwrap_err().contains("longer than"));
    }

    #[test]
    fn broken_samples_are_refused() {
        let mut source = Source::default();
        assert!(read_samples(&mut source, b"KLSAMPLE").is_err());
        let mut bytes = b"KLSAMPLE".to_vec();
        for number in [1u32, 1, 2, 3] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([9, 1, 2, 3, 4]);
        assert!(read_samples(&mut source, &bytes).is_err());
        bytes.push(5);
        read_samples(&mut source, &bytes).unwrap();
        assert_eq!((source.labels, source.inputs, source.outputs), (vec![9], vec![1, 2], vec![3, 4, 5]));
    }
}
