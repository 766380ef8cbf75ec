"""Writes everything that Asterisk reads into the home: configuration, dialplan, folders."""

from pbx.render.asterisk import Secrets, read_secrets, render_asterisk
from pbx.render.sections import AgentPhone, HotlineNumber
from pbx.render.template import TemplateError, fill

__all__ = [
    "AgentPhone",
    "HotlineNumber",
    "Secrets",
    "TemplateError",
    "fill",
    "read_secrets",
    "render_asterisk",
]
