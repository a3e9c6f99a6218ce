"""Whether clients of one signature can go on with another."""

from __future__ import annotations

from lifecycle.scoring.signature import Column, Signature

# Every value of the key's type is also a value of these; but for longs beyond 2**53, which few columns hold.
_WIDER = {
    "integer": {"long", "double"},
    "long": {"double"},
    "float": {"double"},
    "int32": {"int64", "float64"},
    "float32": {"float64"},
}


def input_problems(before: Signature, after: Signature) -> list[str]:
    """What a client that sends the inputs of ``before`` would be refused for, one phrase for each input."""
    known = {column.name: column for column in before.inputs}
    return [problem for column in after.inputs if (problem := _input_problem(known.get(column.name), column))]


def output_problems(before: Signature, after: Signature) -> list[str]:
    """What a client that reads the outputs of ``before`` would not find, one phrase for each output.

    Outputs are found by name, unnamed ones by their place; further ones harm nobody. A type may become narrower:
    an integer where there was a long is a number that the client can hold.
    """
    known = {_key(i, column): column for i, column in enumerate(after.outputs)}
    return [
        problem
        for i, column in enumerate(before.outputs)
        if (problem := _output_problem(column, known.get(_key(i, column))))
    ]


def _input_problem(before: Column | None, after: Column) -> str:
    if before is None:
        return f"input {after.name!r} is new and required" if after.required else ""
    if after.type != before.type and after.type not in _WIDER.get(before.type, ()):
        return f"input {after.name!r} was {before.type} and is now {after.type}"
    if after.shape != before.shape:
        return f"input {after.name!r} has another shape"
    return (
        f"input {after.name!r} was optional and is now required" if after.required and not before.required else ""
    )


def _output_problem(before: Column, after: Column | None) -> str:
    name = f"output {before.name!r}" if before.name else "the output"
    if after is None:
        return f"{name} is gone"
    if after.type != before.type and before.type not in _WIDER.get(after.type, ()):
        return f"{name} was {before.type} and is now {after.type}"
    if after.shape != before.shape:
        return f"{name} had shape {_shape(before)} and has now {_shape(after)}"
    return f"{name} was always there and is now optional" if before.required and not after.required else ""


def _key(place: int, column: Column) -> str | int:
    return column.name or place


def _shape(column: Column) -> str:
    return "of a column" if column.shape is None else str(column.shape).replace("-1", "rows")
