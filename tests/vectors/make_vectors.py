#!/usr/bin/env python3
# Everpool: makes the golden messages of everpool.v1. See README.md.
# SPDX-License-Identifier: BSL-1.0
"""make_vectors.py [--check]

Writes valid/*.bin, invalid/*.bin and vectors.json beside this file; with --check compares instead.

Written from the protocol's description (include/everpool/wire/README.md) and from nothing else: no
line of either codec is used here, so what both codecs do alike and wrong is found all the same.
"""

import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
BOTH, CPP = ["cpp", "js"], ["cpp"]
INTEGER_MAX = 2**53 - 1
KINDS = ("hello ready load_model progress unload_model run result error ping pong cancel drain bye "
         "event").split()
FORMATS = {"float32": "f", "float64": "d", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H",
           "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "bool": "?", "float16": "e"}


def padding(data):
    return b"\0" * (-len(data) % 8)


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def frame(kind, header, payload=b"", *, magic=b"EVP1", version=1, reserved=0, header_bytes=None,
          reserved_end=0):
    """A frame out of its parts. `header` is text or bytes; anything may be wrong."""
    text = header.encode() if isinstance(header, str) else header
    code = KINDS.index(kind) + 1 if isinstance(kind, str) else kind
    length = len(text) if header_bytes is None else header_bytes
    head = struct.pack("<4sBBHII", magic, version, code, reserved, length, reserved_end) + text
    return head + padding(head) + payload


def tensor(name, dtype, shape, values):
    """What a header says of a tensor, and its bytes."""
    return ({"name": name, "dtype": dtype, "shape": shape},
            struct.pack(f"<{len(values)}{FORMATS[dtype]}", *values))


class Vectors:
    def __init__(self):
        self.files, self.valid, self.invalid = {}, [], []

    def add_file(self, path, data):
        assert path not in self.files, path
        self.files[path] = data

    def accept(self, name, why, kind, header, tensors=None, *, data=None, readers=BOTH):
        """`header` is what is meant. `data` is the frame where it is not the canonical one."""
        described = [entry for entry, _ in tensors or []]
        payload = b"".join(content + padding(content) for _, content in tensors or [])
        full = header if tensors is None else {**header, "tensors": described}
        canonical = frame(kind, compact(full), payload)
        assert data != canonical, f"{name} is canonical"
        self.add_file(f"valid/{name}.bin", data or canonical)
        meaning = {"kind": kind, "header": header, "tensors": [
            {**entry, "data": content.hex()} for entry, content in tensors or []]}
        self.valid.append({"name": name, "why": why, "readers": readers,
                           "is_canonical": data is None, "meaning": meaning})

    def refuse(self, fault, name, why, data, *, readers=BOTH, **limits):
        self.add_file(f"invalid/{name}.bin", data)
        entry = {"name": name, "why": why, "readers": readers, "fault": fault}
        self.invalid.append({**entry, "limits": limits} if limits else entry)


ENGINE = {"name": "chromium", "version": "120.0", "user_agent": "Mozilla/5.0 (X11; Linux x86_64)"}
WEBGPU = {"available": True, "vendor": "google", "architecture": "swiftshader", "device": "",
          "description": "SwiftShader \"Device\"", "is_fallback_adapter": True,
          "limits": {"maxBufferSize": INTEGER_MAX, "maxBindGroups": 4}}
REST = {"wasm": {"simd": True, "threads": False},
        "memory": {"device_memory_gib": 0.5, "js_heap_bytes_max": 4294705152},
        "cross_origin_isolated": True}
RUN = {"id": 1, "attempt": 1, "operation": "echo"}
ANSWER = {"id": 1, "attempt": 1}
MEASURED = {"is_fallback_adapter": False, "queue_ms": 0.25, "compute_ms": 1234.5}


def add_page_messages(v):
    hello = {"role": "control", "token": "0f" * 32, "protocol": 1, "realm": 1, "engine": ENGINE}
    v.accept("hello_control", "the control connection says nothing of capabilities", "hello", hello)
    v.accept("hello_data", "all capabilities", "hello",
             {**hello, "role": "data", "realm": 2, "capabilities": {
                 "webgpu": WEBGPU, "webnn": {"available": True, "device_types": ["cpu", "npu"]},
                 **REST}})
    bare = {**hello, "role": "data", "capabilities": {
        "webgpu": {"available": False}, "webnn": {"available": False, "device_types": []}, **REST}}
    reasons = json.loads(compact(bare))
    reasons["capabilities"]["webgpu"]["reason"] = "there is no navigator.gpu"
    v.accept("hello_without_gpu", "what is not available is not described, and may have a reason",
             "hello", bare, data=frame("hello", compact(reasons)))
    spec = {"name": "x", "dtype": "float32", "shape": [-1, 4]}
    v.accept("ready_loaded", "answers load_model; -1 is a free dimension", "ready",
             {"id": 4, "model": "mlp", "provider": "wasm", "is_fallback_adapter": False,
              "inputs": [spec], "outputs": [{**spec, "name": "y"}, {**spec, "shape": []}],
              "fetch_ms": 12.5, "create_ms": 80})
    v.accept("ready_unloaded", "answers unload_model", "ready",
             {"id": 5, "model": "mlp", "unloaded": True})
    v.accept("progress", "of loading a model", "progress",
             {"id": 4, "model": "mlp", "phase": "fetch", "loaded": 1024, "total": 18224})
    v.accept("error", "of a run", "error",
             {"id": 7, "attempt": 2, "code": "device_lost", "message": "GPU process crashed"})
    v.accept("error_of_no_request", "id 0", "error",
             {"id": 0, "attempt": 0, "code": "protocol_error", "message": ""})
    v.accept("error_of_unknown_code", "a code of a newer page is a failed operation", "error",
             {**ANSWER, "code": "operation_failed", "message": "m"}, readers=CPP,
             data=frame("error", compact({**ANSWER, "code": "made_up_later", "message": "m"})))
    v.accept("pong", "", "pong", {"sequence": 41})
    v.accept("event", "", "event", {"type": "device_lost", "message": "GPUDevice lost: unknown"})


def add_host_messages(v):
    v.accept("load_model", "", "load_model",
             {"id": 4, "model": "mlp", "url": "models/mlp", "bytes": 18224,
              "providers": ["webnn", "webgpu", "wasm"]})
    v.accept("unload_model", "", "unload_model", {"id": 5, "model": "mlp"})
    v.accept("ping", "", "ping", {"sequence": 41})
    v.accept("ping_of_largest_number", "the largest integer that JavaScript holds", "ping",
             {"sequence": INTEGER_MAX})
    v.accept("cancel", "", "cancel", {"id": 7, "attempt": 4294967295})
    v.accept("drain", "", "drain", {"restart_compute": False})
    v.accept("drain_restart", "", "drain", {"restart_compute": True})
    v.accept("bye", "either side", "bye", {"reason": "the pool stops"})


def add_tensors(v):
    x = tensor("x", "float32", [2, 2], [1.0, -2.0, 0.5, 4.0])
    v.accept("run_echo", "no tensors", "run", RUN, [])
    v.accept("run_inference", "the second payload begins after the padding of the first", "run",
             {"id": 2, "attempt": 1, "operation": "inference", "model": "mlp"},
             [tensor("odd", "uint8", [3], [1, 2, 3]), x])
    v.accept("run_module", "parameters and a module", "run",
             {"id": 3, "attempt": 2, "operation": "top_k",
              "parameters": {"k": 5, "nested": {"list": [1, None, True, "x"]}},
              "module_url": "modules/top_k"}, [x])
    v.accept("run_every_dtype", "two elements of each type, 8-byte aligned", "run", RUN,
             [tensor(dtype, dtype, [2], [True, False] if dtype == "bool" else [1, 2])
              for dtype in FORMATS])
    v.accept("run_scalar_and_empty", "a scalar has one element, a dimension of 0 makes none",
             "run", RUN,
             [tensor("scalar", "int64", [], [-1]), tensor("empty", "float64", [0, 7], []),
              tensor("also empty", "int8", [INTEGER_MAX, INTEGER_MAX, 0], [])])
    v.accept("run_most_dimensions", "16 of them", "run", RUN,
             [tensor("x", "bool", [1] * 16, [True])])
    v.accept("run_longest_name", "1024 bytes", "run", RUN,
             [tensor("\u00fc" * 512, "bool", [0], [])])
    v.accept("result", "with all that it can say", "result",
             {**ANSWER, "provider": "webgpu", "is_fallback_adapter": True, "queue_ms": 0.25,
              "compute_ms": 1234.5, "info": {"searched": 7, "by": "\u00fc"}}, [x])
    v.accept("result_without_provider", "of an operation that no model is part of", "result",
             {**ANSWER, **MEASURED}, [])
    v.accept("result_of_echo", "the frame of the run with the kind of a result", "result", ANSWER,
             [x], data=frame("result", compact({**RUN, "tensors": [x[0]]}), x[1]))


def add_spellings(v):
    """Valid, and not as an encoder writes them."""
    odd = "\u00fc \U0001f600 \" \\ / \b \f \n \r \t \x00 \x01 \x1f \x7f \u2028"
    v.accept("text_with_escapes", "what JSON must escape, and nothing else, is escaped", "bye",
             {"reason": odd})
    v.accept("text_all_escaped", "the same, with every escape there is", "bye", {"reason": odd},
             data=frame("bye", json.dumps({"reason": odd}).replace("/", "\\/")))
    v.accept("whitespace", "between the parts of the header", "ping", {"sequence": 41},
             data=frame("ping", " {\n\t\"sequence\" :\r 41 } "))
    v.accept("field_order", "does not matter", "cancel", {"id": 7, "attempt": 1},
             data=frame("cancel", '{"attempt":1,"id":7}'))
    v.accept("unknown_fields", "are ignored, whatever they hold", "ping", {"sequence": 41},
             data=frame("ping", '{"new":[{"a":null}],"sequence":41,"tensors":7,"__proto__":{}}'))
    v.accept("field_twice", "the last one counts", "ping", {"sequence": 2},
             data=frame("ping", '{"sequence":1,"sequence":2}'))
    v.accept("key_with_escape", "is the same key", "ping", {"sequence": 41},
             data=frame("ping", '{"\\u0073equence":41}'))
    v.accept("info_key_with_escape", "the info of a result, under another spelling", "result",
             {**ANSWER, "info": {"x": 1}}, [],
             data=frame("result", '{"id":1,"attempt":1,"inf\\u006f":{"x":1},"tensors":[]}'))
    deep = "[" * 31 + "]" * 31
    v.accept("deepest", "32 levels, the header included", "ping", {"sequence": 41},
             data=frame("ping", '{"sequence":41,"x":' + deep + "}"))


def add_bad_frames(v):
    ping = '{"sequence":123}'
    whole = frame("ping", ping)
    v.refuse("truncated", "nothing", "", b"")
    v.refuse("truncated", "prefix_cut", "15 bytes", whole[:15])
    v.refuse("truncated", "header_cut", "one byte less than it says", whole[:-1])
    v.refuse("truncated", "header_padding_missing", "", frame("ping", '{"sequence":1}')[:30])
    v.refuse("truncated", "header_longer_than_frame", "", frame("ping", ping, header_bytes=1000))
    v.refuse("truncated", "header_at_limit", "announced, not there",
             frame("ping", ping, header_bytes=2**20))
    v.refuse("header_too_large", "header_above_limit", "",
             frame("ping", ping, header_bytes=2**20 + 1))
    v.refuse("header_too_large", "header_of_4_gib", "16 more would overflow 32 bits",
             frame("ping", ping, header_bytes=2**32 - 1))
    v.refuse("frame_too_large", "frame_above_limit", "", whole, readers=CPP, frame_bytes_max=31)
    v.refuse("bad_magic", "magic_of_next", "", frame("ping", ping, magic=b"EVP2"))
    v.refuse("bad_magic", "magic_reversed", "not big-endian", frame("ping", ping, magic=b"1PVE"))
    v.refuse("bad_version", "version_0", "", frame("ping", ping, version=0))
    v.refuse("bad_version", "version_2", "", frame("ping", ping, version=2))
    for kind in (0, 15, 255):
        v.refuse("unknown_kind", f"kind_{kind}", "", frame(kind, ping))
    for bit in (0, 8):
        v.refuse("bad_reserved", f"reserved_{6 + bit // 8}", "",
                 frame("ping", ping, reserved=1 << bit))
    for bit in (0, 8, 16, 31):
        v.refuse("bad_reserved", f"reserved_{12 + bit // 8}", "",
                 frame("ping", ping, reserved_end=1 << bit))
    dirty = bytearray(frame("ping", '{"sequence":1}'))
    dirty[-1] = 1
    v.refuse("bad_padding", "header_padding_dirty", "", bytes(dirty))
    v.refuse("length_mismatch", "bytes_after_header", "a payload of nobody", whole + b"\0" * 8)
    v.refuse("length_mismatch", "byte_after_header", "not a multiple of 8", whole + b"\0")


def add_bad_json(v):
    cases = {
        "empty": "", "null": "null", "number": "1", "text": '"x"', "array": "[{}]",
        "cut": '{"sequence":1', "two_objects": '{"sequence":1}{}',
        "trailing_comma": '{"sequence":1,}', "comment": '{"sequence":1/**/}',
        "single_quotes": "{'sequence':1}", "bare_key": "{sequence:1}",
        "leading_zero": '{"sequence":01}', "plus": '{"sequence":+1}', "nan": '{"sequence":NaN}',
        "hexadecimal": '{"sequence":0x1}', "control_character": '{"sequence":1,"x":"\t"}',
        "unknown_escape": '{"sequence":1,"x":"\\x"}', "short_escape": '{"sequence":1,"x":"\\u12"}',
        "null_byte_after": '{"sequence":1}\0', "byte_order_mark": '\ufeff{"sequence":1}',
        "not_utf8": b'{"sequence":1,"x":"\xff"}', "overlong": b'{"sequence":1,"x":"\xc0\x80"}',
        "surrogate": b'{"sequence":1,"x":"\xed\xa0\x80"}', "cut_utf8": b'{"sequence":1,"x":"\xc3"}'}
    for name, text in cases.items():
        v.refuse("malformed_json", f"json_{name}", "", frame("ping", text))
    v.refuse("malformed_json", "json_half_surrogate", "JavaScript can hold it, UTF-8 cannot",
             frame("ping", '{"sequence":1,"x":"\\ud800"}'), readers=CPP)
    v.refuse("malformed_json", "json_too_deep", "33 levels",
             frame("ping", '{"sequence":1,"x":' + "[" * 32 + "]" * 32 + "}"), readers=CPP)


def add_bad_fields(v):
    """What the page's session judges, not its decoder."""
    for name, kind, text in (
            ("missing", "ping", "{}"), ("null", "ping", '{"sequence":null}'),
            ("text", "ping", '{"sequence":"1"}'), ("negative", "ping", '{"sequence":-1}'),
            ("fraction", "ping", '{"sequence":1.5}'),
            ("written_as_fraction", "ping", '{"sequence":1.0}'),
            ("too_large", "ping", '{"sequence":9007199254740992}'),
            ("huge", "ping", '{"sequence":1e999}'),
            ("attempt_too_large", "cancel", '{"id":1,"attempt":4294967296}'),
            ("flag_as_number", "drain", '{"restart_compute":1}'),
            ("unknown_role", "hello", compact({"role": "x", "token": "", "protocol": 1, "realm": 1,
                                               "engine": ENGINE})),
            ("unknown_provider", "load_model", compact({"id": 1, "model": "", "url": "", "bytes": 0,
                                                        "providers": ["cuda"]})),
            ("negative_time", "result", compact({**ANSWER, "queue_ms": -1, "tensors": []})),
            ("info_as_text", "result", compact({**ANSWER, "info": "{}", "tensors": []})),
            ("name_too_long", "unload_model", compact({"id": 1, "model": "x" * 1025})),
            ("unloaded_false", "ready", '{"id":1,"model":"m","unloaded":false}')):
        v.refuse("bad_field", f"field_{name}", "", frame(kind, text), readers=CPP)


def add_bad_tensors(v):
    def run(tensors, payload=b""):
        return frame("run", compact({**RUN, "tensors": tensors}), payload)

    def of_shape(shape, dtype="uint8", name="x"):
        return [{"name": name, "dtype": dtype, "shape": shape}]

    v.refuse("bad_field", "tensors_missing", "", frame("run", compact(RUN)))
    v.refuse("bad_field", "tensors_no_list", "", run({}))
    v.refuse("bad_field", "tensors_too_many", "1025", run(of_shape([0]) * 1025))
    entries = {
        "null": None, "number": 1, "list": [], "object": {},
        "nameless": {"dtype": "uint8", "shape": []},
        "named_by_number": {"name": 1, "dtype": "uint8", "shape": []},
        "without_dtype": {"name": "x", "shape": []},
        "without_shape": {"name": "x", "dtype": "uint8"},
        "of_unknown_dtype": of_shape([], "complex64")[0],
        "of_inherited_dtype": of_shape([], "toString")[0],
        "of_shape_number": of_shape(1)[0], "of_shape_text": of_shape("1")[0]}
    for name, entry in entries.items():
        v.refuse("bad_tensor", f"tensor_{name}", "", run([entry], b"\0" * 8))
    shapes = {
        "negative": [-1], "fraction": [1.5], "text": ["1"], "null": [None], "list": [[1]],
        "too_large": [INTEGER_MAX + 1], "negative_beside_zero": [0, -1], "17": [1] * 17,
        "product_2_64": [2**32, 2**32], "product_2_63": [2**31, 2**31, 2],
        "most": [INTEGER_MAX] * 16}
    for name, shape in shapes.items():
        v.refuse("bad_tensor", f"dimension_{name}", "", run(of_shape(shape), b"\0" * 8))
    v.refuse("bad_tensor", "bytes_2_53", "few enough elements, too many bytes",
             run(of_shape([2**50], "float64")))
    v.refuse("length_mismatch", "bytes_below_2_53", "announced, not there",
             run(of_shape([2**50 - 1], "float64")))
    v.refuse("bad_tensor", "tensor_name_too_long", "1025 bytes",
             run(of_shape([0], name="\u00fc" * 512 + "x")))
    v.refuse("length_mismatch", "payload_missing", "", run(of_shape([8])))
    v.refuse("length_mismatch", "payload_short", "", run(of_shape([9]), b"\1" * 8))
    v.refuse("length_mismatch", "payload_long", "", run(of_shape([8]), b"\1" * 16))
    v.refuse("length_mismatch", "payload_unpadded", "", run(of_shape([7]), b"\1" * 7))
    v.refuse("length_mismatch", "payload_of_empty", "", run(of_shape([0]), b"\0" * 8))
    v.refuse("bad_padding", "payload_padding_dirty", "", run(of_shape([7]), b"\1" * 8))


def make():
    v = Vectors()
    for add in (add_page_messages, add_host_messages, add_tensors, add_spellings, add_bad_frames,
                add_bad_json, add_bad_fields, add_bad_tensors):
        add(v)
    index = {"valid": v.valid, "invalid": v.invalid}
    v.add_file("vectors.json", (json.dumps(index, indent=1) + "\n").encode())
    return v.files


def main():
    files = make()
    if sys.argv[1:] == ["--check"]:
        paths = [*HERE.glob("valid/*"), *HERE.glob("invalid/*"), *HERE.glob("vectors.json")]
        present = {path.relative_to(HERE).as_posix(): path.read_bytes() for path in paths}
        wrong = sorted(name for name in files.keys() | present.keys()
                       if files.get(name) != present.get(name))
        for name in wrong:
            print(f"{name} is not what make_vectors.py makes")
        return 1 if wrong else 0
    for name, data in files.items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
