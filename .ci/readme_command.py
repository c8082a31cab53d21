"""Prints a copy-paste command of README: the first bash block after the marker ``<!-- command: NAME -->``."""

import re
import sys
from pathlib import Path

name = sys.argv[1]
readme = Path(__file__).resolve().parent.parent / "README.md"
found = re.search(
    rf"<!-- command: {re.escape(name)} -->\s*```bash\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL
)
if found is None:
    sys.exit(f"README.md has no command marked '{name}'.")
print(found[1].strip())
