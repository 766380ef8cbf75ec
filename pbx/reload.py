"""Tells a running Asterisk to read its files again, without touching a call."""

from __future__ import annotations

from typing import Final

from pbx.ami import AmiClient

MODULES: Final = ("res_pjsip.so", "app_queue.so", "pbx_config.so")
"""What reads the files that change while calls go on: agents, queues, DIDs."""


async def reload_asterisk(ami: AmiClient) -> None:
    """Reload what reads generated files. Raises AmiError as `AmiClient.action` does."""
    for module in MODULES:
        await ami.action("Reload", {"Module": module}, timeout=10)
