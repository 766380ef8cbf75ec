"""The errors of lower layers whose message is meant for the person at the command line."""

from __future__ import annotations

from typing import Final

from dialer.eligibility import BadHours
from dialer.retry import BadRules
from incident.contacts import ContactsError
from incident.plan import PlanError
from incident.privacy import PrivacyError
from incident.settings import SettingsError
from incident.store.engine import StoreError
from pbx.ami import AmiError
from pbx.emergency_pack import PackError
from pbx.prompts import (
    AudioError,
    BuildBusy,
    EngineFailed,
    ManifestError,
    PromptMissing,
    SoundsMissing,
)
from pbx.render import TemplateError
from pbx.runtime.errors import AlreadyRunning, PartFailed, TreeError
from pbx.runtime.programs import UnsafeBind

REFUSALS: Final[tuple[type[Exception], ...]] = (
    OSError,
    SettingsError,
    PlanError,
    StoreError,
    PrivacyError,
    ContactsError,
    PackError,
    AudioError,
    BuildBusy,
    EngineFailed,
    ManifestError,
    PromptMissing,
    SoundsMissing,
    TemplateError,
    TreeError,
    PartFailed,
    UnsafeBind,
    AlreadyRunning,
    AmiError,
    BadHours,
    BadRules,
)
