"""The simulated public: the network, callers, called people and agents."""
