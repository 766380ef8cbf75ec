"""Kept places, the rules alone: no clock, no telephone, no database.

`order`: where a place belongs in line, and how the line is put right. `rules`: what follows a try.
`times`: when somebody may be called, and which times can be chosen.
"""
