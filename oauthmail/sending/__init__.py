"""Sending messages, one or many: composing them, knowing what was accepted, and going on where a run was cut off.

What the commands ``send`` and ``sendmail`` do, without their arguments and their words.
"""
