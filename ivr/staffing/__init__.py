"""How many calls will come, and how many agents and lines they take. Pure: no clock, no store."""
