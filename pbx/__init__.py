"""The only code that speaks AMI or AGI or writes Asterisk's files; the private runtime."""
