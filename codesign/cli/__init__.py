"""The command line `nervure`: one command for each plain Python call of the same name."""

from codesign.cli.app import app, main

__all__ = ["app", "main"]
