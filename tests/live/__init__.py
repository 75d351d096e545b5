"""Tests of whole logins, to Dovecot and Postfix on loopback."""
