"""What an ONNX file may hold, on files that the package onnx wrote."""

import random

import numpy as np
import pytest

from capthemes.errors import ModelError
from capthemes.families.graph import check
from capthemes.store import home

onnx = pytest.importorskip("onnx")
helper, numpy_helper, FLOAT = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
WEIGHT = np.arange(6, dtype=np.float16).reshape(2, 3)


def model(nodes=None, weights=None, **options):
    """x @ weight -> y, or what else is given."""
    nodes = nodes or [
        helper.make_node("Cast", ["w.half"], ["w"], to=FLOAT),
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Constant", [], ["low"], value=numpy_helper.from_array(np.array(-np.inf, np.float32))),
        helper.make_node("Max", ["z", "low"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, FLOAT, None) for name in "xy")
    weights = [numpy_helper.from_array(WEIGHT, "w.half")] if weights is None else weights
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y], weights), **options)


def checked(made):
    return check(made.SerializeToString(), ["x"], ["y"])


def test_weights_are_named_as_in_the_network_with_their_shapes():
    assert checked(model()) == {"w": (2, 3)}
    accurate = home("models") / "accurate" / "transformer.onnx"
    shapes = check(accurate.read_bytes(), ["input_ids", "attention_mask"], ["logits"])
    initializers = onnx.load(accurate).graph.initializer
    assert shapes == {tensor.name.removesuffix(".half"): tuple(tensor.dims) for tensor in initializers}


def changed(change):
    made = model()
    change(made)
    return made


def outside(made):
    onnx.external_data_helper.set_external_data(made.graph.initializer[0], "../../etc/passwd")
    made.graph.initializer[0].ClearField("raw_data")


def located(made):
    made.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def function(made):
    node = helper.make_node("Identity", ["a"], ["b"])
    made.functions.append(helper.make_function("own", "f", ["a"], ["b"], [node], made.opset_import))


def branch(made):
    inner = helper.make_graph([], "inner", [], [])
    made.graph.node.append(helper.make_node("If", ["x"], ["q"], then_branch=inner, else_branch=inner))


def tensor(array):
    return [numpy_helper.from_array(array, "w.half")]


def complex_(made):
    made.graph.initializer[0].data_type = onnx.TensorProto.COMPLEX64


def shortened(made):
    made.graph.initializer[0].dims[0] = 3


def endless(made):
    made.graph.initializer[0].dims[0] = -1


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (model([helper.make_node("Run", ["x"], ["y"], domain="evil.ops")]), "custom operators, of 'evil.ops'"),
        (model(opset_imports=[helper.make_opsetid("com.microsoft", 1)]), "custom operators, of 'com.microsoft'"),
        (changed(outside), "a tensor has field 13"),
        (changed(located), "a tensor has field 14"),
        (changed(function), "a model has field 25"),
        (changed(branch), "a attribute has field 6"),
        (changed(complex_), "of a type that no weights have"),
        (changed(shortened), r"'w.half' of shape \(3, 3\) is not as long as that"),
        (changed(endless), "is not as long as that"),
        (model(weights=tensor(np.array([[1, np.nan]], np.float32))), "'w.half' is not finite"),
        (model(weights=tensor(np.array([[1, np.inf]], np.float16))), "'w.half' is not finite"),
        (model(weights=tensor(np.array(["a"], object))), "a tensor has field 6"),
        (model(weights=tensor(WEIGHT) * 2), "two weights have one name"),
        (model(weights=[]), "'w.half' is used before it is made"),
        (model([helper.make_node("Identity", ["x"], ["z"])]), "'y' is never made"),
        (model([helper.make_node("Identity", ["x"], ["y"])] * 2), "'y' is made twice"),
    ],
)
def test_more_than_weights_and_standard_operators_is_refused(made, message):
    with pytest.raises(ModelError, match=message):
        checked(made)


def test_other_inputs_and_outputs_are_refused():
    with pytest.raises(ModelError, match="inputs or outputs are 'x', not x2"):
        check(model().SerializeToString(), ["x2"], ["y"])


def test_bytes_lost_or_changed_end_in_an_answer_or_in_one_error():
    content, draw = model().SerializeToString(), random.Random(0)
    refused = 0
    for damaged in [content[:i] for i in range(len(content))] + [
        content[:i] + bytes([content[i] ^ (1 << draw.randrange(8))]) + content[i + 1 :] for i in range(len(content))
    ]:
        try:
            check(damaged, ["x"], ["y"])
        except ModelError:
            refused += 1
    assert refused > 1.5 * len(content)
