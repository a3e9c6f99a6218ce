"""Changes to ONNX graphs that make them equal to the model: types, inputs, outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnx import ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, defs, helper, shape_inference

from lifecycle.scoring.contract import MATRIX
from lifecycle.scoring.signature import Signature

_SPLIT_SINCE = 13
"""The first opset whose Split takes the widths as an input."""
_ELEMENTS = {
    "double": TensorProto.DOUBLE,
    "float": TensorProto.FLOAT,
    "long": TensorProto.INT64,
    "integer": TensorProto.INT32,
    "boolean": TensorProto.BOOL,
}
_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE}


def exact_trees(model: ModelProto) -> None:
    """Give tree ensembles float32 where scikit-learn's trees compare float32, and all others the type they want.

    skl2onnx declares the trees' scores as doubles where the input is double; ONNX Runtime's are always float32. So
    all nodes are gone through in order, and where a node mixes both types a Cast is inserted.
    """
    graph = model.graph
    types = {value.name: value.type for value in graph.input}
    types |= {c.name: helper.make_tensor_type_proto(c.data_type, list(c.dims)) for c in graph.initializer}
    nodes: list[NodeProto] = []
    for node in list(graph.node):
        nodes += _cast_inputs(node, types)
        nodes.append(node)
        types |= _outputs_of(node, types, model)
    for output in graph.output:
        if output.name in types:
            output.type.tensor_type.elem_type = _element(types[output.name])
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)


def portable_text(model: ModelProto) -> None:
    """Change text to lower case by a locale that every Linux has; skl2onnx asks for ``en_US``.

    Other than Python's: a final sigma, and the Turkish dotted I.
    """
    for node in model.graph.node:
        if node.op_type == "StringNormalizer":
            kept = [attribute for attribute in node.attribute if attribute.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("locale", "C.UTF-8")])


def _cast_inputs(node: NodeProto, types: dict[str, TypeProto]) -> list[NodeProto]:
    """The Casts that a node needs before it; its inputs are renamed."""
    wanted = _wanted(node, types)
    casts = []
    for index, name in enumerate(node.input) if wanted else ():
        if _element(types.get(name)) in _FLOATS - {wanted}:
            node.input[index] = cast = f"{name}_as_{TensorProto.DataType.Name(wanted).lower()}"
            if cast not in types:
                types[cast] = helper.make_tensor_type_proto(wanted, None)
                casts.append(helper.make_node("Cast", [name], [cast], to=wanted))
    return casts


def _wanted(node: NodeProto, types: dict[str, TypeProto]) -> int:
    """The float type that all of a node's inputs must have; 0 if they may stay as they are."""
    if node.op_type.startswith("TreeEnsemble"):
        exact = any(attribute.name == "nodes_values_as_tensor" for attribute in node.attribute)
        return int(TensorProto.DOUBLE if exact else TensorProto.FLOAT)
    found = {_element(types.get(name)) for name in node.input} & _FLOATS
    return int(TensorProto.DOUBLE) if found == _FLOATS and node.op_type != "Cast" else 0


def _outputs_of(node: NodeProto, types: dict[str, TypeProto], model: ModelProto) -> dict[str, TypeProto]:
    versions = {opset.domain: opset.version for opset in model.opset_import}
    given = {name: types[name] for name in node.input if name in types}
    constants = {c.name: c for c in model.graph.initializer if c.name in given}
    try:
        schema = defs.get_schema(node.op_type, versions[node.domain], node.domain)
        found = shape_inference.infer_node_outputs(
            schema, node, given, constants, None, list(model.opset_import), model.ir_version
        )
    except Exception:  # an operator of ONNX Runtime alone; it checks the graph again when it loads it
        return {}
    # shapes are left out: they would be those of the training rows
    return {
        name: helper.make_tensor_type_proto(_element(kind), None) for name, kind in found.items() if _element(kind)
    }


def _element(kind: TypeProto | None) -> int:
    element: int = 0 if kind is None else kind.tensor_type.elem_type
    return element


def with_row_shape(model: ModelProto, output: str, row_shape: Sequence[int]) -> str:
    """Make an output of one value a row a vector or a column, as the flavor's own answer is.

    Returns:
        The name of the output that is so.
    """
    if tuple(row_shape) not in ((), (1,)):
        return output
    graph, shaped, shape = model.graph, f"{output}_rows", f"{output}_row_shape"
    declared = next(o.type.tensor_type for o in graph.output if o.name == output)
    if len(declared.shape.dim) == 1 + len(row_shape):
        return output
    graph.initializer.append(helper.make_tensor(shape, TensorProto.INT64, [1 + len(row_shape)], [-1, *row_shape]))
    graph.node.append(helper.make_node("Reshape", [output, shape], [shaped]))
    graph.output.append(helper.make_tensor_value_info(shaped, declared.elem_type, [None, *row_shape]))
    return shaped


def one_column_each(model: ModelProto, output: str, width: int) -> tuple[str, ...]:
    """Make the columns of an output of shape (rows, width) outputs of their own; returns their names."""
    graph = model.graph
    kind = next(o.type.tensor_type.elem_type for o in graph.output if o.name == output)
    names = tuple(f"{output}_{column}" for column in range(width))
    for column, name in enumerate(names):
        graph.initializer.append(helper.make_tensor(f"{name}_place", TensorProto.INT64, [1], [column]))
        graph.node.append(helper.make_node("Gather", [output, f"{name}_place"], [name], axis=1))
        graph.output.append(helper.make_tensor_value_info(name, kind, [None, 1]))
    return names


def split_matrix(model: ModelProto, signature: Signature) -> None:
    """Replace the one-per-column inputs of a model by the one input :data:`MATRIX`.

    Raises:
        NotImplementedError: the model's opset is too old.
    """
    if next(o.version for o in model.opset_import if o.domain == "") < _SPLIT_SINCE:
        raise NotImplementedError(f"opset {_SPLIT_SINCE} or later is needed")
    graph, width = model.graph, len(signature.inputs)
    columns = [given.name for given in graph.input]
    widths = f"{MATRIX}_widths"
    graph.initializer.append(helper.make_tensor(widths, TensorProto.INT64, [width], [1] * width))
    graph.node.insert(0, helper.make_node("Split", [MATRIX, widths], columns, axis=1))
    _set_inputs(model, [(MATRIX, _ELEMENTS[signature.inputs[0].type], width)])


def take(model: ModelProto, signature: Signature, inputs: Sequence[str]) -> None:
    """Make a model's own inputs those of a scorer: a matrix or columns for one input of numbers, else one by one.

    Args:
        inputs: The model's inputs, in the order of the signature's tensors; one for columns.

    Raises:
        NotImplementedError: other columns than numbers, or another number of inputs.
    """
    given = {value.name: value for value in model.graph.input}
    if signature.is_tensor:
        if len(inputs) != len(signature.inputs):
            raise NotImplementedError(f"{len(inputs)} inputs for {len(signature.inputs)} tensors of the signature")
        for own, column in zip(inputs, signature.inputs, strict=True):
            wanted = helper.np_dtype_to_tensor_dtype(column.dtype)
            _enter(model, given[own], column.name or "input", wanted, [None, *(column.shape or ())[1:]])
        return
    if len(inputs) != 1 or any(column.type not in _ELEMENTS for column in signature.inputs):
        raise NotImplementedError("columns of numbers for one input only")
    only, width = given[inputs[0]], len(signature.inputs)
    one_type = signature.one_type is not None
    kind = _ELEMENTS[signature.inputs[0].type] if one_type else only.type.tensor_type.elem_type
    _enter(model, only, MATRIX, kind, [None, width])
    if not one_type:
        gather_columns(model, signature, kind)


def _enter(model: ModelProto, own: ValueInfoProto, name: str, kind: int, shape: Sequence[int | None]) -> None:
    """Put an input of this name, type and shape before a model's own input."""
    shape = [None if length == -1 else length for length in shape]
    place = [value.name for value in model.graph.input].index(own.name)
    hidden, given = f"{own.name}_given", own.type.tensor_type.elem_type
    for node in model.graph.node:
        node.input[:] = [hidden if used == own.name else used for used in node.input]
    step = ("Cast", {"to": given}) if kind != given else ("Identity", {})
    model.graph.node.insert(0, helper.make_node(step[0], [name], [hidden], **step[1]))
    model.graph.input.remove(own)
    model.graph.input.insert(place, helper.make_tensor_value_info(name, kind, shape))


def gather_columns(model: ModelProto, signature: Signature, kind: int = TensorProto.DOUBLE) -> None:
    """Replace the one input :data:`MATRIX`, of elements of this kind, by one input per column."""
    parts = [f"{MATRIX}_{i}" for i in range(len(signature.inputs))]
    model.graph.node.insert(0, helper.make_node("Concat", parts, [MATRIX], axis=1))
    for name, part in zip(signature.names, parts, strict=True):
        model.graph.node.insert(0, helper.make_node("Cast", [name], [part], to=kind))
    _set_inputs(model, [(c.name, _ELEMENTS[c.type], 1) for c in signature.inputs])


def keep_only(model: ModelProto, outputs: Iterable[str]) -> None:
    """Remove nodes that these outputs do not need: ONNX Runtime would compute them for every request."""
    graph, wanted = model.graph, list(outputs)
    needed, kept = set(wanted), []
    for node in reversed(graph.node):  # in the order of execution
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    answers = {value.name: value for value in graph.output}
    constants = [value for value in graph.initializer if value.name in needed]
    del graph.node[:], graph.output[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.output.extend(answers[name] for name in wanted)
    graph.initializer.extend(constants)


def _set_inputs(model: ModelProto, inputs: Iterable[tuple[str, int, int]]) -> None:
    """Replace the inputs by these: name, type of the elements, number of columns."""
    del model.graph.input[:]
    model.graph.input.extend(
        helper.make_tensor_value_info(name, kind, [None, width]) for name, kind, width in inputs
    )
