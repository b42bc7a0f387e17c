"""Trains the keyword model and converts it to a full-int8 TensorFlow Lite file.

Speech is synthesised by espeak-ng (speech.py); features are computed by `kinglet features`, the very code that runs on the
device, so the model is trained on exactly what it will be given. Voices and unknown words of the test are in no training.

Writes model.tflite, and heldout.npz (features and classes of the test) for reference.py. Prints the accuracy.

    apt-get install espeak-ng; cargo build --release -p kinglet
    python3.11 -m venv venv && venv/bin/pip install tensorflow-cpu==2.21 scipy
    venv/bin/python train.py target/release/kinglet
"""

import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_DETERMINISTIC_OPS"] = "1"

import numpy as np
import tensorflow as tf

import speech

SEED = 20240301
EPOCHS = int(os.environ.get("KEYWORDS_EPOCHS", 16))
BATCH = 128
FRAMES, BANDS = 49, 40
HERE = pathlib.Path(__file__).parent


def features(kinglet, windows):
    """The features of windows of samples, as the device computes them: (n, 49, 40) int8."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "windows"), pathlib.Path(folder, "features")
        windows.astype("<i2").tofile(source)
        subprocess.run([kinglet, "features", source, "--output", target], check=True)
        return np.fromfile(target, np.int8).reshape(-1, FRAMES, BANDS)


def data(kinglet):
    """Features and classes, to train with and to test with."""
    # Each has its own source of randomness: a change of one leaves the other as it was.
    train, test = (np.random.default_rng([SEED, part]) for part in range(2))
    spoken = speech.utterances(train, speech.VARIANTS, speech.UNKNOWN_WORDS, 10)
    print(len(spoken), "utterances to train with", flush=True)
    train_x, train_y = speech.windows(train, spoken, copies=4, parts=0.8, silent=0.07)
    spoken = speech.utterances(test, speech.HELD_OUT, speech.UNKNOWN_HELD_OUT, 4)
    print(len(spoken), "utterances to test with", flush=True)
    test_x, test_y = speech.windows(test, spoken, copies=2, parts=0, silent=0.1)
    return (features(kinglet, train_x), train_y), (features(kinglet, test_x), test_y)


def network(batch_size=None):
    """Depthwise separable convolutions after "Hello Edge" (Zhang et al., 2017), narrowing early: 4.0 M multiply-accumulates."""
    layers = tf.keras.layers

    def block(x, convolution):
        return layers.ReLU()(layers.BatchNormalization()(convolution(x)))

    bands = tf.keras.Input((FRAMES, BANDS, 1), batch_size=batch_size)
    x = block(bands, layers.Conv2D(64, (10, 8), strides=(2, 4), padding="same", use_bias=False))
    for channels, stride in [(64, 1), (80, 2), (80, 1), (80, 1)]:
        x = block(x, layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False))
        x = block(x, layers.Conv2D(channels, 1, use_bias=False))
    x = layers.AveragePooling2D((13, 5))(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(len(speech.CLASSES))(x)
    return tf.keras.Model(bands, layers.Softmax()(x))


def masked(x, y):
    """Batches in which a few neighbouring frames and bands are flattened, so that no single one decides."""

    def mask(batch, axis, widest):
        size = batch.shape[axis]
        width = tf.random.uniform([tf.shape(batch)[0], 1], 0, widest + 1, tf.int32)
        start = tf.random.uniform([tf.shape(batch)[0], 1], 0, size, tf.int32)
        at = tf.range(size)[None]
        keep = tf.cast((at < start) | (at >= start + width), batch.dtype)
        keep = tf.reshape(keep, [-1] + [size if i == axis else 1 for i in (1, 2, 3)])
        middle = tf.reduce_mean(batch, axis=[1, 2, 3], keepdims=True)
        return batch * keep + middle * (1 - keep)

    def change(batch, labels):
        batch = tf.cast(batch, tf.float32) / 128
        return mask(mask(batch, 1, 6), 2, 5), labels

    batches = tf.data.Dataset.from_tensor_slices((x[..., None], y)).shuffle(len(x), seed=SEED).batch(BATCH)
    return batches.map(change).prefetch(2)


def converted(model, train_x):
    """The model as a full-int8 file that takes features as they are."""
    # With a fixed batch of one the converter emits a plain reshape for Flatten.
    exported = network(batch_size=1)
    exported.set_weights(model.get_weights())
    # The least and the largest byte among the samples make the input's scale 1/128 and its zero point 0.
    extremes = np.resize(np.array([-128, 127], np.int8), (1, FRAMES, BANDS))
    samples = np.concatenate([train_x[:: len(train_x) // 500], extremes])
    converter = tf.lite.TFLiteConverter.from_keras_model(exported)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None, ..., None].astype(np.float32) / 128] for x in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    flat = converter.convert()
    scale, zero = tf.lite.Interpreter(model_content=flat).get_input_details()[0]["quantization"]
    assert (scale, zero) == (1 / 128, 0), (scale, zero)
    return flat


def report(outputs, labels):
    """Prints the accuracy and which class was taken for which."""
    answers = outputs.argmax(axis=1)
    confusion = np.zeros((len(speech.CLASSES),) * 2, int)
    np.add.at(confusion, (labels, answers), 1)
    print("held-out voices:", f"{(answers == labels).sum()} of {len(labels)} right, {(answers == labels).mean():.2%}")
    print("of the words alone:", f"{(answers == labels)[labels < speech.UNKNOWN].mean():.2%}")
    print(f"{'':8}", *(f"{name[:5]:>5}" for name in speech.CLASSES))
    for name, row in zip(speech.CLASSES, confusion):
        print(f"{name:8}", *(f"{count:5}" for count in row))


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    tf.random.set_seed(SEED)
    tf.config.experimental.enable_op_determinism()

    (train_x, train_y), (test_x, test_y) = data(sys.argv[1])
    print("windows:", np.bincount(train_y), np.bincount(test_y), flush=True)
    model = network()
    steps = -(-len(train_x) // BATCH) * EPOCHS
    model.compile(
        tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(3e-3, steps), use_ema=True),
        tf.keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    model.fit(masked(train_x, train_y), epochs=EPOCHS, verbose=2)
    print("float:", model.evaluate(test_x[..., None].astype(np.float32) / 128, test_y, verbose=0)[1])

    flat = converted(model, train_x)
    (HERE / "model.tflite").write_bytes(flat)
    np.savez(HERE / "heldout.npz", inputs=test_x[..., None], labels=test_y)
    print("model.tflite:", len(flat), "bytes;", len(test_x), "windows of held-out voices")

    interpreter = tf.lite.Interpreter(
        model_content=flat, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    outputs = []
    for window in test_x:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], window[None, ..., None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    report(np.stack(outputs), test_y)


if __name__ == "__main__":
    main()
