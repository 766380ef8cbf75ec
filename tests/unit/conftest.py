"""Unit tests use no sockets: whatever opens one belongs to tests/integration."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def no_sockets() -> Iterator[None]:
    # asyncio's own wake-up pair is a Unix socket.
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
