"""An inference request of the Open Inference Protocol: JSON, with tensors in it or behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifecycle.scoring.json_rows import parse
from lifecycle.scoring.signature import InvalidInput
from lifecycle.serving.codecs.v2_binary import from_bytes
from lifecycle.serving.codecs.v2_tensors import DATATYPES, Array, from_json
from lifecycle.serving.message import Request
from lifecycle.serving.refusal import Refusal

JSON_LENGTH = b"inference-header-content-length"
"""Header with the number of bytes that are JSON; tensors follow. Absent without binary tensors."""

_LONGEST_NAME = 1000
_SIMPLE = (str, int, float, bool)
_NOTHING: Mapping[str, Any] = {}


def read_content(body: bytes, length: int) -> dict[str, Any]:
    """The JSON of ``length`` bytes at the start of a body. Raises InvalidInput when it is not an object."""
    content = parse(body if length == len(body) else body[:length])
    if type(content) is not dict:
        raise InvalidInput("the body must be a JSON object with 'inputs'")
    return content


def json_length(request: Request) -> int:
    """Number of bytes of the body that are JSON.

    Raises:
        InvalidInput: the header is not a valid length.
        Refusal: 415 for a compressed body.
    """
    found = None
    for name, value in request.headers:
        if name == JSON_LENGTH:
            if found is not None:
                raise InvalidInput("send Inference-Header-Content-Length once")
            found = value
        elif name == b"content-encoding" and value != b"identity":
            raise Refusal(415, "send the body without Content-Encoding")
    if found is None:
        return len(request.body)
    if not found.isdigit() or len(found) > 12 or int(found) > len(request.body):
        raise InvalidInput("Inference-Header-Content-Length must be the length of the JSON part of the body")
    return int(found)


def read_tensors(content: Mapping[str, Any], body: bytes, offset: int) -> dict[str, Array]:
    """The inputs by name.

    Args:
        offset: Start of the tensors behind the JSON.

    Raises:
        InvalidInput: a tensor is malformed.
    """
    inputs = content.get("inputs")
    if type(inputs) is not list or not inputs:
        raise InvalidInput("the request needs 'inputs', a list of tensors")
    tensors: dict[str, Array] = {}
    for spec in inputs:
        name, datatype, shape = _head(spec)
        if name in tensors:
            raise InvalidInput(f"input {name!r} is there twice")
        parameters = parameters_of(spec)
        size = parameters.get("binary_data_size")
        if size is None:
            content_type = parameters.get("content_type")
            tensors[name] = from_json(name, datatype, shape, spec.get("data"), content_type)
            continue
        end = _end(name, offset, size, len(body))
        if "data" in spec:
            raise InvalidInput(f"input {name!r} has both data and binary_data_size")
        tensors[name] = from_bytes(name, datatype, shape, body, (offset, end))
        offset = end
    if offset != len(body):
        raise InvalidInput("the body is longer than the JSON and the tensors that it announces")
    return tensors


def parameters_of(owner: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a request, an input or an output.

    Raises:
        InvalidInput: not an object of strings, numbers and booleans, or an unsupported parameter.
    """
    parameters = owner.get("parameters")
    if parameters is None:
        return _NOTHING
    if type(parameters) is not dict:
        raise InvalidInput("'parameters' must be an object")
    for name, value in parameters.items():
        if type(value) not in _SIMPLE:
            raise InvalidInput(f"parameter {name[:100]!r} must be a string, a number or a boolean")
        if name in _ABSENT:
            raise InvalidInput(f"parameter {name!r} asks for an extension that this server does not have")
    return parameters


_ABSENT = {"shared_memory_region", "classification"}


def _head(spec: Any) -> tuple[str, str, Any]:
    if type(spec) is not dict:
        raise InvalidInput("each of 'inputs' must be an object with name, shape, datatype and data")
    name, datatype = spec.get("name"), spec.get("datatype")
    if type(name) is not str or len(name) > _LONGEST_NAME:  # it is repeated in the error message
        raise InvalidInput(f"each of 'inputs' needs a name, of at most {_LONGEST_NAME} characters")
    if type(datatype) is not str or datatype not in DATATYPES:
        raise InvalidInput(f"input {name!r} needs a datatype, one of: {', '.join(DATATYPES)}")
    return name, datatype, spec.get("shape")


def _end(name: str, offset: int, size: Any, length: int) -> int:
    if type(size) is not int or size < 0 or offset + size > length:
        raise InvalidInput(
            f"binary_data_size of input {name!r} is more than what follows the JSON;"
            " its length goes into the header Inference-Header-Content-Length"
        )
    return offset + size
