"""The field guide to attention bugs: its pages are written from the checks' bank when the book is built.

A page of the book names checks in a line ``% field guide: attention``; `write` puts their bugs there. Nothing is
stored, so nothing can grow old: a bug that is added to the bank is in the guide the next time the book is built.
"""

from .pages import MARK, write

__all__ = ["MARK", "write"]
