"""YAML text to plain data, with the line and column of every key.

Scalars stay the text that the author wrote (a plain empty value, ``~`` and ``null`` are None)
and the model gives them their types. So ``no:`` is the key "no", ``0:`` is the key "0" and
``+18005550199`` is not a number: none of YAML's implicit types can surprise.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from incident.plan.problems import PlanError, Problem

Path = tuple[str | int, ...]
Tree = str | None | list["Tree"] | dict[str, "Tree"]

SIZE_LIMIT: Final = 1_000_000
"""Bytes; a plan of 50 languages and 100 answers is a quarter of this."""
NODE_LIMIT: Final = 50_000
"""Values after aliases are expanded."""
DEPTH_LIMIT: Final = 20
_STANDARD_TAG: Final = "tag:yaml.org,2002:"
_SCALAR_TAGS: Final = frozenset({"str", "int", "float", "bool", "null", "timestamp", "value"})


@dataclass(frozen=True, slots=True)
class Document:
    """The data of a file and where each of its keys stands."""

    source: str
    data: dict[str, Tree]
    positions: Mapping[Path, tuple[int, int]]
    problems: tuple[Problem, ...]
    """Mistakes in the YAML itself that do not stop the rest from being checked."""

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at the key of ``path``, or at its nearest parent that is in the file."""
        known = path
        while known and known not in self.positions:
            known = known[:-1]
        line, column = self.positions.get(known, (1, 1))
        return Problem(line, column, dotted(path), message)

    def mapping(self, *path: str | int) -> dict[str, Tree]:
        """The mapping at ``path``; empty when there is none or something else is there."""
        value = self.value(*path)
        return value if isinstance(value, dict) else {}

    def value(self, *path: str | int) -> Tree:
        """What is at ``path``; None when nothing is."""
        here: Tree = self.data
        for part in path:
            if isinstance(here, dict) and isinstance(part, str):
                here = here.get(part)
            elif isinstance(here, list) and isinstance(part, int) and 0 <= part < len(here):
                here = here[part]
            else:
                return None
        return here


def dotted(path: Path) -> str:
    """``menus.main.choices.4``; list items count from 1."""
    text = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def decode(raw: bytes, source: str) -> str:
    """The file's text; PlanError when it is too large or not UTF-8."""
    if len(raw) > SIZE_LIMIT:
        raise PlanError(source, [_too_large(len(raw))])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - before.rfind(b"\n")
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise PlanError(source, [Problem(line, column, "", message)]) from error


def read(text: str, source: str) -> Document:
    """Read YAML. PlanError when it cannot be read at all."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > SIZE_LIMIT:
        raise PlanError(source, [_too_large(size)])
    root = _compose(text, source)
    if root is None:
        raise PlanError(source, [Problem(1, 1, "", "the file is empty")])
    if not isinstance(root, MappingNode):
        raise PlanError(source, [_at(root, (), "the file must be a mapping (key: value)")])
    builder = _Builder(source)
    data = builder.build(root, (), 0)
    assert isinstance(data, dict)
    return Document(source, data, builder.positions, tuple(builder.problems))


def _too_large(size: int) -> Problem:
    return Problem(1, 1, "", f"the file has {size} bytes; at most {SIZE_LIMIT} are read")


def _compose(text: str, source: str) -> Node | None:
    yaml = YAML(typ="safe", pure=True)  # the default one marks folds inside texts
    yaml.max_depth = DEPTH_LIMIT
    try:
        with warnings.catch_warnings():
            # An anchor used twice is said by YAML 1.2 to be fine; the later one counts.
            warnings.simplefilter("ignore")
            node: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        raise PlanError(source, [_syntax(error, text)]) from error
    except ReaderError as error:
        raise PlanError(source, [_unreadable(error, text)]) from error
    except (YAMLError, ValueError, RecursionError, AttributeError, IndexError) as error:
        # ruamel.yaml lets a few of its own slips out on broken input.
        message = f"the file is not readable as YAML ({type(error).__name__})"
        raise PlanError(source, [Problem(1, 1, "", message)]) from error
    return node


def _syntax(error: MarkedYAMLError, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    written = text.splitlines()[line - 1] if line <= len(text.splitlines()) else ""
    if re.match(r"[ ]*\t", written):
        return Problem(
            line, written.index("\t") + 1, "", "a tab indents this line; YAML allows only spaces"
        )
    if isinstance(error, MaxDepthExceededError):
        return Problem(line, column, "", f"nested deeper than {DEPTH_LIMIT} levels")
    said = " ".join(str(part) for part in (error.context, error.problem) if part)
    said = said.splitlines()[0] if said else "not readable as YAML"
    hint = ""
    if "mapping values are not allowed" in said:
        hint = "; put a text that contains ': ' in quotes or below '>-'"
    return Problem(line, column, "", f"YAML: {said}{hint}")


def _unreadable(error: ReaderError, text: str) -> Problem:
    before = text[: error.position]
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1])
    return Problem(line, column, "", f"character U+{code:04X} is not allowed in a text file")


def _at(node: Node, path: Path, message: str) -> Problem:
    mark = node.start_mark
    return Problem(mark.line + 1, mark.column + 1, dotted(path), message)


class _Builder:
    """Builds plain data out of composed nodes, counting what aliases expand to."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.positions: dict[Path, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._nodes = 0
        self._open: set[int] = set()

    def build(self, node: Node, path: Path, depth: int) -> Tree:
        self._nodes += 1
        if self._nodes > NODE_LIMIT or depth > DEPTH_LIMIT:
            message = "the file expands to far more than a plan can hold (aliases of aliases?)"
            raise PlanError(self.source, [_at(node, path, message)])
        if id(node) in self._open:
            raise PlanError(self.source, [_at(node, path, "an alias contains itself")])
        self._open.add(id(node))
        try:
            return self._build(node, path, depth)
        finally:
            self._open.discard(id(node))

    def _build(self, node: Node, path: Path, depth: int) -> Tree:
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            self._tag(node, path, frozenset({"seq"}))
            items: list[Tree] = []
            for index, item in enumerate(node.value):
                here = (*path, index)
                self.positions[here] = (item.start_mark.line + 1, item.start_mark.column + 1)
                items.append(self.build(item, here, depth + 1))
            return items
        tag = self._tag(node, path, _SCALAR_TAGS)
        value = node.value if isinstance(node, ScalarNode) else ""
        return None if tag == "null" else str(value)

    def _mapping(self, node: MappingNode, path: Path, depth: int) -> dict[str, Tree]:
        self._tag(node, path, frozenset({"map"}))
        result: dict[str, Tree] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.problems.append(_at(key_node, path, "a key must be a plain word"))
                continue
            key = str(key_node.value)
            here = (*path, key)
            if str(key_node.tag) == f"{_STANDARD_TAG}merge":
                message = "merge keys (<<) are not read; write the keys out"
                self.problems.append(_at(key_node, here, message))
                continue
            if key in result:
                first = self.positions[here][0]
                message = f"the key {key!r} is here twice; the first is on line {first}"
                self.problems.append(_at(key_node, here, message))
                continue
            self.positions[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self.build(value_node, here, depth + 1)
        return result

    def _tag(self, node: Node, path: Path, allowed: frozenset[str]) -> str:
        tag = str(node.tag)
        short = tag.removeprefix(_STANDARD_TAG)
        if not tag.startswith(_STANDARD_TAG) or short not in allowed:
            self.problems.append(_at(node, path, f"the tag {tag!r} is not allowed here"))
        return short
