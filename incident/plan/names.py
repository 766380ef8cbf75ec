"""The names of the hotline's texts: what a plan may override and what it must bring."""

from __future__ import annotations

from typing import Final

REQUIRED_TEXTS: Final = ("greeting", "emergency.essentials", "outbound.abandoned")
"""Every plan brings these itself: they say what happened to whom, in approved words."""

HOUSE_TEXTS: Final = (
    "language.offer",
    "affected.ask_reference",
    "affected.found",
    "affected.not_found",
    "affected.not_listed_help",
    "after_answer",
    "invalid",
    "no_input",
    "to_agent",
    "queue.wait",
    "wait.next",
    "wait.place",
    "wait.between",
    "wait.and",
    "wait.minutes",
    "wait.less_than",
    "wait.less_than_one",
    "wait.offer",
    "no_agent",
    "after_hours",
    "callback.offer",
    "callback.enter_number",
    "callback.confirm",
    "callback.invalid",
    "callback.thanks",
    "callback.number_is",
    "callback.confirm_caller",
    "callback.when",
    "callback.day",
    "callback.part_of_day",
    "callback.hour",
    "callback.press",
    "callback.thanks_later",
    "callback.kept_already",
    "callback.not_allowed",
    "callback.back_in_line",
    "callback.own_place",
    "callback.greeting",
    "callback.agent",
    "callback.unanswered",
    "callback.nobody",
    "goodbye",
    "emergency.callback_offer",
    "emergency.to_agent",
    "voicemail",
)
"""Every language file brings these; a plan may override any of them."""

APOLOGIES: Final = REQUIRED_TEXTS
"""Texts that must carry an apology (as must every script)."""

SCRIPT_PARTS: Final = ("opening", "verification", "apology", "what_happened", "closing")
