"""What students might hand in: for every exercise of the ready assignments a right answer and a wrong one."""

import re

from IPython.core.compilerop import CachingCompiler

from companion.assignments.notebook import cell_id

# How to break the right answer: what to replace, and by what.
WRONG = {
    "my_weights": ("softmax(dim=-1)", "softmax(dim=-2)"),
    "attention_by_rows": (" / math.sqrt(query.size(-1))", ""),
    "my_causal_mask": ("<=", "<"),
    "my_padding_mask": ("!=", "=="),
    "my_combined_mask": ("&", "|"),
    "safe_attention": (".masked_fill(empty, 0.0)", ""),
    "my_split": ("cut.transpose(1, 2)", "cut.reshape(batch, num_heads, length, -1)"),
    "my_merge": ("x.transpose(1, 2).flatten(2)", "x.reshape(x.size(0), x.size(2), -1)"),
    "MyMultiHead": ("self.out_proj(companion.merge_heads(attended))", "companion.merge_heads(attended)"),
    "my_encoding": ("10000", "1000"),
    "my_rotary": ("a * sin + b * cos", "a * sin - b * cos"),
    "MyLayerNorm": ("unbiased=False", "unbiased=True"),
    "MyAddNorm": ("self.norm(x + sublayer(x))", "self.norm(sublayer(x))"),
    "MyFeedForward": ("torch.relu(self.linear1(x))", "self.linear1(x)"),
    "MyEncoderLayer": ("mask=mask", "mask=None"),
    "MyDecoderLayer": ("causal=True", "causal=False"),
    "my_shifted_loss": ("target_ids[:, 1:]", "target_ids[:, :-1]"),
    "my_cached_greedy": ("argmax", "argmin"),
    "my_schedule": ("min(", "max("),
    "my_loss": ("[real].mean()", ".mean()"),
    "my_greedy": ("argmax", "argmin"),
}

# The companion's own function, where it is the exercise to write it.
BORROWED = """\
from companion import combine_masks


def my_combined_mask(padding, causal):
    return combine_masks(padding, causal)"""


def wrong(exercise):
    """The right answer, broken."""
    old, new = WRONG[exercise.name]
    assert old in exercise.answer, f"{exercise.name} is written in another way now: break it differently"
    return exercise.answer.replace(old, new)


def hard_coded(exercise):
    """Right on the numbers that students see, and wrong on any others: the function falls back to a wrong one."""
    head = f"from companion.checks import CHECKS\n\n_seen = [p.inputs for p in CHECKS['{exercise.check}'].probes]\n"
    right = exercise.answer.replace(f"def {exercise.name}(", "def _right(")
    other = wrong(exercise).replace(f"def {exercise.name}(", "def _wrong(")
    choose = [
        "def _known(tensors):",
        "    sums = [round(float(t.double().sum()), 6) for t in tensors if hasattr(t, 'double')]",
        "    known = [[round(float(t.double().sum()), 6) for t in p.values() if hasattr(t, 'double')] for p in _seen]",
        "    return any(sums == k for k in known)",
        "",
        f"def {exercise.name}(*args):",
        "    return (_right if _known(args) else _wrong)(*args)",
    ]
    return "\n\n".join([head, right, other, "\n".join(choose)])


def answers(assignment, broken=(), unwritten=()):
    """The code that is handed in, by the exercise's name."""
    code = {}
    for exercise in assignment.exercises:
        code[exercise.name] = (
            exercise.starter
            if exercise.name in unwritten
            else wrong(exercise)
            if exercise.name in broken
            else exercise.answer
        )
    return code


def expected(assignment, lost=()):
    """The points by the exercise's name, where some are lost."""
    return {exercise.name: 0 if exercise.name in lost else exercise.points for exercise in assignment.exercises}


def run_cell(code, scope):
    """Run code as a notebook does: its source is kept."""
    exec(compile(code, CachingCompiler().cache(code), "exec"), scope)


def bare(line):
    """A line of code without spaces, comment and wrapped names: what is left if it is copied."""
    return re.sub(r"\s+", "", line.strip(" #").partition("  #")[0]).replace("_solution", "").replace("Solution", "")


def to_be_written(exercise):
    """The lines between the marks of a solution, without those that the student is given anyway."""
    inside, lines = False, []
    for line in exercise.solution.splitlines():
        if line.strip() == "### END SOLUTION":
            inside = False
        if inside:
            lines.append(bare(line))
        if line.strip() == "### BEGIN SOLUTION":
            inside = True
    given = {bare(line) for text in (exercise.starter, *exercise.given) for line in text.splitlines()}
    return [line for line in lines if len(line) > 12 and line not in given]


def fill_in(notebook, code):
    """Put what a student wrote into a notebook's cells."""
    cells = {
        cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", cell["id"]): cell for cell in notebook["cells"]
    }
    for name, text in code.items():
        cells[cell_id(name)]["source"] = text
    return notebook
