"""Computes the reference outputs of the held-out scans and writes samples.bin.

The interpreter is tflite-runtime 2.14 with its reference kernels: on int8 models its results are those of TensorFlow
Lite Micro's reference kernels, which are the ones the runtime has to reproduce bit for bit. (Newer interpreters round
fully connected layers differently.)

    python3.11 -m venv ref && ref/bin/pip install tflite-runtime==2.14 'numpy<2'
    ref/bin/python reference.py

samples.bin, little-endian: 8 bytes "KLSAMPLE", u32 version 1, u32 count, u32 bytes of an input, u32 bytes of an output,
then `count` labels (one byte each), `count` inputs and `count` outputs, all back to back.
"""

import pathlib
import struct

import numpy as np
from tflite_runtime import interpreter as tflite

HERE = pathlib.Path(__file__).parent


def main():
    interpreter = tflite.Interpreter(
        str(HERE / "model.tflite"), experimental_op_resolver_type=tflite.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    result = interpreter.get_output_details()[0]
    heldout = np.load(HERE / "heldout.npz")
    inputs, labels = heldout["inputs"], heldout["labels"]
    outputs = []
    for scan in inputs:
        interpreter.set_tensor(source["index"], scan[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result["index"])[0].copy())
    outputs = np.array(outputs)
    right = int((outputs.argmax(1) == labels).sum())
    header = b"KLSAMPLE" + struct.pack("<4I", 1, len(inputs), inputs[0].size, outputs[0].size)
    (HERE / "samples.bin").write_bytes(header + labels.tobytes() + inputs.tobytes() + outputs.tobytes())
    print(f"int8, held out: {right} of {len(labels)} = {right / len(labels):.4f}")


if __name__ == "__main__":
    main()
