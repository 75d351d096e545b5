"""Real mail servers and a real authorization server on loopback, for tests of whole logins."""
