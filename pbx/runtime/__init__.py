"""The private runtime: the Debian tree that Asterisk runs from, and the supervisor of all parts."""
