"""New words from old ones: every family on the same list of lines, and which of them come closest."""

import sys
from pathlib import Path

import sansheng

lines = Path(sys.argv[1]).read_text("utf-8").split("\n") if len(sys.argv) > 1 else dir(__builtins__) * 3 + dir(str)
comparison = sansheng.compare(
    [line for line in dict.fromkeys(lines) if line], budget="30s", seeds=1, out="runs/example-text", force=True
)
for run in comparison.runs:
    print(run.recipe.family, run.sample(5))
print(comparison.report)
