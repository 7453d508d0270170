"""An overlay as a cluster would get it, with secrets made for this run, and questions about it."""
import base64
import math
import re
import shutil
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path

import kubernetes_tools
import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("local", "production")
MAIL_URL = "smtps://unreel:a-password@mail.example.org"
ROLES = {"gateway": "G", "auth": "A", "converter": "C", "notifier": "N", "migrate": "S"}


def copied(overlay: str, folder: Path) -> Path:
    """A copy of deploy/kubernetes whose overlay has secrets; the copy's overlay."""
    shutil.copytree(KUBERNETES, folder / "kubernetes", ignore=lambda parent, names: [
        name for name in names if name == "secrets" and Path(parent).parent.name == "overlays"])
    made = folder / "kubernetes" / "overlays" / overlay
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    if overlay == "production":
        environment["MAIL_URL"] = MAIL_URL
    subprocess.run([folder / "kubernetes" / "make-secrets", overlay], check=True, env=environment,
                   stdout=subprocess.DEVNULL)
    return made


class Manifests:
    def __init__(self, overlay: str):
        self.overlay = overlay
        with tempfile.TemporaryDirectory(prefix="unreel-manifests-") as folder:
            self.text = kubernetes_tools.render(copied(overlay, Path(folder)))
        self.documents = [each for each in yaml.safe_load_all(self.text) if each]

    def of_kind(self, *kinds: str) -> list[dict]:
        return [each for each in self.documents if each["kind"] in kinds]

    def find(self, kind: str, name: str) -> dict:
        found = [each for each in self.of_kind(kind) if each["metadata"]["name"] == name]
        assert len(found) == 1, f"{self.overlay} has {len(found)} {kind} {name}"
        return found[0]

    @cached_property
    def pods(self) -> dict[str, dict]:
        """Workload's name → its pods' template."""
        return {each["metadata"]["name"]: each["spec"]["template"]
                for each in self.of_kind("Deployment", "StatefulSet", "Job")}

    def most_pods(self, name: str) -> int:
        """As many as there can be of a Deployment: all that its scaler may want, and more while they are
        replaced."""
        spec = self.find("Deployment", name)["spec"]
        count = spec.get("replicas", 1)
        for each in self.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
            if each["spec"]["scaleTargetRef"]["name"] == name:
                count = each["spec"].get("maxReplicas") or each["spec"]["maxReplicaCount"]
        surge = str(spec["strategy"]["rollingUpdate"]["maxSurge"])
        return count + (math.ceil(count * int(surge[:-1]) / 100) if surge.endswith("%") else int(surge))

    def config(self, name: str) -> dict[str, str]:
        return self.find("ConfigMap", name)["data"]

    def config_starting(self, prefix: str) -> dict[str, str]:
        """The ConfigMap of that name, whatever its hash."""
        found = [each for each in self.of_kind("ConfigMap")
                 if re.fullmatch(prefix + "-[a-z0-9]{10}", each["metadata"]["name"])]
        assert len(found) == 1, f"{self.overlay} has {len(found)} ConfigMaps {prefix}"
        return found[0]["data"]

    def secret(self, name: str) -> dict[str, bytes]:
        return {key: base64.b64decode(value)
                for key, value in self.find("Secret", name)["data"].items()}

    def environment(self, container: dict) -> dict[str, str]:
        """As the container gets it; what refers to the pod itself is left out."""
        found = {}
        for source in container.get("envFrom", []):
            found |= self.config(source["configMapRef"]["name"])
        for each in container.get("env", []):
            if "value" in each:
                found[each["name"]] = each["value"]
        return found

    def mounted(self, pod: dict, container: dict) -> dict[str, str]:
        """Path of every file that comes out of a Secret or a ConfigMap → its content."""
        files = {}
        for mount in container.get("volumeMounts", []):
            volume = next(each for each in pod["spec"]["volumes"] + _claims(pod)
                          if each["name"] == mount["name"])
            content = self._content(volume)
            if "subPath" in mount:
                files[mount["mountPath"]] = content[mount["subPath"]]
            else:
                files |= {f"{mount['mountPath']}/{key}": value for key, value in content.items()}
        return files

    def _content(self, volume: dict) -> dict[str, str]:
        sources = volume.get("projected", {}).get("sources", [volume])
        content = {}
        for source in sources:
            if "secret" in source:
                where = source["secret"]
                data = {k: v.decode() for k, v in
                        self.secret(where.get("secretName") or where["name"]).items()}
            elif "configMap" in source:
                where = source["configMap"]
                data = self.config(where["name"])
            else:
                continue
            names = {item["key"]: item["path"] for item in where.get("items", [])} or \
                {key: key for key in data}
            content |= {path: data[key] for key, path in names.items()}
        return content


def _claims(pod: dict) -> list[dict]:
    """Stand-ins for the volumes that a StatefulSet claims."""
    known = {each["name"] for each in pod["spec"].get("volumes", [])}
    used = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", [])}
    return [{"name": name} for name in used - known]


def containers(pod: dict) -> list[dict]:
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def settings() -> dict[str, tuple[str, str]]:
    """UNREEL_NAME → (kind, letters of the roles that read it)."""
    rows = re.findall(r'^SETTING\((\w+), \w+, "([a-z-]+)", "[^"]*", \d+, \d+, "([A-Z]+)"',
                      (ROOT / "src" / "config" / "settings.def").read_text(), re.MULTILINE)
    assert len(rows) > 30
    return {"UNREEL_" + name.upper().replace("-", "_"): (kind, roles) for kind, name, roles in rows}


UNITS = {"m": 1e-3, "": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30,
         "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "GiB": 2**30, "MiB": 2**20}


def number(text) -> float:
    """4Gi, 250m, 2min, "1"."""
    digits, unit = re.fullmatch(r"(\d+)([A-Za-z]*)", str(text)).groups()
    return int(digits) * UNITS[unit]


# ---- who may speak to whom ---------------------------------------------------------------------------

def selects(selector: dict, labels: dict) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for each in selector.get("matchExpressions", []):
        assert each["operator"] == "In", "this evaluation knows no other operator"
        if labels.get(each["key"]) not in each["values"]:
            return False
    return True


class Peer:
    """A pod of ours, a pod of another namespace, or a machine outside."""

    def __init__(self, name: str, labels: dict | None = None, namespace: str | None = None):
        self.name, self.labels, self.namespace = name, labels or {}, namespace

    def matches(self, where: dict) -> bool:
        if "ipBlock" in where:
            return self.namespace is None
        if self.namespace is None:
            return False
        own = {"kubernetes.io/metadata.name": self.namespace}
        if "namespaceSelector" in where:
            if not selects(where["namespaceSelector"], own):
                return False
        elif self.namespace != "unreel":
            return False
        return selects(where.get("podSelector", {}), self.labels)


def allows(manifests: Manifests, peer: Peer, direction: str, other: Peer, port: int) -> bool:
    """Whether the policies of a peer let it begin (Egress) or take (Ingress) that connection."""
    if peer.namespace != "unreel":
        return True
    policies = [each["spec"] for each in manifests.of_kind("NetworkPolicy")
                if direction in each["spec"]["policyTypes"] and selects(each["spec"]["podSelector"], peer.labels)]
    if not policies:
        return True
    key, side = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    for rule in (rule for policy in policies for rule in policy.get(key, [])):
        if "ports" in rule and port not in [each["port"] for each in rule["ports"]]:
            continue
        if side not in rule or any(other.matches(where) for where in rule[side]):
            return True
    return False


def reaches(manifests: Manifests, client: Peer, server: Peer, port: int) -> bool:
    return allows(manifests, client, "Egress", server, port) and \
        allows(manifests, server, "Ingress", client, port)
