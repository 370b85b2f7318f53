"""What every test and every notebook run shares."""

import os

# Sums come out the same on every machine, and small tensors are faster for it. A notebook's kernel inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
