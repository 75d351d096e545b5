"""python-oauth2's two mail clients: `oauthmail.compat.oauth2.clients.smtp` and ``….imap``."""
