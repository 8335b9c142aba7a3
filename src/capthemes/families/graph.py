"""The graph of an ONNX file: walked before it is run, so that it holds weights and standard operators and no more.

A walk over protobuf's wire format finds in milliseconds what the package `onnx` would parse in more than a second
and a session of ONNX Runtime only when it is built. Fields are those of onnx.proto (ONNX 1.17).
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from capthemes.errors import ModelError

Value = int | memoryview
Message = dict[int, list[Value]]

# Field numbers that a message may have, and of those the ones that it may have more than once. Everything else is
# refused: functions and training steps of a model, subgraphs, sparse and external tensors, references.
MODEL = (frozenset((1, 2, 3, 4, 5, 6, 7, 8, 14)), frozenset((8, 14)))
OPERATORS = (frozenset((1, 2)), frozenset[int]())
GRAPH = (frozenset((1, 2, 5, 10, 11, 12, 13, 16)), frozenset((1, 5, 11, 12, 13, 16)))
NODE = (frozenset((1, 2, 3, 4, 5, 6, 7, 9)), frozenset((1, 2, 5, 9)))
ATTRIBUTE = (frozenset((1, 2, 3, 4, 5, 7, 8, 9, 13, 20)), frozenset((7, 8, 9)))
TENSOR = (frozenset((1, 2, 8, 9, 12, 16)), frozenset((1, 16)))
NAMED = (frozenset((1, 2, 3, 4)), frozenset((4,)))  # a graph's input or output
STANDARD = (b"", b"ai.onnx")  # domains of operators
KINDS = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 9: "u1", 10: "<f2", 11: "<f8"}  # data types of tensors
EXPONENTS = {"<f2": ("<u2", 0x7C00), "<f4": ("<u4", 0x7F800000), "<f8": ("<u8", 0x7FF << 52)}  # all ones: not finite
HALF = ".half"  # ends the name of a weight that is kept in half precision
PART = 1 << 18  # numbers looked at together, so that they stay in a processor's cache


def check(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The shapes of an ONNX file's weights by their names in the network, once all of it is in order.

    In order is one graph of standard operators without subgraphs, every value made before it is used, from `inputs`
    to `outputs`; every tensor within the file, as long as its shape asks, and finite (a number without a shape may be
    infinite). Raises ModelError, saying what is not.
    """
    try:
        model = _message(memoryview(content), MODEL, "model")
        for operators in model.get(8, []):
            _standard(_message(operators, OPERATORS, "operator set").get(1))
        return _check_graph(_message(_one(model, 7), GRAPH, "graph"), inputs, outputs)
    except ValueError as error:
        raise ModelError(f"the ONNX file is damaged or not plain ({error}); fetch the model anew") from error


def _check_graph(graph: Message, inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, tuple[int, ...]]:
    weights = dict(_tensor(content) for content in graph.get(5, []))
    if len(weights) < len(graph.get(5, [])):
        raise ValueError("two weights have one name")
    for field, names in ((11, inputs), (12, outputs)):
        found = [_text(_message(content, NAMED, "value").get(1)) for content in graph.get(field, [])]
        if sorted(found) != sorted(names):
            raise ValueError(f"its inputs or outputs are {', '.join(found)!r:.200}, not {', '.join(names)}")
    made = {*inputs, *weights}
    for content in graph.get(1, []):
        node = _message(content, NODE, "node")
        _standard(node.get(7))
        for attribute in node.get(5, []):
            for tensor in _message(attribute, ATTRIBUTE, "attribute").get(5, []):
                _tensor(tensor)
        if lost := [name for name in map(_text_of, node.get(1, [])) if name and name not in made]:
            raise ValueError(f"{lost[0]!r:.60} is used before it is made")
        fresh = {_text_of(name) for name in node.get(2, [])} - {""}
        if again := made & fresh:
            raise ValueError(f"{again.pop()!r:.60} is made twice")
        made |= fresh
    if lost := [name for name in outputs if name not in made]:
        raise ValueError(f"{lost[0]!r} is never made")
    return {name.removesuffix(HALF): shape for name, shape in weights.items()}


def _tensor(content: Value) -> tuple[str, tuple[int, ...]]:
    """Name and shape of a tensor whose bytes are in the file, of the length that its shape asks, and finite."""
    tensor = _message(content, TENSOR, "tensor")
    name, shape = _text(tensor.get(8)), tuple(_integers(tensor.get(1, [])))
    kind = KINDS.get(_integer(tensor.get(2)))
    if kind is None:
        raise ValueError(f"tensor {name!r:.60} is of a type that no weights have")
    raw = tensor.get(9, [memoryview(b"")])[0]
    if isinstance(raw, int) or math.prod(shape) * np.dtype(kind).itemsize != len(raw):
        raise ValueError(f"tensor {name!r:.60} of shape {shape!r:.60} is not as long as that")
    if kind in EXPONENTS and not _finite(raw, kind) and (shape or np.isnan(np.frombuffer(raw, kind)).any()):
        raise ValueError(f"tensor {name!r:.60} is not finite")
    return name, shape


def _finite(raw: memoryview, kind: str) -> bool:
    """Whether no number's exponent is all ones: numpy.isfinite takes four times as long for halves."""
    unsigned, exponent = EXPONENTS[kind]
    bits = np.frombuffer(raw, unsigned)
    mask = bits.dtype.type(exponent)
    return all((bits[i : i + PART] & mask).max() != mask for i in range(0, len(bits), PART))


def _message(content: Value, schema: tuple[frozenset[int], frozenset[int]], what: str) -> Message:
    """The fields of a message by number. Raises ValueError for one that it may not have, or not twice."""
    if isinstance(content, int):
        raise ValueError(f"a {what} is a number")
    allowed, repeated = schema
    found: Message = {}
    for number, value in _fields(content):
        if number not in allowed:
            raise ValueError(f"a {what} has field {number} of onnx.proto, which is not run here")
        if number in found and number not in repeated:
            raise ValueError(f"a {what} has field {number} twice")
        found.setdefault(number, []).append(value)
    return found


def _fields(content: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field: an integer, or the bytes of all else."""
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        wire = key & 7
        if wire == 0:
            value, place = _varint(content, place)
            yield key >> 3, value
            continue
        if wire == 2:
            length, place = _varint(content, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"no protobuf at byte {place}")
        if place + length > len(content):
            raise ValueError("it is cut off")
        yield key >> 3, content[place : place + length]
        place += length


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    if place < len(content) and content[place] < 0x80:  # as most are
        return content[place], place + 1
    value = shift = 0
    while place < len(content) and shift < 64:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("it is cut off")


def _integers(values: Sequence[Value]) -> Iterator[int]:
    """Repeated integers, packed or one by one."""
    for value in values:
        if isinstance(value, int):
            yield value
            continue
        place = 0
        while place < len(value):
            number, place = _varint(value, place)
            yield number


def _integer(values: Sequence[Value] | None) -> int:
    if values and not isinstance(values[0], int):
        raise ValueError("a number is none")
    return int(values[0]) if values and isinstance(values[0], int) else 0


def _one(message: Mapping[int, Sequence[Value]], field: int) -> Value:
    if field not in message:
        raise ValueError("it holds no graph")
    return message[field][0]


def _text(values: Sequence[Value] | None) -> str:
    return _text_of(values[0]) if values else ""


def _text_of(value: Value) -> str:
    if isinstance(value, int):
        raise ValueError("a name is a number")
    return str(value, "utf-8")


def _standard(domains: Sequence[Value] | None) -> None:
    """Raise ValueError for operators of any other domain than ONNX's own."""
    for domain in domains or ():
        if isinstance(domain, int) or bytes(domain) not in STANDARD:
            raise ValueError(f"it asks for custom operators, of {_text_of(domain)!r:.60}")
