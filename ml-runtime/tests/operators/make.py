"""Makes the small models of this folder, one for each shape of an operator that larger models leave out, with inputs and
the outputs that the reference kernels compute for them.

    train/bin/python make.py models     # tensorflow-cpu 2.21: NAME.tflite with random weights (fixed seed)
    ref/bin/python make.py outputs      # tflite-runtime 2.14: NAME.bin

The environments are those of ml-runtime/models/digits/README.md. A .bin file holds SAMPLES inputs, then as many outputs,
as raw tensors back to back.
"""

import pathlib
import sys
import zlib

import numpy as np

HERE = pathlib.Path(__file__).parent
SAMPLES = 6


def models():
    import tensorflow as tf

    tf.keras.utils.set_random_seed(7)
    layers = tf.keras.layers

    def residual(x):
        y = layers.Conv2D(4, 3, padding="same")(x)
        return layers.ReLU()(layers.Add()([x, layers.Activation("relu")(y)]))

    def two_branches(combine):
        return lambda x: combine()([layers.Conv2D(4, 3, padding="same")(x), layers.Conv2D(4, 1)(x)])

    cases = {
        "conv_valid_stride2_relu6": ((7, 9, 3), layers.Conv2D(5, 3, strides=2, activation="relu6")),
        "conv_dilated": ((9, 7, 4), layers.Conv2D(6, 3, padding="same", dilation_rate=2, activation="relu")),
        "conv_1x1_odd": ((5, 5, 7), layers.Conv2D(3, 1)),
        "conv_5x5_strides": ((8, 9, 2), layers.Conv2D(9, 5, strides=(2, 1), padding="same")),
        "conv_parts": ((6, 6, 40), layers.Conv2D(7, 3, padding="same")),
        "conv_without_bias": ((4, 4, 8), layers.Conv2D(4, 2, use_bias=False)),
        "depthwise_multiplier": ((6, 7, 3), layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")),
        "depthwise_dilated": ((9, 9, 5), layers.DepthwiseConv2D(3, dilation_rate=2, activation="relu")),
        "depthwise_5x5": ((9, 8, 4), layers.DepthwiseConv2D(5, strides=2, padding="same")),
        "depthwise_3x3_stride2": ((9, 11, 6), layers.DepthwiseConv2D(3, strides=2, activation="relu6")),
        "depthwise_3x3_flat": ((1, 6, 3), layers.DepthwiseConv2D(3, padding="same")),
        "depthwise_single_3": ((7, 5, 1), layers.DepthwiseConv2D(3, depth_multiplier=3, padding="same")),
        "depthwise_single_6": ((7, 5, 1), layers.DepthwiseConv2D((4, 2), depth_multiplier=6, padding="same")),
        "max_pool_same": ((7, 6, 5), layers.MaxPooling2D((3, 2), strides=2, padding="same")),
        "average_pool_same": ((6, 5, 19), layers.AveragePooling2D(3, strides=1, padding="same")),
        "average_pool_valid": ((6, 6, 3), layers.AveragePooling2D((2, 3))),
        "dense_odd": ((13,), lambda x: layers.Dense(5)(layers.Dense(7, activation="relu")(x))),
        "dense_long": ((300,), layers.Dense(9)),
        "dense_blocks": ((264,), layers.Dense(6)),
        "dense_per_tensor": ((40,), layers.Dense(11)),
        "add_relu": ((5, 5, 4), residual),
        "softmax_rows": ((4, 9), layers.Softmax()),
        "float_edges": ((6,), layers.Dense(3)),
        "subtract": ((5, 5, 4), two_branches(layers.Subtract)),
        "multiply": ((5, 5, 4), two_branches(layers.Multiply)),
        "leaky_relu": ((5, 6, 3), layers.LeakyReLU(0.3)),
        "leaky_relu_after": ((40,), lambda x: layers.LeakyReLU(0.1)(layers.Dense(33)(x))),
        "relu_alone": ((9, 17), layers.ReLU()),
        "logistic": ((9, 57), lambda x: layers.Activation("sigmoid")(x)),
        "logistic_after": ((40,), lambda x: layers.Activation("sigmoid")(layers.Dense(33)(x))),
        "tanh": ((9, 57), lambda x: layers.Activation("tanh")(x)),
        "tanh_after": ((40,), lambda x: layers.Activation("tanh")(layers.Dense(33)(x))),
    }
    for name, (shape, layer) in cases.items():
        # Models that are there already stay as they are: another converter would write them differently.
        if (HERE / f"{name}.tflite").exists():
            continue
        source = tf.keras.Input(shape, batch_size=1)
        model = tf.keras.Model(source, layer(source))
        random = np.random.default_rng(zlib.crc32(name.encode()))
        for weight in model.weights:
            weight.assign(random.normal(0, 0.5, weight.shape))
        data = random.normal(0, 1, (50, 1, *shape)).astype(np.float32)
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for sample in data)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if name != "float_edges":
            converter.inference_input_type = converter.inference_output_type = tf.int8
        if name == "dense_per_tensor":
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        (HERE / f"{name}.tflite").write_bytes(converter.convert())

    if (HERE / "requantize.tflite").exists():
        return

    # A change of scale between two int8 tensors: pooling keeps its input's scale, what follows wants another.
    @tf.function(input_signature=[tf.TensorSpec((1, 4, 5, 2), tf.float32)])
    def two_scales(x):
        x = tf.quantization.fake_quant_with_min_max_args(x, -1.5, 1.5)
        x = tf.nn.max_pool2d(x, 2, 1, "VALID")
        x = tf.quantization.fake_quant_with_min_max_args(x, -0.7, 1.1)
        return tf.nn.avg_pool2d(x, 2, 1, "VALID")

    converter = tf.lite.TFLiteConverter.from_concrete_functions([two_scales.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    data = np.random.default_rng(1).normal(0, 1, (50, 1, 4, 5, 2)).astype(np.float32)
    converter.representative_dataset = lambda: ([sample] for sample in data)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (HERE / "requantize.tflite").write_bytes(converter.convert())


def outputs():
    from tflite_runtime import interpreter as tflite

    for path in sorted(HERE.glob("*.tflite")):
        if path.with_suffix(".bin").exists():
            continue
        interpreter = tflite.Interpreter(
            str(path), experimental_op_resolver_type=tflite.OpResolverType.BUILTIN_REF
        )
        interpreter.allocate_tensors()
        source = interpreter.get_input_details()[0]
        result = interpreter.get_output_details()[0]
        random = np.random.default_rng(zlib.crc32(path.stem.encode()) + 1)
        inputs, results = [], []
        for _ in range(SAMPLES):
            if source["dtype"] == np.int8:
                value = random.integers(-128, 128, source["shape"], dtype=np.int8)
            else:
                value = random.normal(0, 1.5, source["shape"]).astype(np.float32)
            interpreter.set_tensor(source["index"], value)
            interpreter.invoke()
            inputs.append(value)
            results.append(interpreter.get_tensor(result["index"]).copy())
        path.with_suffix(".bin").write_bytes(b"".join(value.tobytes() for value in inputs + results))
        operators = [operator["op_name"] for operator in interpreter._get_ops_details()]
        print(path.stem, path.stat().st_size, operators)


if __name__ == "__main__":
    {"models": models, "outputs": outputs}[sys.argv[1]]()
