"""Filling ``@NAME@`` places in Asterisk configuration templates."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_PLACE = re.compile(r"@([A-Z_]+)@")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f]")


class TemplateError(Exception):
    """A template asks for a name that is not given, or a value that would break its line."""


def fill(template: str, values: Mapping[str, str], source: str) -> str:
    """Fill each ``@NAME@`` of a template.

    A value may not hold control characters: it could add a line of configuration.
    Raises TemplateError, naming the place.
    """

    def one(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise TemplateError(f"{source}: no value for @{name}@")
        if _FORBIDDEN.search(values[name]):
            raise TemplateError(f"{source}: the value for @{name}@ holds a control character")
        return values[name]

    return _PLACE.sub(one, template)


def write_if_changed(path: Path, content: str, mode: int = 0o600) -> bool:
    """Replace a file at once and only if its content or mode differs; says whether it did."""
    data = content.encode()
    try:
        if path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
            return False
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        # One that a killed writer left behind keeps its own mode, and the umask narrows ours.
        os.fchmod(descriptor, mode)
        stream.write(data)
    temporary.replace(path)
    return True


def link(at: Path, target: Path) -> None:
    """Make ``at`` a symbolic link to ``target``; one that points elsewhere is replaced."""
    if at.is_symlink():
        if at.readlink() == target:
            return
        at.unlink()
    at.symlink_to(target)
