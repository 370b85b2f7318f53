"""The engine of the checks: it judges what a learner hands in, and knows no chapter and no bug by name.

A `Check` (in `check`) is a right answer, probes to run on, and a `Bank` (in `bank`) of wrong answers. What is handed in
is called through one protocol (`handed_in`), whether it is a function, a class (`classes`) or a function that is called
many times (`steps`). The `judge` runs it on the probes, reads what comes back (`outcomes`), and hands back a `Report`.

Of what is wrong, `diagnosis` says which known bug does exactly that, number by number. Where none does, a check's own
look asks for `properties`, such as what moves what, and `words` makes a sentence of what was seen.
"""
