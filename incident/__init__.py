"""What the hotline and the dialer both serve: plan, contacts, content, store, settings."""
