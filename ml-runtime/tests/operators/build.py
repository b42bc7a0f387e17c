"""Makes small models operator by operator, where a converter would not make just this operator with just these numbers.

    train/bin/python build.py models     # tensorflow-cpu 2.21, only for its schema: NAME.tflite
    micro/bin/python build.py outputs    # tflite-micro: NAME.bin, by TensorFlow Lite Micro's reference kernels

The first environment is that of ml-runtime/models/digits/README.md, the second `pip install --pre tflite-micro` under
Python 3.11. A .bin file holds SAMPLES times all inputs, then SAMPLES times all outputs, as raw tensors back to back.
Models with variables keep them from one sample to the next.
"""

import pathlib
import sys
import zlib

import numpy as np

HERE = pathlib.Path(__file__).parent
SAMPLES = 4


class Graph:
    """One model. Each method adds something to the subgraph that is current and returns the tensor it makes."""

    def __init__(self, name):
        from tensorflow.lite.python import schema_py_generated as schema

        self.schema = schema
        self.name = name
        self.random = np.random.default_rng(zlib.crc32(name.encode()))
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "built by build.py"
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.model.subgraphs = []
        self.codes = {}
        self.subgraph()

    def subgraph(self):
        self.now = self.schema.SubGraphT()
        self.now.tensors, self.now.operators, self.now.inputs, self.now.outputs = [], [], [], []
        self.model.subgraphs.append(self.now)
        return len(self.model.subgraphs) - 1

    def tensor(self, shape, kind="INT8", scale=None, zero=0, data=None, axis=0, variable=False):
        schema = self.schema
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = getattr(schema.TensorType, kind)
        tensor.name = f"t{len(self.now.tensors)}"
        tensor.buffer = 0
        tensor.isVariable = variable
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(map(float, scales))
            tensor.quantization.zeroPoint = [zero] * len(scales)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.now.tensors.append(tensor)
        return len(self.now.tensors) - 1

    def input(self, shape, kind="INT8", scale=0.05, zero=-3):
        self.now.inputs.append(self.tensor(shape, kind, scale if kind != "FLOAT32" else None, zero))
        return self.now.inputs[-1]

    def numbers(self, values, shape=None):
        values = np.asarray(values, np.int32)
        return self.tensor(values.shape if shape is None else shape, "INT32", data=values)

    def bytes(self, shape, scale=0.05, zero=0, axis=0):
        return self.tensor(shape, "INT8", scale, zero, self.random.integers(-127, 128, shape, dtype=np.int8), axis)

    def op(self, code, inputs, outputs, **options):
        schema = self.schema
        if code not in self.codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode = getattr(schema.BuiltinOperator, code)
            entry.deprecatedBuiltinCode = min(entry.builtinCode, 127)
            entry.version = 1
            self.model.operatorCodes.append(entry)
            self.codes[code] = len(self.model.operatorCodes) - 1
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes[code]
        operator.inputs = list(inputs)
        operator.outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        kind = options.pop("kind", None)
        if kind:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, kind + "T")()
            for key, value in options.items():
                assert hasattr(operator.builtinOptions, key), key
                setattr(operator.builtinOptions, key, value)
        self.now.operators.append(operator)
        return outputs

    def save(self, *outputs):
        import flatbuffers

        self.model.subgraphs[0].outputs = list(outputs)
        # Models that are there already stay as they are.
        path = HERE / f"{self.name}.tflite"
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            return
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))


def one(name, shape, out_shape, code, extra=(), scale=0.05, zero=-3, out_scale=None, out_zero=None, place=0, **options):
    """A model of one operator with one input. `extra` are constants that come before or after it."""
    graph = Graph(name)
    x = graph.input(shape, scale=scale, zero=zero)
    y = graph.tensor(out_shape, "INT8", scale if out_scale is None else out_scale, zero if out_zero is None else out_zero)
    inputs = [graph.numbers(values) for values in extra]
    inputs.insert(place, x)
    graph.op(code, inputs, y, **options)
    graph.save(y)


def two(name, left, right, out_shape, code, kind, scales=(0.05, 0.03, 0.07), zeros=(-3, 12, 5), constant=False, **options):
    """A model of one operator with two inputs."""
    graph = Graph(name)
    a = graph.input(left, scale=scales[0], zero=zeros[0])
    b = graph.bytes(right, scales[1], zeros[1]) if constant else graph.input(right, scale=scales[1], zero=zeros[1])
    y = graph.tensor(out_shape, "INT8", scales[2], zeros[2])
    graph.op(code, [a, b], y, kind=kind, **options)
    graph.save(y)


def moving():
    """Operators that move values."""
    for name, axis, shapes in [
        ("concat_last", -1, [(2, 3, 4), (2, 3, 1), (2, 3, 6)]),
        ("concat_middle", 1, [(2, 3, 4), (2, 1, 4)]),
        ("concat_first", 0, [(1, 5), (3, 5), (2, 5)]),
    ]:
        graph = Graph(name)
        parts = [graph.input(shape) for shape in shapes]
        # A constant, and one of the parts twice.
        parts += [graph.bytes(shapes[1], 0.05, -3), parts[0]]
        whole = list(shapes[0])
        whole[axis] = sum(shape[axis] for shape in [*shapes, shapes[1], shapes[0]])
        y = graph.tensor(whole, "INT8", 0.05, -3)
        graph.op("CONCATENATION", parts, y, kind="ConcatenationOptions", axis=axis)
        graph.save(y)
    pad = dict(kind="PadOptions")
    one("pad_image", (1, 3, 4, 2), (1, 6, 5, 2), "PAD", [[[0, 0], [1, 2], [0, 1], [0, 0]]], **pad)
    one("pad_all", (2, 3), (5, 7), "PAD", [[[1, 2], [3, 1]]], zero=20, **pad)
    graph = Graph("pad_value")
    x, widths = graph.input((2, 3, 2)), graph.numbers([[0, 1], [2, 0], [1, 1]])
    value = graph.tensor((1,), "INT8", 0.05, -3, np.int8([77]))
    y = graph.tensor((3, 5, 4), "INT8", 0.05, -3)
    graph.op("PADV2", [x, widths, value], y, kind="PadV2Options")
    graph.save(y)
    for name, shape, axis, count in [("split_last", (2, 3, 6), -1, 3), ("split_first", (4, 5), 0, 2)]:
        graph = Graph(name)
        part = list(shape)
        part[axis] //= count
        axis_tensor = graph.numbers(axis, ())
        x = graph.input(shape)
        parts = [graph.tensor(part, "INT8", 0.05, -3) for _ in range(count)]
        graph.op("SPLIT", [axis_tensor, x], parts, kind="SplitOptions", numSplits=count)
        graph.save(*parts)
    graph = Graph("split_sizes")
    x, sizes, axis = graph.input((3, 7, 2)), graph.numbers([1, 4, 2]), graph.numbers(1, ())
    parts = [graph.tensor((3, size, 2), "INT8", 0.05, -3) for size in (1, 4, 2)]
    graph.op("SPLIT_V", [x, sizes, axis], parts, kind="SplitVOptions", numSplits=3)
    graph.save(*parts)
    one("slice_box", (3, 4, 5), (2, 1, 3), "SLICE", [[1, 2, 0], [2, 1, 3]], kind="SliceOptions")
    one("slice_rest", (2, 4, 5, 3), (2, 3, 1, 2), "SLICE", [[0, 1, 4, 1], [-1, -1, 1, -1]], kind="SliceOptions")
    strided = dict(kind="StridedSliceOptions", beginMask=0, endMask=0, shrinkAxisMask=0)
    one("strided_plain", (4, 7, 5), (2, 2, 2), "STRIDED_SLICE", [[1, 1, 0], [4, 6, 5], [2, 3, 3]], **strided)
    one("strided_back", (4, 7, 5), (2, 7, 2), "STRIDED_SLICE", [[3, 6, -1], [0, -8, -5], [-2, -1, -2]], **strided)
    strided |= dict(beginMask=0b0101, endMask=0b0110, shrinkAxisMask=0b1000)
    one("strided_masks", (3, 4, 6, 2), (2, 3, 6), "STRIDED_SLICE", [[9, 1, 9, 1], [-1, 9, -9, 9], [1, 1, 1, 1]], **strided)
    transpose = dict(kind="TransposeOptions")
    one("transpose_matrix", (5, 9), (9, 5), "TRANSPOSE", [[1, 0]], **transpose)
    one("transpose_image", (2, 3, 4, 5), (2, 5, 3, 4), "TRANSPOSE", [[0, 3, 1, 2]], **transpose)
    one("transpose_five", (2, 3, 1, 4, 2), (4, 2, 2, 1, 3), "TRANSPOSE", [[3, 0, 4, 2, 1]], **transpose)
    one("depth_to_space", (1, 2, 3, 8), (1, 4, 6, 2), "DEPTH_TO_SPACE", kind="DepthToSpaceOptions", blockSize=2)
    one("space_to_depth", (1, 6, 3, 2), (1, 2, 1, 18), "SPACE_TO_DEPTH", kind="SpaceToDepthOptions", blockSize=3)
    # TensorFlow Lite Micro has no TILE: its outputs come from make.py.
    one("tile_rows", (2, 3), (4, 9), "TILE", [[2, 3]], kind="TileOptions")
    one("tile_image", (1, 4, 1, 3, 2), (1, 4, 2, 3, 4), "TILE", [[1, 1, 2, 1, 2]], kind="TileOptions")
    one("broadcast_to", (3, 1, 2), (2, 3, 4, 2), "BROADCAST_TO", [[2, 3, 4, 2]], kind="BroadcastToOptions")
    graph = Graph("pack_unpack")
    x = graph.input((3, 4, 2))
    rows = [graph.tensor((3, 2), "INT8", 0.05, -3) for _ in range(4)]
    graph.op("UNPACK", [x], rows, kind="UnpackOptions", axis=1, num=4)
    y = graph.tensor((3, 2, 4), "INT8", 0.05, -3)
    graph.op("PACK", rows[::-1], y, kind="PackOptions", axis=-1, valuesCount=4)
    graph.save(y)
    graph = Graph("shapes")
    x = graph.input((2, 1, 6))
    squeezed, widened = (graph.tensor(shape, "INT8", 0.05, -3) for shape in [(2, 6), (2, 6, 1)])
    shape, rows, whole = graph.tensor((3,), "INT32"), graph.tensor((), "INT32"), graph.tensor((2,), "INT32")
    y = graph.tensor((3, 4), "INT8", 0.05, -3)
    graph.op("SQUEEZE", [x], squeezed, kind="SqueezeOptions", squeezeDims=[1])
    graph.op("EXPAND_DIMS", [squeezed, graph.numbers(-1, ())], widened, kind="ExpandDimsOptions")
    # What Keras makes of a flatten with an open batch: a shape that is computed, then used.
    graph.op("SHAPE", [widened], shape, kind="ShapeOptions", outType=graph.schema.TensorType.INT32)
    bounds = [graph.numbers([0]), graph.numbers([1]), graph.numbers([1])]
    graph.op("STRIDED_SLICE", [shape, *bounds], rows, kind="StridedSliceOptions", shrinkAxisMask=1)
    graph.op("PACK", [graph.numbers(3, ()), graph.numbers(4, ())], whole, kind="PackOptions", axis=0, valuesCount=2)
    graph.op("RESHAPE", [widened, whole], y, kind="ReshapeOptions")
    graph.save(y, shape, rows)


def reducing():
    for name, shape, axes, out, scale, zero in [
        ("mean_image", (1, 7, 5, 6), [1, 2], (1, 1, 1, 6), 0.05, -3),
        ("mean_scaled", (2, 4, 3, 5), [2, 1], (2, 5), 0.021, 30),
        ("mean_last", (3, 4, 11), [-1], (3, 4), 0.05, -3),
        ("mean_across", (4, 3, 5, 2), [0, 2, -4], (3, 2), 0.04, 7),
        ("mean_everything", (3, 4, 5), [0, 1, 2], (), 0.011, -9),
    ]:
        keep = len(out) == len(shape)
        one(name, shape, out, "MEAN", [axes], out_scale=scale, out_zero=zero, kind="ReducerOptions", keepDims=keep)
    options = dict(kind="ReducerOptions", keepDims=False)
    one("sum_rows", (4, 9), (4,), "SUM", [[1]], out_scale=0.3, out_zero=4, **options)
    one("reduce_max", (3, 5, 4), (3, 4), "REDUCE_MAX", [[1]], **options)
    one("reduce_min", (3, 5, 4), (3, 5, 1), "REDUCE_MIN", [[-1]], kind="ReducerOptions", keepDims=True)
    for name, code, kind in [("arg_max", "ARG_MAX", "ArgMaxOptions"), ("arg_min", "ARG_MIN", "ArgMinOptions")]:
        graph = Graph(name)
        x, y = graph.input((3, 40, 2)), graph.tensor((3, 2), "INT32")
        graph.op(code, [x, graph.numbers(1, ())], y, kind=kind, outputType=graph.schema.TensorType.INT32)
        graph.save(y)


def arithmetic():
    none, relu, relu6 = 0, 1, 3
    for name, left, right, out in [
        ("channel", (2, 3, 4, 5), (5,), (2, 3, 4, 5)),
        ("scalar", (1,), (3, 7), (3, 7)),
        ("outer", (1, 6, 1, 4), (2, 1, 5, 1), (2, 6, 5, 4)),
        ("image", (1, 1, 1, 6), (1, 4, 3, 6), (1, 4, 3, 6)),
    ]:
        two(f"add_{name}", left, right, out, "ADD", "AddOptions", fusedActivationFunction=relu)
        two(f"sub_{name}", left, right, out, "SUB", "SubOptions", fusedActivationFunction=none)
        two(f"mul_{name}", left, right, out, "MUL", "MulOptions", fusedActivationFunction=relu6)
    two("sub_flat", (4, 33), (4, 33), (4, 33), "SUB", "SubOptions", scales=(0.0123, 0.087, 0.0456))
    two("add_constant", (3, 5), (3, 5), (3, 5), "ADD", "AddOptions", constant=True)
    same = dict(scales=(0.05,) * 3, zeros=(-3,) * 3)
    two("maximum", (2, 3, 5), (5,), (2, 3, 5), "MAXIMUM", "MaximumMinimumOptions", **same)
    two("minimum", (4, 1), (4, 6), (4, 6), "MINIMUM", "MaximumMinimumOptions", constant=True, **same)
    two("prelu", (1, 4, 3, 5), (1, 1, 5), (1, 4, 3, 5), "PRELU", None, constant=True)
    two("prelu_scalar", (1, 6), (1,), (1, 6), "PRELU", None, scales=(0.02, 0.5, 0.01), constant=True)
    for i, (scale, zero, out_scale, out_zero) in enumerate([(0.05, -3, 0.04, -100), (0.3, 10, 0.2, 0), (0.01, 100, 0.02, -128)]):
        one(f"hard_swish_{i}", (1, 300), (1, 300), "HARD_SWISH", (), scale, zero, out_scale, out_zero, kind="HardSwishOptions")
    one("relu6_same", (1, 300), (1, 300), "RELU6", (), 0.06, -20)
    one("relu6_other", (5, 8), (5, 8), "RELU6", (), 0.06, -20, 6 / 255, -128)
    one("relu_other", (5, 8), (5, 8), "RELU", (), 0.06, -20, 0.02, -128)
    one("relu_larger", (5, 8), (5, 8), "RELU", (), 0.02, 5, 0.09, -7)


def matrices():
    for name, left, right, out, adjoint in [
        ("plain", (3, 4), (4, 5), (3, 5), (False, False)),
        ("left", (2, 4, 3), (2, 4, 5), (2, 3, 5), (True, False)),
        ("right", (2, 3, 4), (2, 5, 4), (2, 3, 5), (False, True)),
        ("both", (1, 2, 4, 3), (3, 1, 5, 4), (3, 2, 3, 5), (True, True)),
    ]:
        two(f"matmul_{name}", left, right, out, "BATCH_MATMUL", "BatchMatMulOptions", adjX=adjoint[0], adjY=adjoint[1])


def images():
    for kind, code in [("ResizeNearestNeighborOptions", "RESIZE_NEAREST_NEIGHBOR"), ("ResizeBilinearOptions", "RESIZE_BILINEAR")]:
        short = code.split("_")[1].lower()
        for name, shape, size, corners, middles in [
            ("up", (1, 3, 4, 5), (6, 8), False, False),
            ("odd", (2, 5, 3, 2), (7, 11), False, False),
            ("down", (1, 9, 8, 3), (4, 3), False, True),
            ("middles", (1, 3, 4, 2), (7, 9), False, True),
            ("corners", (1, 4, 3, 3), (9, 7), True, False),
            ("both", (1, 4, 3, 3), (9, 7), True, True),
        ]:
            if corners and middles and "BILINEAR" in code:
                continue
            out = (shape[0], *size, shape[3])
            one(f"resize_{short}_{name}", shape, out, code, [size], kind=kind, alignCorners=corners, halfPixelCenters=middles)
    same, valid = 0, 1
    for name, shape, out, filters, stride, padding, bias, channels in [
        ("same", (1, 3, 4, 5), (1, 6, 8, 3), (3, 3), (2, 2), same, True, True),
        ("valid", (2, 4, 3, 2), (2, 9, 7, 4), (3, 3), (2, 2), valid, True, True),
        ("odd", (1, 3, 3, 3), (1, 7, 6, 2), (4, 2), (3, 2), same, False, True),
        ("one_scale", (1, 5, 2, 4), (1, 5, 4, 1), (1, 2), (1, 2), valid, True, False),
        ("wide_stride", (1, 2, 3, 2), (1, 6, 9, 3), (2, 2), (3, 3), valid, True, True),
    ]:
        graph = Graph(f"transpose_conv_{name}")
        count = out[3]
        scales = graph.random.uniform(0.001, 0.01, count if channels else 1).astype(np.float32)
        weights = graph.bytes((count, *filters, shape[3]), scales)
        x = graph.input(shape)
        inputs = [graph.numbers(out), weights, x]
        if bias:
            values = graph.random.integers(-2000, 2000, count, dtype=np.int32)
            inputs.append(graph.tensor((count,), "INT32", scales * np.float32(0.05), data=values))
        y = graph.tensor(out, "INT8", 0.04, 11)
        options = dict(padding=padding, strideH=stride[0], strideW=stride[1], fusedActivationFunction=0)
        graph.op("TRANSPOSE_CONV", inputs, y, kind="TransposeConvOptions", **options)
        graph.save(y)
    for name, shape, out, filters, stride, padding in [
        ("odd_same", (1, 7, 5, 3), (1, 3, 5, 3), (4, 2), (3, 1), same),
        ("larger_than_image", (2, 2, 3, 17), (2, 2, 3, 17), (5, 7), (1, 1), same),
        ("gaps", (1, 9, 8, 2), (1, 3, 2, 2), (2, 3), (3, 5), valid),
    ]:
        for code, short in [("AVERAGE_POOL_2D", "average"), ("MAX_POOL_2D", "max")]:
            options = dict(padding=padding, strideH=stride[0], strideW=stride[1], filterHeight=filters[0], filterWidth=filters[1])
            one(f"{short}_pool_{name}", shape, out, code, kind="Pool2DOptions", fusedActivationFunction=1, **options)
    for name, groups, stride, dilation in [("two", 2, 1, 1), ("each", 6, 2, 1), ("dilated", 3, 1, 2)]:
        graph = Graph(f"conv_groups_{name}")
        x = graph.input((2, 5, 6, 6))
        weights = graph.bytes((12, 3, 3, 6 // groups), graph.random.uniform(0.001, 0.01, 12))
        bias = graph.tensor((12,), "INT32", 0.001, data=graph.random.integers(-900, 900, 12, dtype=np.int32))
        y = graph.tensor((2, -(-5 // stride), 6 // stride, 12), "INT8", 0.06, 4)
        options = dict(strideH=stride, strideW=stride, dilationHFactor=dilation, dilationWFactor=dilation)
        graph.op("CONV_2D", [x, weights, bias], y, kind="Conv2DOptions", padding=same, **options)
        graph.save(y)
    graph = Graph("dense_of_rows")
    x = graph.input((2, 3, 4))
    weights = graph.bytes((5, 4), graph.random.uniform(0.001, 0.01, 5))
    bias = graph.tensor((5,), "INT32", 0.001, data=graph.random.integers(-900, 900, 5, dtype=np.int32))
    y = graph.tensor((2, 3, 5), "INT8", 0.02, 4)
    graph.op("FULLY_CONNECTED", [x, weights, bias], y, kind="FullyConnectedOptions", keepNumDims=True)
    graph.save(y)


def conversions():
    kinds = {"INT8": (0.05, -3), "UINT8": (0.04, 130), "INT16": (0.0007, 0), "INT32": (0.00002, 0), "FLOAT32": (None, 0)}
    cases = ["FLOAT32 INT16", "INT8 UINT8", "UINT8 INT8", "INT8 INT16", "INT8 INT32", "INT16 INT8", "INT16 INT16", "INT16 INT32", "INT32 INT8", "INT32 INT16"]
    for case in cases:
        source, target = case.split()
        graph = Graph(f"quantize_{source}_{target}".lower())
        scale, zero = kinds[source]
        x = graph.input((3, 40), source, scale, zero)
        scale, zero = kinds[target]
        y = graph.tensor((3, 40), target, 0.0011 if source == target else scale, zero)
        graph.op("QUANTIZE", [x], y, kind="QuantizeOptions")
        graph.save(y)
    for source in ["INT16", "UINT8"]:
        graph = Graph(f"dequantize_{source}".lower())
        x, y = graph.input((2, 30), source, *kinds[source]), graph.tensor((2, 30), "FLOAT32")
        graph.op("DEQUANTIZE", [x], y, kind="DequantizeOptions")
        graph.save(y)


def lstm(name, batches, steps, inputs, units, cell_power, clip=0.0, time_major=False):
    graph = Graph(name)
    shape = (steps, batches, inputs) if time_major else (batches, steps, inputs)
    x = graph.input(shape, scale=0.02, zero=-5)
    scales = graph.random.uniform(0.003, 0.02, 8)
    weights = [graph.bytes((units, inputs if i < 4 else units), scale) for i, scale in enumerate(scales)]
    biases = []
    for scale in scales[:4]:
        values = graph.random.integers(-3000, 3000, units, dtype=np.int32)
        biases.append(graph.tensor((units,), "INT32", scale * 0.02, data=values))
    hidden = graph.tensor((batches, units), "INT8", 0.008, 3, variable=True)
    cells = graph.tensor((batches, units), "INT16", 2.0**cell_power, variable=True)
    y = graph.tensor((*shape[:2], units), "INT8", 0.008, 3)
    operands = [x, *weights, -1, -1, -1, *biases, -1, -1, hidden, cells, -1, -1, -1, -1]
    options = dict(fusedActivationFunction=4, cellClip=clip, projClip=0.0, timeMajor=time_major)
    graph.op("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, y, kind="UnidirectionalSequenceLSTMOptions", **options)
    graph.save(y)


def keeping():
    """Models that keep something from one run to the next."""
    lstm("lstm_small", 1, 4, 3, 5, -11)
    lstm("lstm_batches", 3, 2, 6, 4, -12)
    lstm("lstm_time_major", 2, 3, 7, 9, -15, clip=0.3, time_major=True)
    lstm("lstm_coarse", 1, 5, 2, 3, -9, clip=10.0)
    quantised = dict(scale=0.05, zero=-3)

    def handle(graph, name):
        options = dict(container="", sharedName=name)
        return graph.op("VAR_HANDLE", [], graph.tensor((), "RESOURCE"), kind="VarHandleOptions", **options)

    def read(graph, variable, shape):
        value = graph.tensor(shape, "INT8", 0.05, -3)
        return graph.op("READ_VARIABLE", [variable], value, kind="ReadVariableOptions")

    def assign(graph, variable, value):
        graph.op("ASSIGN_VARIABLE", [variable, value], [], kind="AssignVariableOptions")

    def begin(graph, values):
        """A subgraph that gives variables their first values, and the CALL_ONCE for it in the main subgraph."""
        main = graph.now
        number = graph.subgraph()
        for name, value in values.items():
            constant = graph.tensor(value.shape, "INT8", 0.05, -3, value)
            assign(graph, handle(graph, name), constant)
        graph.now = main
        graph.op("CALL_ONCE", [], [], kind="CallOnceOptions", initSubgraphIndex=number)

    # A ring of the last five frames, of which the mean is taken: what a streaming model does.
    graph = Graph("stream_frames")
    x = graph.input((1, 1, 6))
    begin(graph, {"frames": graph.random.integers(-128, 128, (1, 5, 6), dtype=np.int8)})
    frames = read(graph, handle(graph, "frames"), (1, 5, 6))
    rest, whole = graph.tensor((1, 4, 6), "INT8", 0.05, -3), graph.tensor((1, 5, 6), "INT8", 0.05, -3)
    bounds = [graph.numbers(values) for values in ([0, 1, 0], [1, 5, 6], [1, 1, 1])]
    graph.op("STRIDED_SLICE", [frames, *bounds], rest, kind="StridedSliceOptions")
    graph.op("CONCATENATION", [rest, x], whole, kind="ConcatenationOptions", axis=1)
    assign(graph, handle(graph, "frames"), whole)
    y = graph.tensor((1, 6), "INT8", 0.04, 2)
    graph.op("MEAN", [whole, graph.numbers([1])], y, kind="ReducerOptions", keepDims=False)
    graph.save(y)

    # Two variables that nothing sets at first, one of them read twice, before and after it changes.
    graph = Graph("stream_swap")
    x = graph.input((2, 3))
    left, right = handle(graph, "left"), handle(graph, "right")
    old_left, old_right = read(graph, left, (2, 3)), read(graph, right, (2, 3))
    sum_, other = (graph.tensor((2, 3), "INT8", 0.05, -3) for _ in range(2))
    graph.op("ADD", [x, old_right], sum_, kind="AddOptions")
    assign(graph, left, sum_)
    graph.op("SUB", [read(graph, left, (2, 3)), old_left], other, kind="SubOptions")
    assign(graph, right, other)
    graph.save(other)

    # Sums up, and begins with a constant; a reshape of what was read must not see what is assigned later.
    graph = Graph("stream_sum")
    x = graph.input((2, 2))
    begin(graph, {"sum": graph.random.integers(-20, 20, (4,), dtype=np.int8), "unused": np.zeros(3, np.int8)})
    total = handle(graph, "sum")
    old = read(graph, total, (4,))
    square = graph.op("RESHAPE", [old, graph.numbers([2, 2])], graph.tensor((2, 2), "INT8", 0.05, -3), kind="ReshapeOptions", newShape=[2, 2])
    new, y = graph.tensor((2, 2), "INT8", 0.05, -3), graph.tensor((2, 2), "INT8", 0.05, -3)
    graph.op("ADD", [square, x], new, kind="AddOptions")
    assign(graph, total, new)
    graph.op("MAXIMUM", [square, new], y, kind="MaximumMinimumOptions")
    graph.save(y, new)


def refused():
    """Models that must not load, each for one reason."""

    def bad(name, *args, **options):
        one(f"refused/{name}", *args, **options)

    def kept(name, fill):
        graph = Graph(f"refused/{name}")
        x = graph.input((2, 3))
        y = fill(graph, x) or None
        graph.save(y if y else graph.op("ADD", [x, x], graph.tensor((2, 3), "INT8", 0.05, -3), kind="AddOptions"))

    def handle(graph, name="v"):
        return graph.op("VAR_HANDLE", [], graph.tensor((), "RESOURCE"), kind="VarHandleOptions", container="", sharedName=name)

    def plain(graph, shape=(2, 3), **more):
        return graph.tensor(shape, "INT8", 0.05, -3, **more)

    joined = dict(kind="ConcatenationOptions")
    bad("concat_axis", (2, 3), (2, 3), "CONCATENATION", axis=7, **joined)
    bad("concat_parts", (2, 3), (2, 4), "CONCATENATION", axis=1, **joined)
    bad("concat_scale", (2, 3), (2, 3), "CONCATENATION", out_scale=0.06, axis=1, **joined)
    bad("concat_fused", (2, 3), (2, 3), "CONCATENATION", axis=1, fusedActivationFunction=1, **joined)
    bad("pack_axis", (2, 3), (1, 2, 3), "PACK", kind="PackOptions", axis=-4, valuesCount=1)
    bad("unpack_count", (2, 3), (3,), "UNPACK", kind="UnpackOptions", axis=0, num=1)
    bad("split_zero", (2, 3), (2, 3), "SPLIT", [1], place=1, kind="SplitOptions", numSplits=0)
    bad("split_uneven", (2, 3), (2, 2), "SPLIT", [1], place=1, kind="SplitOptions", numSplits=1)
    bad("split_v_sizes", (2, 3), (2, 3), "SPLIT_V", [[2], 1], kind="SplitVOptions", numSplits=1)
    bad("split_v_axis", (2, 3), (2, 3), "SPLIT_V", [[3], 2], kind="SplitVOptions", numSplits=1)
    bad("slice_beyond", (2, 3), (2, 3), "SLICE", [[0, 1], [2, 3]], kind="SliceOptions")
    bad("slice_before", (2, 3), (2, 3), "SLICE", [[-1, 0], [2, 3]], kind="SliceOptions")
    bad("slice_wraps", (2, 3), (2, 3), "SLICE", [[0, 2**31 - 1], [2, 2**31 - 1]], kind="SliceOptions")
    strided = dict(kind="StridedSliceOptions")
    bad("strided_still", (2, 3), (2, 3), "STRIDED_SLICE", [[0, 0], [2, 3], [1, 0]], **strided)
    bad("strided_empty", (2, 3), (2, 1), "STRIDED_SLICE", [[0, 2], [2, 1], [1, 1]], **strided)
    bad("strided_ellipsis", (2, 3), (2, 3), "STRIDED_SLICE", [[0, 0], [2, 3], [1, 1]], ellipsisMask=1, **strided)
    bad("strided_shrink", (2, 3), (3,), "STRIDED_SLICE", [[2, 0], [3, 3], [1, 1]], shrinkAxisMask=1, **strided)
    bad("transpose_twice", (3, 3), (3, 3), "TRANSPOSE", [[1, 1]], kind="TransposeOptions")
    bad("transpose_beyond", (3, 3), (3, 3), "TRANSPOSE", [[0, 2]], kind="TransposeOptions")
    bad("pad_negative", (2, 3), (2, 2), "PAD", [[[0, 0], [0, -1]]], kind="PadOptions")
    bad("pad_shape", (2, 3), (2, 5), "PAD", [[[0, 0], [0, 1]]], kind="PadOptions")
    bad("pad_large", (2, 3), (2**15, 2**15), "PAD", [[[0, 2**15 - 2], [0, 2**15 - 3]]], kind="PadOptions")
    bad("mean_axis", (2, 3), (2,), "MEAN", [[2]], kind="ReducerOptions")
    bad("mean_shape", (2, 3), (3,), "MEAN", [[1]], kind="ReducerOptions")
    bad("max_scale", (2, 3), (2,), "REDUCE_MAX", [[1]], out_zero=0, kind="ReducerOptions")
    bad("arg_max_type", (2, 3), (2,), "ARG_MAX", [1], kind="ArgMaxOptions")
    bad("blocks", (1, 2, 2, 6), (1, 4, 4, 2), "DEPTH_TO_SPACE", kind="DepthToSpaceOptions", blockSize=2)
    bad("resize_shape", (1, 2, 2, 1), (1, 4, 4, 1), "RESIZE_NEAREST_NEIGHBOR", [[4, 5]], kind="ResizeNearestNeighborOptions")
    both = dict(alignCorners=True, halfPixelCenters=True)
    bad("resize_both", (1, 2, 2, 1), (1, 4, 4, 1), "RESIZE_BILINEAR", [[4, 4]], kind="ResizeBilinearOptions", **both)
    bad("expand_axis", (2, 3), (2, 1, 3), "EXPAND_DIMS", [3], kind="ExpandDimsOptions")
    bad("squeeze_two", (2, 3), (6,), "SQUEEZE", kind="SqueezeOptions")
    graph = Graph("refused/conv_groups")
    x, weights, y = graph.input((1, 3, 3, 6)), graph.bytes((5, 1, 1, 2)), plain(graph, (1, 3, 3, 5))
    graph.op("CONV_2D", [x, weights], y, kind="Conv2DOptions", strideH=1, strideW=1)
    graph.save(y)
    bad("tile_zero", (2, 3), (2, 3), "TILE", [[0, 1]], kind="TileOptions")
    bad("broadcast_misfit", (2, 3), (4, 3), "BROADCAST_TO", [[4, 3]], kind="BroadcastToOptions")
    two("refused/matmul_misfit", (2, 3), (4, 5), (2, 5), "BATCH_MATMUL", "BatchMatMulOptions")
    bad("swish_scale", (2, 3), (2, 3), "HARD_SWISH", out_scale=1e-6, kind="HardSwishOptions")
    two("refused/add_shapes", (2, 3), (2,), (2, 3), "ADD", "AddOptions")
    two("refused/add_lacks", (1, 3), (1, 3), (2, 3), "ADD", "AddOptions")
    two("refused/prelu_shapes", (2, 3), (4, 3), (2, 3), "PRELU", None)
    graph = Graph("refused/quantize_types")
    x, y = graph.input((3,), "INT32", 0.1, 0), graph.tensor((3,), "UINT8", 0.1, 3)
    graph.op("QUANTIZE", [x], y, kind="QuantizeOptions")
    graph.save(y)
    graph = Graph("refused/transpose_conv_stride")
    x, weights, y = graph.input((1, 2, 2, 3)), graph.bytes((2, 3, 3, 3)), plain(graph, (1, 4, 4, 2))
    options = dict(padding=0, strideH=0, strideW=2)
    graph.op("TRANSPOSE_CONV", [graph.numbers([1, 4, 4, 2]), weights, x], y, kind="TransposeConvOptions", **options)
    graph.save(y)

    read = lambda graph, name, shape: graph.op("READ_VARIABLE", [name], plain(graph, shape), kind="ReadVariableOptions")
    assign = lambda graph, name, value: graph.op("ASSIGN_VARIABLE", [name, value], [], kind="AssignVariableOptions") and None
    call = lambda graph, number: graph.op("CALL_ONCE", [], [], kind="CallOnceOptions", initSubgraphIndex=number) and None
    kept("read_nothing", lambda graph, x: read(graph, handle(graph), (2, 3)))

    def read_size(graph, x):
        assign(graph, handle(graph), x)
        return read(graph, handle(graph), (2, 2))

    def assign_size(graph, x):
        assign(graph, handle(graph), x)
        assign(graph, handle(graph), plain(graph, (4,), data=np.zeros(4, np.int8)))

    def call_edges(graph, x):
        main = graph.now
        number = graph.subgraph()
        graph.input((2,))
        graph.now = main
        call(graph, number)

    def call_again(graph, x):
        main = graph.now
        number = graph.subgraph()
        call(graph, number)
        graph.now = main
        call(graph, number)

    kept("read_size", read_size)
    kept("assign_size", assign_size)
    kept("assign_no_name", lambda graph, x: assign(graph, x, x))
    kept("call_main", lambda graph, x: call(graph, 0))
    kept("call_beyond", lambda graph, x: call(graph, 7))
    kept("call_edges", call_edges)
    kept("call_again", call_again)
    kept("variable_written", lambda graph, x: graph.op("ADD", [x, x], plain(graph, variable=True), kind="AddOptions"))
    kept("variable_given", lambda graph, x: graph.op("ADD", [x, x], plain(graph), kind="AddOptions") and plain(graph, variable=True))
    kept("name_given", lambda graph, x: handle(graph))
    kept("name_written", lambda graph, x: graph.op("RESHAPE", [graph.input((1,), "INT32", 1, 0)], graph.tensor((1,), "RESOURCE"), kind="ReshapeOptions"))
    lstm("refused/lstm_cells", 1, 2, 2, 2, -11.5)
    lstm("refused/lstm_coarse_cells", 1, 2, 2, 2, 3)


def outputs(names):
    from tflite_micro import runtime

    kinds = {np.int8: (-128, 128), np.uint8: (0, 256), np.int16: (-(2**15), 2**15), np.int32: (-(2**22), 2**22)}
    for name in names:
        path = HERE / f"{name}.tflite"
        interpreter = runtime.Interpreter.from_file(str(path))
        random = np.random.default_rng(zlib.crc32(name.encode()) + 1)
        count = lambda details: sum(1 for _ in all_of(details))
        inputs, results = [], []
        for _ in range(SAMPLES):
            for i, details in enumerate(all_of(interpreter.get_input_details)):
                kind, shape = details["dtype"], tuple(details["shape"])
                if kind == np.float32:
                    value = random.normal(0, 15, shape).astype(np.float32)
                else:
                    value = random.integers(*kinds[kind], shape, dtype=kind)
                interpreter.set_input(value, i)
                inputs.append(value)
            interpreter.invoke()
            for i, details in enumerate(all_of(interpreter.get_output_details)):
                results.append(np.array(interpreter.get_output(i), details["dtype"]))
        path.with_suffix(".bin").write_bytes(b"".join(value.tobytes() for value in inputs + results))
        print(name, path.stat().st_size, path.with_suffix(".bin").stat().st_size, results[0].ravel()[:6])


def all_of(details):
    i = 0
    while True:
        try:
            found = details(i)
        except Exception:
            return
        yield found
        i += 1


if __name__ == "__main__":
    if sys.argv[1] == "models":
        for group in [moving, reducing, arithmetic, matrices, images, conversions, keeping, refused]:
            group()
    else:
        wanted = sys.argv[2:] or [p.stem for p in sorted(HERE.glob("*.tflite")) if not p.with_suffix(".bin").exists() and not p.stem.startswith("tile_")]
        outputs(wanted)
