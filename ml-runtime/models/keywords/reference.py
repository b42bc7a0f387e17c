"""Computes what the reference interpreter makes of held-out windows and of the clip: samples.bin and clip.bin.

The interpreter is tflite-runtime 2.14 with its reference kernels: on int8 models its results are those of TensorFlow
Lite Micro's reference kernels, which are the ones the runtime has to reproduce bit for bit.

    python3.11 -m venv ref && ref/bin/pip install tflite-runtime==2.14 'numpy<2'
    ref/bin/python reference.py target/release/kinglet

samples.bin: the first windows of each class, their classes and outputs; the layout is that of models/digits/reference.py.
clip.bin, little-endian: 8 bytes "KLCLIPRF", u32 frames, u32 windows, u32 bytes of an output; then the features of all frames of
clip.wav (40 bytes each), then the outputs of its windows, of which one begins every fourth frame.
"""

import pathlib
import struct
import subprocess
import sys
import tempfile
import wave

import numpy as np
from tflite_runtime import interpreter as tflite

HERE = pathlib.Path(__file__).parent
OF_EACH_CLASS = 4
HOP, FRAME, FRAMES, BANDS, STRIDE = 320, 512, 49, 40, 4


def run(inputs):
    """The outputs for windows of features (n, 49, 40, 1)."""
    interpreter = tflite.Interpreter(
        str(HERE / "model.tflite"), experimental_op_resolver_type=tflite.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    result = interpreter.get_output_details()[0]
    outputs = []
    for window in inputs:
        interpreter.set_tensor(source["index"], window[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result["index"])[0].copy())
    return np.array(outputs)


def clip_windows(kinglet):
    """The features of the clip's windows."""
    with wave.open(str(HERE / "clip.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    length = (FRAMES - 1) * HOP + FRAME
    starts = range(0, len(samples) - length + 1, STRIDE * HOP)
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "windows"), pathlib.Path(folder, "features")
        np.concatenate([samples[start : start + length] for start in starts]).tofile(source)
        subprocess.run([kinglet, "features", source, "--output", target], check=True)
        return np.fromfile(target, np.int8).reshape(-1, FRAMES, BANDS, 1)


def main():
    heldout = np.load(HERE / "heldout.npz")
    inputs, labels = heldout["inputs"], heldout["labels"]
    outputs = run(inputs)
    right = int((outputs.argmax(1) == labels).sum())
    print(f"int8, held out: {right} of {len(labels)} = {right / len(labels):.4f}")

    chosen = np.concatenate([np.flatnonzero(labels == label)[:OF_EACH_CLASS] for label in np.unique(labels)])
    header = b"KLSAMPLE" + struct.pack("<4I", 1, len(chosen), inputs[0].size, outputs[0].size)
    parts = [labels[chosen], inputs[chosen], outputs[chosen]]
    (HERE / "samples.bin").write_bytes(header + b"".join(part.tobytes() for part in parts))
    print(f"samples.bin: {len(chosen)} windows, {int((outputs.argmax(1) == labels)[chosen].sum())} of them right")

    windows = clip_windows(sys.argv[1])
    outputs = run(windows)
    # Windows overlap: all of the first, then the last four frames of each.
    features = np.concatenate([windows[0]] + [window[-STRIDE:] for window in windows[1:]])
    header = b"KLCLIPRF" + struct.pack("<3I", len(features), len(windows), outputs[0].size)
    (HERE / "clip.bin").write_bytes(header + features.tobytes() + outputs.tobytes())
    print(f"clip.bin: {len(features)} frames, {len(windows)} windows")


if __name__ == "__main__":
    main()
