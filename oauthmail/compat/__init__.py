"""The names of older libraries and scripts, so that what was written for them works again."""
