"""Write the repository's address into _config.yml and every notebook's first cell: `make address URL=...`."""

import re
import sys

from tools.first_cell import ADDRESS_LINE, CONFIG, read_address
from tools.normalise import normalise, notebooks, read

# Colab opens notebooks from GitHub alone. No character here means anything to YAML, to Python or to a shell.
ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")


def main(url: str) -> int:
    """Set the address, "" for none; return the exit status."""
    url = url.strip().rstrip("/").removesuffix(".git")
    if url and not ADDRESS.fullmatch(url):
        print(f"An address looks like https://github.com/OWNER/NAME, and this is {url!r}", file=sys.stderr)
        return 2
    from tools.outputs import sync  # slow to import, and a refusal does without

    config = CONFIG.read_text(encoding="utf8")
    CONFIG.write_text(ADDRESS_LINE.sub(rf'\g<1>"{url}"', config), encoding="utf8", newline="\n")
    for path in notebooks():
        notebook = read(path)
        sync(notebook)
        path.write_text(normalise(notebook), encoding="utf8", newline="\n")
    print(f"The address is {read_address() or 'not set'}: _config.yml and {len(notebooks())} notebooks say so.")
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
