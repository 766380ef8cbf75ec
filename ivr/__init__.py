"""The hotline: FastAGI server, call flows, menus, callbacks."""
