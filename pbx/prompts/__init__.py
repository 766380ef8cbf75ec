"""Spoken texts as sound files: built ahead, found by name, checked before anyone calls."""

from pbx.prompts.audio import AudioError, formats_for
from pbx.prompts.book import Prompt, PromptBook, PromptMissing, go_live, prune
from pbx.prompts.build import BuildReport, build
from pbx.prompts.check import CheckReport, check
from pbx.prompts.core_sounds import CoreSounds, SoundsMissing, convert_music, link_core_sounds
from pbx.prompts.engines import EngineFailed
from pbx.prompts.findings import Fault, Finding
from pbx.prompts.manifest import BuildBusy, ManifestError
from pbx.prompts.script import recording_script

__all__ = [
    "AudioError",
    "BuildBusy",
    "BuildReport",
    "CheckReport",
    "CoreSounds",
    "EngineFailed",
    "Fault",
    "Finding",
    "ManifestError",
    "Prompt",
    "PromptBook",
    "PromptMissing",
    "SoundsMissing",
    "build",
    "check",
    "convert_music",
    "formats_for",
    "go_live",
    "link_core_sounds",
    "prune",
    "recording_script",
]
