"""Images of the servers under upstream's names, made of Debian's packages: see stand_ins/Dockerfile."""
import shutil
import sys
import tempfile
from pathlib import Path

from podman import ROOT, podman

sys.path.insert(0, str(ROOT / "scripts"))
from servers import mongod_program  # noqa: E402

FILES = ROOT / "tests" / "deploy" / "stand_ins"
# target of the Dockerfile: the names that the compose file and the manifests have
NAMES = {
    "rabbitmq": ["docker.io/library/rabbitmq:4"],
    "mariadb": ["docker.io/library/mariadb:11.8"],
    "mongo": ["docker.io/library/mongo:8.0"],
    "mailpit": ["docker.io/axllent/mailpit:v1.27"],
}


def build(*targets: str) -> list[str]:
    """Builds these, or all; their names."""
    with tempfile.TemporaryDirectory(prefix="unreel-stand-ins-") as folder:
        shutil.copytree(FILES, folder, dirs_exist_ok=True)
        shutil.copy(mongod_program(), Path(folder) / "mongod")
        for target in targets or NAMES:
            tags = [word for name in NAMES[target] for word in ("--tag", name)]
            podman("build", "--quiet", "--isolation", "chroot", "--pull=never", "--format", "docker",
                   "--layers", "--target", target, *tags, folder, timeout=900)
    return [name for target in targets or NAMES for name in NAMES[target]]
