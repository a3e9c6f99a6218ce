"""Symbolic analysis of pickles. Nothing is unpickled and nothing imported.

Code before the point where a pickle breaks would already have run. So the analysis goes on wherever the
unpickler might, and keeps its results when it cannot.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from lifecycle.gates.safety.pickle_machine import (
    ANYTHING,
    LIST,
    SET,
    EndOfPickle,
    Item,
    Memo,
    Name,
    Opcode,
    OpcodeReader,
    Stack,
    TooMuch,
)

_MOST_NAMES = 10_000


@dataclass(slots=True)
class PickleReport:
    """What unpickling would import and call, up to the pickle's end or to where it breaks.

    Attributes:
        names: Imported names.
        calls: Imported names that it calls or instantiates.
        oddities: Phrases for constructs that no list can allow.
        acts: Whether it calls anything, or might.
        broken: Why it breaks off; empty if it is complete.
        length: Length in bytes.
    """

    names: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    oddities: set[str] = field(default_factory=set)
    acts: bool = False
    broken: str = ""
    length: int = 0


def analyse_pickle(file: BinaryIO, size: int) -> PickleReport:
    """Analyse one pickle from the current position of ``file``, of at most ``size`` bytes.

    Raises:
        TooMuch: the analysis would need too much memory.
    """
    return _Machine(OpcodeReader(file, size)).run()


class _Machine(Stack):
    """Symbolic pickle machine: tracks imports and calls, creates no objects."""

    def __init__(self, reader: OpcodeReader) -> None:
        super().__init__()
        self.report = PickleReport()
        self.memo = Memo()
        self._reader = reader
        self._frame_end = 0

    def run(self) -> PickleReport:
        try:
            while self._step():
                pass
        except EndOfPickle as end:
            self.report.broken = str(end)
        self.report.length = self._reader.at
        return self.report

    def _step(self) -> bool:
        start = self._reader.at
        opcode = self._reader.opcode()
        argument = self._reader.argument(opcode)
        self._keep_to_frames(opcode, argument, start)
        effect = _EFFECTS.get(opcode.name)
        if effect is None:
            self._plainly(opcode)
        else:
            effect(self, argument)
        return opcode.name != "STOP"

    def _keep_to_frames(self, opcode: Opcode, argument: bytes, start: int) -> None:
        """Mark arguments that cross a frame's end: the unpickler would drop the rest of the frame."""
        within = start < self._frame_end
        if within and (self._reader.at > self._frame_end or opcode.name == "FRAME"):
            self.odd("reaches out of a frame, where it means something else to others")
            self.report.acts = True
        if opcode.name == "FRAME":
            self._frame_end = self._reader.at + int.from_bytes(argument, "little")

    def _plainly(self, opcode: Opcode) -> None:
        if opcode.to_mark:
            self.to_mark()
        for _ in range(opcode.pops):
            self.pop()
        for _ in range(opcode.pushes):
            self.push(ANYTHING)

    def import_name(self, module: Item, name: Item) -> Name:
        """Import a name; module and name have to be literal texts in the pickle."""
        if type(module) is str and type(name) is str:
            found = Name(f"{module}.{name}")
            self.report.names.add(found)
            if len(self.report.names) > _MOST_NAMES:
                raise TooMuch
            return found
        self.odd("puts together a name to import while it is loaded")
        return Name()

    def call(self, function: Item) -> None:
        if not isinstance(function, Name):
            self.odd("calls something that it made itself")
            return
        self.report.acts = True
        if function:
            self.report.calls.add(function)

    def change(self, item: Item, kind: Item | None = None) -> None:
        """An item is changed; it has to be of this kind and must not be imported."""
        if isinstance(item, Name):
            self.odd(f"changes {item or 'something that it imports'}")
        elif kind is not None and item is not kind:
            self.odd("calls append or add of something that is no list or set")

    def odd(self, phrase: str) -> None:
        self.report.oddities.add(phrase)


# opcodes whose effect is more than a change of the stack


def _protocol(machine: _Machine, argument: bytes) -> None:
    if argument[0] > pickle.HIGHEST_PROTOCOL:
        machine.odd("is of a protocol that is not known")


def _text(machine: _Machine, argument: bytes, encoding: str) -> None:
    machine.push(argument.decode(encoding, "replace"))


def _global(machine: _Machine, argument: bytes) -> None:
    machine.push(machine.import_name(*argument.decode("utf-8", "replace").split("\n")))


def _stack_global(machine: _Machine, _: bytes) -> None:
    name, module = machine.pop(), machine.pop()
    machine.push(machine.import_name(module, name))


def _inst(machine: _Machine, argument: bytes) -> None:
    _global(machine, argument)  # first, as pickle.py does, even without a mark
    kind = machine.pop()
    machine.to_mark()
    machine.call(kind)
    machine.push(ANYTHING)


def _obj(machine: _Machine, _: bytes) -> None:
    items = machine.to_mark()
    if not items:
        raise EndOfPickle("it takes more from its stack than is there")
    machine.call(items[0])
    machine.push(ANYTHING)


def _call(machine: _Machine, _: bytes, arguments: int) -> None:
    for _argument in range(arguments):
        machine.pop()
    machine.call(machine.pop())
    machine.push(ANYTHING)


def _put_in(machine: _Machine, _: bytes, pops: int | None, kind: Item | None) -> None:
    if pops is None:
        machine.to_mark()
    for _pop in range(pops or 0):
        machine.pop()
    machine.change(machine.top(), kind)


def _make(machine: _Machine, _: bytes, kind: Item, *, to_mark: bool) -> None:
    if to_mark:
        machine.to_mark()
    machine.push(kind)


def _extension(machine: _Machine, _: bytes) -> None:
    machine.odd("imports by an extension code of copyreg")
    machine.push(Name())


PERSISTENT = "asks the loading program for an object, by a persistent id"


def _persistent(machine: _Machine, _: bytes, *, from_stack: bool) -> None:
    machine.odd(PERSISTENT)
    if from_stack:
        machine.pop()
    machine.push(ANYTHING)


def _number(argument: bytes, *, line: bool) -> int:
    try:
        number = int(argument) if line else int.from_bytes(argument, "little")
    except ValueError:
        number = -1
    if number < 0:
        raise EndOfPickle("it numbers an object with something that is no number")
    return number


def _put(machine: _Machine, argument: bytes, *, line: bool) -> None:
    machine.memo.put(_number(argument, line=line), machine.top())


def _get(machine: _Machine, argument: bytes, *, line: bool) -> None:
    machine.push(machine.memo.get(_number(argument, line=line)))


_EFFECTS: Mapping[str, Callable[[_Machine, bytes], object]] = {
    "PROTO": _protocol,
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.pop_or_unmark(),
    "POP_MARK": lambda machine, _: machine.to_mark(),
    "DUP": lambda machine, _: machine.push(machine.top()),
    "MEMOIZE": lambda machine, _: machine.memo.append(machine.top()),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), partial(_text, encoding="utf-8")),
    "UNICODE": partial(_text, encoding="raw-unicode-escape"),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "INST": _inst,
    "OBJ": _obj,
    "REDUCE": partial(_call, arguments=1),
    "NEWOBJ": partial(_call, arguments=1),
    "NEWOBJ_EX": partial(_call, arguments=2),
    "BUILD": partial(_put_in, pops=1, kind=None),
    "SETITEM": partial(_put_in, pops=2, kind=None),
    "SETITEMS": partial(_put_in, pops=None, kind=None),
    "APPEND": partial(_put_in, pops=1, kind=LIST),
    "APPENDS": partial(_put_in, pops=None, kind=LIST),
    "ADDITEMS": partial(_put_in, pops=None, kind=SET),
    "EMPTY_LIST": partial(_make, kind=LIST, to_mark=False),
    "LIST": partial(_make, kind=LIST, to_mark=True),
    "EMPTY_SET": partial(_make, kind=SET, to_mark=False),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _extension),
    "PERSID": partial(_persistent, from_stack=False),
    "BINPERSID": partial(_persistent, from_stack=True),
    "PUT": partial(_put, line=True),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), partial(_put, line=False)),
    "GET": partial(_get, line=True),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), partial(_get, line=False)),
}
