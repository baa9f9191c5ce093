"""Commands for the terminal front end."""
