"""The answer to an inference request, and what the request says about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from lifecycle.scoring.signature import InvalidInput
from lifecycle.serving.codecs.v2_binary import to_bytes
from lifecycle.serving.codecs.v2_request import JSON_LENGTH, parameters_of
from lifecycle.serving.codecs.v2_tensors import Array, datatype_of, to_json
from lifecycle.serving.message import Response, json_response

_BINARY = (b"content-type", b"application/octet-stream")


class Reply:
    """What a request says about its answer.

    Attributes:
        id: The request's id, sent back; None without one.
        wanted: Requested outputs in order, each with whether it is binary; None for all outputs.
        binary: Whether other outputs are binary.
    """

    __slots__ = ("binary", "id", "wanted")

    def __init__(self, content: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        """Read ``id`` and ``outputs`` of a request. Raises InvalidInput when they are malformed."""
        self.id = content.get("id")
        if self.id is not None and type(self.id) is not str:
            raise InvalidInput("'id' must be a string")
        self.binary = parameters.get("binary_data_output") is True
        self.wanted = _wanted(content.get("outputs"), binary=self.binary)

    def asked(self, outputs: Mapping[str, Array]) -> list[tuple[str, Array, bool]]:
        """Names, tensors, and whether each is binary. Raises InvalidInput for an unknown name."""
        if self.wanted is None:
            return [(name, values, self.binary) for name, values in outputs.items()]
        unknown = [repr(name[:100]) for name in self.wanted if name not in outputs]
        if unknown:
            known = ", ".join(map(repr, outputs))
            raise InvalidInput(f"there is no output {', '.join(unknown[:10])}; there are {known}")
        return [(name, outputs[name], binary) for name, binary in self.wanted.items()]


def answer(content: dict[str, Any], asked: list[tuple[str, Array, bool]]) -> Response:
    """The response.

    Args:
        content: Fields before the outputs.
    """
    outputs, tensors = [], []
    for name, values, binary in asked:
        output: dict[str, Any] = {"name": name, "datatype": datatype_of(values.dtype), "shape": values.shape}
        if binary:
            tensors.append(to_bytes(values))
            output["parameters"] = {"binary_data_size": len(tensors[-1])}
        else:
            output["data"] = to_json(values)
        outputs.append(output)
    content["outputs"] = outputs
    head = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    if not tensors:
        return json_response(head)
    return Response(200, b"".join((head, *tensors)), [_BINARY, (JSON_LENGTH, b"%d" % len(head))])


def _wanted(outputs: Any, *, binary: bool) -> dict[str, bool] | None:
    if outputs is None or outputs == []:
        return None
    if type(outputs) is not list:
        raise InvalidInput("'outputs' must be a list of objects with a name")
    wanted = {}
    for output in outputs:
        if type(output) is not dict or type(name := output.get("name")) is not str or name in wanted:
            raise InvalidInput("each of 'outputs' must be an object with a name of its own")
        wanted[name] = parameters_of(output).get("binary_data", binary) is True
    return wanted
