"""Writes everything that Asterisk reads into the home: configuration, dialplan, folders."""

from pbx.render.asterisk import HomeUnusable, Secrets, check_home, read_secrets, render_asterisk
from pbx.render.sections import AgentPhone, HotlineNumber, Outsourcer
from pbx.render.template import TemplateError, fill

__all__ = [
    "AgentPhone",
    "HomeUnusable",
    "HotlineNumber",
    "Outsourcer",
    "Secrets",
    "TemplateError",
    "check_home",
    "fill",
    "read_secrets",
    "render_asterisk",
]
