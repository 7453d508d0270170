"""The other checks of `make check` reject violations too: layout, and the short list of clang-tidy."""
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BADLY_LAID_OUT = "int main(void){return 0;}\n"
WELL_LAID_OUT = "int main(void)\n{\n    return 0;\n}\n"
SUSPICIOUS = "#include <string.h>\nint f(const char *a)\n{\n    return strcmp(a, \"b\") == 0 && strcmp(a, \"b\") == 0;\n}\n"


def needs(program: str):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not here")


@needs("clang-format-14")
@pytest.mark.parametrize("text,status", [(BADLY_LAID_OUT, 1), (WELL_LAID_OUT, 0)])
def test_the_layout_is_checked(tmp_path, text, status):
    shutil.copy(ROOT / ".clang-format", tmp_path)
    (tmp_path / "main.c").write_text(text)
    result = subprocess.run(["clang-format-14", "--dry-run", "--Werror", tmp_path / "main.c"],
                            capture_output=True)
    assert result.returncode == status


@needs("clang-tidy-14")
@pytest.mark.parametrize("text,status", [(SUSPICIOUS, 1), (WELL_LAID_OUT, 0)])
def test_suspicious_code_is_found(tmp_path, text, status):
    shutil.copy(ROOT / ".clang-tidy", tmp_path)
    (tmp_path / "main.c").write_text(text)
    result = subprocess.run(["clang-tidy-14", "--quiet", "--warnings-as-errors=*",
                             tmp_path / "main.c", "--", "-std=gnu17"], capture_output=True)
    assert result.returncode == status
