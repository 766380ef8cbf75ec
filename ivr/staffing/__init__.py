"""How many calls will come, and the agents and channels they take. Pure: no clock, no store."""
