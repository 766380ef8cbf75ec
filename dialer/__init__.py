"""Campaigns: who may be called now, pacing, placing calls, outcomes."""
