"""Writes what `make demo` prints into README.md, so that the page shows what really happened.

    python -m tools.transcript
"""

import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- made by tools/transcript.py -->\n```text\n"
END = "```\n"


def main() -> int:
    demo = subprocess.run(
        [sys.executable, "-m", "tests.demo"], stdout=subprocess.PIPE, text=True, check=False
    )
    if demo.returncode != 0:
        print("the demo failed: the transcript is left as it is", file=sys.stderr)
        return demo.returncode
    README.write_text(with_transcript(README.read_text(), demo.stdout))
    return 0


def with_transcript(page: str, shown: str) -> str:
    """The page with its transcript replaced; ValueError where it has no place for one."""
    begin = page.index(BEGIN) + len(BEGIN)
    end = page.index(END, begin)
    return page[:begin] + shown.strip() + "\n" + page[end:]


if __name__ == "__main__":
    sys.exit(main())
