"""Fetching messages: finding them over IMAP or POP3, and keeping each of them once, whatever interrupts it.

What the command ``fetch`` does, without its arguments and its words.
"""
