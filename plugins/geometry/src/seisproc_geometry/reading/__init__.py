"""Survey files of the field, read into points and relations."""
