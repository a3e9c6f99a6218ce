"""What is wrong with what a client sends. Names the column and what is wrong, never the value."""

from __future__ import annotations

from lifecycle.errors import LifecycleError


class InvalidInput(LifecycleError):
    """Rows that do not fit the signature."""

    code = "INVALID_INPUT"
    exit_code = 2


class Malformed(InvalidInput):
    """A body that is not in one of the formats: nobody can say what its rows are."""


class SchemaMismatch(InvalidInput):
    """Rows that lack a column, or a tensor of another shape."""


class InvalidParams(InvalidInput):
    """Inference parameters that are not of the type that the signature gives them."""
