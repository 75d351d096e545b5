"""Authorization servers that are not ours, each in a process of its own, and a person with a browser.

`canaille_server` and `authlib_server` are programs: they import nothing of this package, so that what the tests judge
cannot be on both sides.
"""
