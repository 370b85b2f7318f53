"""The bank of wrong implementations: what learners get wrong, with what to say about it, as data and small functions.

Each module also holds the right function, or its right parts, that its bugs are variations of.
"""
