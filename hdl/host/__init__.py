"""The host port and its links."""
