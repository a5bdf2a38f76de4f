"""Identities to keys, certificates and trust bundles. The only room with ``cryptography``.

Time is always an argument, an aware ``datetime`` in UTC: nothing here asks the clock.
"""
