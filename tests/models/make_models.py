#!/usr/bin/env python3
# Everpool tests: makes the ONNX models, and samples with expected outputs. See README.md.
# SPDX-License-Identifier: BSL-1.0
"""Writes four small models and their samples next to this file.

    make_models.py            writes everything
    make_models.py --check    writes nothing; exit 1 if what is committed is not what would be written
    make_models.py --to DIR   writes there instead

Needs python3-onnx and python3-numpy of Debian 12 or newer. The expected outputs are computed here in
float64 from the models' float32 weights, by plain numpy formulas: no ONNX runtime has a say in them.
"""

import argparse
import json
import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
OPSET = 17
IR_VERSION = 8
SAMPLE_COUNT = 8
FILE_BYTES_MAX = 300 * 1024
# Expected outputs are float64 sums whose order depends on numpy's BLAS.
OUTPUT_TOLERANCE = 1e-6
# Two samples' outputs must differ by more than any test's tolerance, or swapped answers go unnoticed.
DISTINCT_MIN = 5e-3

LOOKUP_ROWS, LOOKUP_WIDTH = 16, 3  # 12 bytes a row, so that every second one is not aligned to 8

DTYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}


class Chance:
    """Uniform numbers from a fixed seed. Only `random()` is used: its stream is stable in numpy."""

    def __init__(self, seed):
        self._generator = numpy.random.Generator(numpy.random.PCG64(seed))

    def uniform(self, shape, low=-1.0, high=1.0):
        values = self._generator.random(size=shape) * (high - low) + low
        return values.astype(numpy.float32)

    def integers(self, shape, end):
        return (self._generator.random(size=shape) * end).astype(numpy.int32)


class Graph:
    """An ONNX graph under construction. Every method returns the name of what it computed."""

    def __init__(self, name, inputs, outputs):
        self._name, self._inputs, self._outputs = name, inputs, outputs
        self._nodes, self._initializers = [], []

    def constant(self, name, values):
        self._initializers.append(numpy_helper.from_array(numpy.ascontiguousarray(values), name))
        return name

    def node(self, operator, inputs, output, **attributes):
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def serialize(self):
        def describe(tensors):
            return [helper.make_tensor_value_info(t["name"], DTYPES[t["dtype"]], t["shape"])
                    for t in tensors]

        graph = helper.make_graph(self._nodes, self._name, describe(self._inputs),
                                  describe(self._outputs), self._initializers)
        model = helper.make_model(graph, producer_name="everpool",
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)


# Formulas, in float64 -------------------------------------------------------------------------------

def softmax(x):
    e = numpy.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def relu(x):
    return numpy.maximum(x, 0.0)


def erf(x):
    """The error function by its Maclaurin series, or 1 where that is exact to double precision."""
    inside = numpy.clip(x, -6.0, 6.0)
    term, total = inside.copy(), inside.copy()
    for n in range(1, 200):
        term = term * -inside * inside / n
        total += term / (2 * n + 1)
    return numpy.where(numpy.abs(x) >= 4.0, numpy.sign(x), total * 2.0 / numpy.sqrt(numpy.pi))


def gelu(x):
    return 0.5 * x * (1.0 + erf(x / numpy.sqrt(2.0)))


def layer_norm(x, scale, bias, epsilon):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / numpy.sqrt((centred ** 2).mean(axis=-1, keepdims=True) + epsilon) * scale + bias


def convolve(x, w, bias, stride, pad):
    """Convolution over the trailing axes of x[channel, ...] with w[out, channel, ...]."""
    axes = x.ndim - 1
    x = numpy.pad(x, [(0, 0)] + [(pad, pad)] * axes)
    kernel = w.shape[2:]
    windows = numpy.lib.stride_tricks.sliding_window_view(x, kernel, tuple(range(1, axes + 1)))
    windows = windows[(slice(None),) + (slice(None, None, stride),) * axes]
    # windows[channel, place..., kernel...] . w[out, channel, kernel...] -> [out, place...]
    kernel_axes = list(range(1 + axes, 1 + 2 * axes))
    y = numpy.tensordot(w, windows, axes=([1] + list(range(2, 2 + axes)), [0] + kernel_axes))
    return y + bias.reshape((-1,) + (1,) * axes)


def max_pool_2x2(x):
    c, h, w = x.shape
    return x.reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))


def f64(*arrays):
    return [a.astype(numpy.float64) for a in arrays]


# Models: each returns (description, onnx bytes, formula, inputs of each sample) -----------------------

def free_rows(tensors, rows):
    """The same with `rows`, which may be a name, for their first dimension."""
    return [{**t, "shape": [rows, *t["shape"][1:]]} for t in tensors]


def make_lookup():
    """Rows of a table; an index beyond it is an error at run time. Row i of the table is i, i, ..."""
    g = Graph("lookup", [{"name": "i", "dtype": "int32", "shape": ["rows"]}],
              [{"name": "row", "dtype": "float32", "shape": ["rows", LOOKUP_WIDTH]}])
    table = numpy.repeat(numpy.arange(LOOKUP_ROWS, dtype=numpy.float32), LOOKUP_WIDTH)
    g.node("Gather", [g.constant("table", table.reshape(LOOKUP_ROWS, LOOKUP_WIDTH)), "i"], "row",
           axis=0)
    return g.serialize()


def make_mean():
    """Has something to do with all of its rows: their mean."""
    g = Graph("mean", [{"name": "x", "dtype": "float32", "shape": ["rows", 4]}],
              [{"name": "mean", "dtype": "float32", "shape": [1, 4]}])
    g.node("ReduceMean", ["x"], "mean", axes=[0], keepdims=1)
    return g.serialize()


def make_mlp(rows=1):
    chance = Chance(101)
    w1, b1 = chance.uniform((128, 256), -0.15, 0.15), chance.uniform((256,), -0.1, 0.1)
    w2, b2 = chance.uniform((256, 10), -0.4, 0.4), chance.uniform((10,), -0.1, 0.1)
    about = {
        "family": "text",
        "inputs": [{"name": "x", "dtype": "float32", "shape": [1, 128]}],
        "outputs": [{"name": "probabilities", "dtype": "float32", "shape": [1, 10]}],
    }
    g = Graph("mlp", *(free_rows(about[end], rows) for end in ("inputs", "outputs")))
    h = g.node("Gemm", ["x", g.constant("w1", w1), g.constant("b1", b1)], "hidden")
    h = g.node("Relu", [h], "activated")
    h = g.node("Gemm", [h, g.constant("w2", w2), g.constant("b2", b2)], "logits")
    g.node("Softmax", [h], "probabilities", axis=-1)

    def formula(x):
        a1, c1, a2, c2 = f64(w1, b1, w2, b2)
        return [softmax(relu(x.astype(numpy.float64) @ a1 + c1) @ a2 + c2)]

    samples = [[chance.uniform((1, 128))] for _ in range(SAMPLE_COUNT)]
    return about, g.serialize(), formula, samples


TOKENS, WIDTH, HEADS, INNER, VOCABULARY, LAYERS, EPSILON = 32, 48, 4, 96, 256, 2, 1e-5


def encoder_weights(chance):
    layers = []
    for _ in range(LAYERS):
        layer = {}
        for name in ("q", "k", "v", "o"):
            layer["w" + name] = chance.uniform((WIDTH, WIDTH), -0.3, 0.3)
            layer["b" + name] = chance.uniform((WIDTH,), -0.1, 0.1)
        layer["w1"], layer["b1"] = chance.uniform((WIDTH, INNER), -0.3, 0.3), chance.uniform((INNER,), -0.1, 0.1)
        layer["w2"], layer["b2"] = chance.uniform((INNER, WIDTH), -0.2, 0.2), chance.uniform((WIDTH,), -0.1, 0.1)
        for n in ("n1", "n2"):
            layer[n + "_scale"] = chance.uniform((WIDTH,), 0.8, 1.2)
            layer[n + "_bias"] = chance.uniform((WIDTH,), -0.1, 0.1)
        layers.append(layer)
    return layers


def encoder_layer_nodes(g, h, i, layer):
    """Post-norm transformer layer: attention, add, norm, GELU network, add, norm."""
    c = {name: g.constant(f"l{i}_{name}", values) for name, values in layer.items()}

    def named(text):
        return f"l{i}_{text}"

    def dense(x, which, out):
        product = g.node("MatMul", [x, c["w" + which]], named(out + "_product"))
        return g.node("Add", [product, c["b" + which]], named(out))

    def heads(x, out, order):
        split = g.node("Reshape", [x, "split_shape"], named(out + "_split"))
        return g.node("Transpose", [split], named(out), perm=order)

    q = heads(dense(h, "q", "query"), "query_heads", [0, 2, 1, 3])
    k = heads(dense(h, "k", "key"), "key_heads", [0, 2, 3, 1])
    v = heads(dense(h, "v", "value"), "value_heads", [0, 2, 1, 3])
    scores = g.node("MatMul", [q, k], named("scores"))
    scaled = g.node("Mul", [scores, "attention_scale"], named("scaled"))
    weights = g.node("Softmax", [scaled], named("weights"), axis=-1)
    mixed = g.node("MatMul", [weights, v], named("mixed"))
    mixed = g.node("Transpose", [mixed], named("mixed_back"), perm=[0, 2, 1, 3])
    mixed = g.node("Reshape", [mixed, "merge_shape"], named("merged"))
    h = g.node("Add", [h, dense(mixed, "o", "attention")], named("residual1"))
    h = g.node("LayerNormalization", [h, c["n1_scale"], c["n1_bias"]], named("norm1"),
               axis=-1, epsilon=EPSILON)
    x = dense(h, "1", "inner")
    e = g.node("Erf", [g.node("Mul", [x, "inverse_root_two"], named("erf_in"))], named("erf"))
    e = g.node("Mul", [x, g.node("Add", [e, "one"], named("erf_plus"))], named("gelu_twice"))
    e = g.node("Mul", [e, "half"], named("gelu"))
    h = g.node("Add", [h, dense(e, "2", "outer")], named("residual2"))
    return g.node("LayerNormalization", [h, c["n2_scale"], c["n2_bias"]],
                  "hidden_state" if i == LAYERS - 1 else named("norm2"), axis=-1, epsilon=EPSILON)


def encoder_layer_formula(h, layer):
    w = {name: values.astype(numpy.float64) for name, values in layer.items()}

    def heads(x):
        return x.reshape(TOKENS, HEADS, WIDTH // HEADS).transpose(1, 0, 2)

    q, k, v = (heads(h @ w["w" + n] + w["b" + n]) for n in "qkv")
    mixed = softmax(q @ k.transpose(0, 2, 1) / numpy.sqrt(WIDTH / HEADS)) @ v
    mixed = mixed.transpose(1, 0, 2).reshape(TOKENS, WIDTH)
    h = layer_norm(h + mixed @ w["wo"] + w["bo"], w["n1_scale"], w["n1_bias"], EPSILON)
    outer = gelu(h @ w["w1"] + w["b1"]) @ w["w2"] + w["b2"]
    return layer_norm(h + outer, w["n2_scale"], w["n2_bias"], EPSILON)


def make_tiny_encoder():
    chance = Chance(202)
    words, places = chance.uniform((VOCABULARY, WIDTH)), chance.uniform((TOKENS, WIDTH), -0.5, 0.5)
    layers = encoder_weights(chance)
    about = {
        "family": "text",
        "inputs": [{"name": "tokens", "dtype": "int32", "shape": [1, TOKENS]}],
        "outputs": [{"name": "hidden_state", "dtype": "float32", "shape": [1, TOKENS, WIDTH]}],
    }
    g = Graph("tiny_encoder", about["inputs"], about["outputs"])
    g.constant("split_shape", numpy.array([1, TOKENS, HEADS, WIDTH // HEADS], numpy.int64))
    g.constant("merge_shape", numpy.array([1, TOKENS, WIDTH], numpy.int64))
    for name, value in (("attention_scale", (WIDTH / HEADS) ** -0.5), ("inverse_root_two", 0.5 ** 0.5),
                        ("one", 1.0), ("half", 0.5)):
        g.constant(name, numpy.array(value, numpy.float32))
    h = g.node("Gather", [g.constant("words", words), "tokens"], "embedded", axis=0)
    h = g.node("Add", [h, g.constant("places", places)], "placed")
    for i, layer in enumerate(layers):
        h = encoder_layer_nodes(g, h, i, layer)

    def formula(tokens):
        h = words.astype(numpy.float64)[tokens[0]] + places
        for layer in layers:
            h = encoder_layer_formula(h, layer)
        return [h[numpy.newaxis]]

    samples = [[chance.integers((1, TOKENS), VOCABULARY)] for _ in range(SAMPLE_COUNT)]
    return about, g.serialize(), formula, samples


def make_small_cnn():
    chance = Chance(303)
    shapes = [(16, 3, 3, 3), (32, 16, 3, 3), (48, 32, 3, 3)]
    weights = [chance.uniform(s, -2.2 / numpy.sqrt(s[1] * 9), 2.2 / numpy.sqrt(s[1] * 9))
               for s in shapes]
    biases = [chance.uniform((s[0],), -0.1, 0.1) for s in shapes]
    wd, bd = chance.uniform((48, 10), -1.5, 1.5), chance.uniform((10,), -0.1, 0.1)
    about = {
        "family": "vision",
        "inputs": [{"name": "image", "dtype": "float32", "shape": [1, 3, 32, 32]}],
        "outputs": [{"name": "probabilities", "dtype": "float32", "shape": [1, 10]}],
    }
    g = Graph("small_cnn", about["inputs"], about["outputs"])
    h = "image"
    for i in range(3):
        w, b = g.constant(f"w{i}", weights[i]), g.constant(f"b{i}", biases[i])
        h = g.node("Conv", [h, w, b], f"conv{i}", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        h = g.node("Relu", [h], f"relu{i}")
        if i < 2:
            h = g.node("MaxPool", [h], f"pool{i}", kernel_shape=[2, 2], strides=[2, 2])
    h = g.node("GlobalAveragePool", [h], "average")
    h = g.node("Flatten", [h], "features", axis=1)
    h = g.node("Gemm", [h, g.constant("wd", wd), g.constant("bd", bd)], "logits")
    g.node("Softmax", [h], "probabilities", axis=-1)

    def formula(image):
        h = image[0].astype(numpy.float64)
        for i in range(3):
            h = relu(convolve(h, *f64(weights[i], biases[i]), stride=1, pad=1))
            if i < 2:
                h = max_pool_2x2(h)
        a, c = f64(wd, bd)
        return [softmax(h.mean(axis=(1, 2)) @ a + c)[numpy.newaxis]]

    samples = []
    for _ in range(SAMPLE_COUNT):
        # A picture with a colour cast of its own, so that averages over it differ.
        samples.append([chance.uniform((1, 3, 32, 32)) * 0.6 + chance.uniform((1, 3, 1, 1))])
    return about, g.serialize(), formula, samples


def make_audio_conv():
    chance = Chance(404)
    layers = [((16, 1, 16), 8), ((32, 16, 5), 2), ((48, 32, 5), 2)]
    weights = [chance.uniform(s, -1.8 / numpy.sqrt(s[1] * s[2]), 1.8 / numpy.sqrt(s[1] * s[2]))
               for s, _ in layers]
    biases = [chance.uniform((s[0],), -0.1, 0.1) for s, _ in layers]
    wd, bd = chance.uniform((48, 8), -3.0, 3.0), chance.uniform((8,), -0.1, 0.1)
    sample_count, rate = 1600, 16000.0
    about = {
        "family": "audio",
        "inputs": [{"name": "waveform", "dtype": "float32", "shape": [1, 1, sample_count]}],
        "outputs": [{"name": "probabilities", "dtype": "float32", "shape": [1, 8]}],
    }
    g = Graph("audio_conv", about["inputs"], about["outputs"])
    h = "waveform"
    for i, (shape, stride) in enumerate(layers):
        w, b = g.constant(f"w{i}", weights[i]), g.constant(f"b{i}", biases[i])
        h = g.node("Conv", [h, w, b], f"conv{i}", kernel_shape=[shape[2]], strides=[stride],
                   pads=[2, 2])
        h = g.node("Relu", [h], f"relu{i}")
    h = g.node("ReduceMean", [h], "features", axes=[2], keepdims=0)
    h = g.node("Gemm", [h, g.constant("wd", wd), g.constant("bd", bd)], "logits")
    g.node("Softmax", [h], "probabilities", axis=-1)

    def formula(waveform):
        h = waveform[0].astype(numpy.float64)
        for w, b, (_, stride) in zip(weights, biases, layers):
            h = relu(convolve(h, *f64(w, b), stride=stride, pad=2))
        a, c = f64(wd, bd)
        return [softmax(h.mean(axis=1) @ a + c)[numpy.newaxis]]

    samples = []
    for i in range(SAMPLE_COUNT):
        tone = numpy.sin(numpy.arange(sample_count) * (2 * numpy.pi * 220.0 * (i + 1) / rate))
        noise = chance.uniform((1, 1, sample_count), -0.2, 0.2)
        # Rounded to 1/1024, so that the last bit of this machine's sine has no say.
        samples.append([(numpy.round((0.7 * tone + noise) * 1024) / 1024).astype(numpy.float32)])
    return about, g.serialize(), formula, samples


MODELS = {"mlp": make_mlp, "tiny_encoder": make_tiny_encoder, "small_cnn": make_small_cnn,
          "audio_conv": make_audio_conv}


# Files ----------------------------------------------------------------------------------------------

def check_distinct(name, expected):
    for i, a in enumerate(expected):
        for b in expected[:i]:
            if max(numpy.abs(x - y).max() for x, y in zip(a, b)) < DISTINCT_MIN:
                sys.exit(f"{name}: two samples have nearly the same output")


def pack(tensors):
    """Row-major little-endian bytes of each tensor, each padded to a multiple of 8 bytes."""
    out = b""
    for tensor in tensors:
        out += tensor.astype(tensor.dtype.newbyteorder("<")).tobytes()
        out += bytes(-len(out) % 8)
    return out


def make_files():
    files, index = {}, {}
    for name, make in MODELS.items():
        about, model, formula, samples = make()
        expected = [formula(*inputs) for inputs in samples]
        check_distinct(name, expected)
        outputs = [[y.astype(numpy.float32) for y in outputs] for outputs in expected]
        if len(model) > FILE_BYTES_MAX:
            sys.exit(f"{name}.onnx has {len(model)} bytes, more than {FILE_BYTES_MAX}")
        files[f"{name}.onnx"] = model
        files[f"{name}.samples.bin"] = b"".join(pack(x + y) for x, y in zip(samples, outputs))
        index[name] = {"file": f"{name}.onnx", **about, "samples": f"{name}.samples.bin",
                       "sample_count": SAMPLE_COUNT}
    files["models.json"] = (json.dumps({"models": index}, indent=2) + "\n").encode()
    files["mlp_rows.onnx"] = make_mlp("rows")[1]
    files["lookup_rows.onnx"] = make_lookup()
    files["mean_rows.onnx"] = make_mean()
    # The front of a real model, cut off inside a weight: it looks right until it is parsed.
    files["corrupt.onnx"] = files["mlp.onnx"][:4096]
    return files


def is_same(name, committed, made):
    """Models and index to the byte; samples as numbers, for the last bit depends on the BLAS."""
    if not name.endswith(".samples.bin"):
        return committed == made
    if len(committed) != len(made):
        return False
    if name.startswith("tiny_encoder"):
        ints = TOKENS  # each sample: 32 tokens, then the output
        each = ints + TOKENS * WIDTH
        a, b = (numpy.frombuffer(x, "<i4").reshape(-1, each)[:, :ints] for x in (committed, made))
        if not numpy.array_equal(a, b):
            return False
    a, b = (numpy.frombuffer(x, "<f4") for x in (committed, made))
    return bool(numpy.allclose(a, b, rtol=0, atol=OUTPUT_TOLERANCE))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with what is committed")
    parser.add_argument("--to", type=pathlib.Path, default=HERE, help="directory to write into")
    arguments = parser.parse_args()
    wrong = []
    for name, data in make_files().items():
        path = arguments.to / name
        if arguments.check:
            if not path.exists() or not is_same(name, path.read_bytes(), data):
                wrong.append(name)
        else:
            path.write_bytes(data)
            print(f"{name}: {len(data)} bytes")
    if wrong:
        sys.exit("not what this script makes: " + ", ".join(wrong))


if __name__ == "__main__":
    main()
