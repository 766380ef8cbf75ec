"""Call flows, one module each, named as the plan and the dialplan name them."""
