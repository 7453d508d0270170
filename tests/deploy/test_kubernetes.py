"""The manifests of deploy/kubernetes, rendered and looked at: no cluster is needed, and none is asked.
What a pod does once it is started is test_kubernetes_pods.py's."""
import re
import subprocess

import kubernetes_tools
import pytest
import yaml
from manifests import (KUBERNETES, OVERLAYS, ROLES, ROOT, Manifests, Peer, allows, containers, copied,
                       number, reaches, selects, settings)

OLDEST, NEWEST = "1.30.0", "1.37.0"  # README.md promises the first


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(request) -> Manifests:
    return Manifests(request.param)


def named(documents) -> list[str]:
    return [each["metadata"]["name"] for each in documents]


# ---- what others say about them ----------------------------------------------------------------------

@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_api_accepts_every_document(manifests, version):
    assert kubernetes_tools.schema_faults(manifests.text, version) == []


def test_the_schemas_refuse_what_is_wrong():
    def faults(**members):
        scaler = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"},
                  "spec": {"scaleTargetRef": {"name": "x"}, "triggers": [], **members}}
        return kubernetes_tools.schema_faults(yaml.safe_dump(scaler), NEWEST)
    assert faults(maxReplicaCount=10) == []
    assert faults(maxReplicaCount="ten") and faults(maximum=10)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"port": []}}
    assert kubernetes_tools.schema_faults(yaml.safe_dump(service), NEWEST)


# What kube-score says and we do not follow: check, where, why.
NOT_FOLLOWED = [
    ("container-image-pull-policy", ".*", "a tag never changes its image; a node that has it needs no registry"),
    ("(deployment|statefulset)-has-host-podantiaffinity", ".*", "topologySpreadConstraints do it"),
    ("container-security-context-user-group-id", ".*/(mariadb|mongodb|mongodb-initiate|rabbitmq)",
     "999 is the user of upstream's images; what it may do is restricted all the same"),
    ("pod-probes-identical", "StatefulSet/mongodb", "a port that answers; mongosh costs a second of processor a time"),
    ("deployment-replicas", "local:.*", "one of everything is what a laptop wants"),
    ("deployment-strategy", "local:Deployment/mailpit", "a mail catcher keeps its mails in one place"),
    ("deployment-has-poddisruptionbudget", "local:Deployment/mailpit", "its mails are thrown away anyway"),
    ("service-type", "local:Service/gateway-outside", "Minikube without an ingress controller"),
]


def test_kube_score_finds_nothing_else(manifests):
    found = [(check, f"{manifests.overlay}:{name}", said)
             for check, name, said in kubernetes_tools.kube_score(manifests.text)]
    assert found, "kube-score says nothing at all"
    left = [each for each in found if not any(
        re.fullmatch(check, each[0]) and re.fullmatch(f"(local:|production:)?{where}", each[1])
        for check, where, _ in NOT_FOLLOWED)]
    assert left == []


# ---- pods --------------------------------------------------------------------------------------------

def test_every_pod_is_restricted(manifests):
    """As the profile `restricted` of the Pod Security Standards, and a read-only root beyond it."""
    for name, pod in manifests.pods.items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        context = spec["securityContext"]
        assert context["runAsNonRoot"] and context["runAsUser"] > 0, name
        assert context["fsGroup"] == context["runAsGroup"] == context["runAsUser"], name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= {"emptyDir", "secret", "configMap", "projected"}, name
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]}}, name
    labels = manifests.find("Namespace", "unreel")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_container_has_requests_limits_and_probes(manifests):
    jobs = named(manifests.of_kind("Job"))
    for name, pod in manifests.pods.items():
        for container in containers(pod):
            for what in ("requests", "limits"):
                assert container["resources"][what].keys() == {"cpu", "memory", "ephemeral-storage"}, name
            for kind, asked in container["resources"]["requests"].items():
                assert number(asked) <= number(container["resources"]["limits"][kind]), (name, kind)
        for container in pod["spec"]["containers"] if name not in jobs else []:
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), name
    for name in set(ROLES) - {"migrate"}:
        container = manifests.pods[name]["spec"]["containers"][0]
        probed = {probe: container[probe]["httpGet"]["path"] for probe in
                  ("startupProbe", "livenessProbe", "readinessProbe")}
        assert probed == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
        assert {each["name"]: each["containerPort"] for each in container["ports"]}["operators"] == 8081


def test_scratch_space_has_a_limit_that_fits(manifests):
    for name, pod in manifests.pods.items():
        sizes = [number(volume["emptyDir"]["sizeLimit"]) for volume in pod["spec"]["volumes"]
                 if "emptyDir" in volume]
        limit = sum(number(each["resources"]["limits"]["ephemeral-storage"])
                    for each in pod["spec"]["containers"])
        assert sum(sizes) < limit, name
    converter = manifests.pods["converter"]["spec"]["volumes"]
    largest_video = 4 * 2**30  # UNREEL_MAX_UPLOAD's default
    assert number(next(each for each in converter if each["name"] == "data")["emptyDir"]["sizeLimit"]) \
        > 2 * largest_video


def test_pods_get_the_time_that_they_take_to_stop(manifests):
    for role in set(ROLES) - {"migrate"}:
        spec = manifests.pods[role]["spec"]
        container = spec["containers"][0]
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        stop = number(manifests.environment(container)["UNREEL_STOP_TIMEOUT"])
        assert spec["terminationGracePeriodSeconds"] >= pause + stop + 5, role


def test_the_broker_waits_longer_than_a_conversion_takes(manifests):
    conf = manifests.config_starting("rabbitmq")["10-unreel.conf"]
    consumer_timeout_s = int(re.search(r"^consumer_timeout = (\d+)$", conf, re.MULTILINE)[1]) / 1000
    environment = manifests.environment(manifests.pods["converter"]["spec"]["containers"][0])
    assert number(environment["UNREEL_JOB_TIMEOUT"]) + 300 <= consumer_timeout_s


def test_the_database_has_connections_for_all(manifests):
    """Also while all roles are replaced at once. Whoever uses jobs may have two connections: leases and
    progress have their own."""
    workers = 16  # UNREEL_HTTP_WORKERS' default
    each_has = {"gateway": 2 * workers + 4, "auth": workers + 2, "converter": 8, "notifier": 8}
    most = sum(count * manifests.most_pods(role) for role, count in each_has.items()) + 10
    cnf = manifests.config_starting("mariadb")["unreel.cnf"]
    assert int(re.search(r"^max_connections = (\d+)$", cnf, re.MULTILINE)[1]) >= most


def test_the_database_loses_nothing_that_it_confirmed(manifests):
    lines = manifests.config_starting("mariadb")["unreel.cnf"].splitlines()
    assert {"innodb_flush_log_at_trx_commit = 1", "sync_binlog = 1", "log_bin = binlog"} <= set(lines)
    assert manifests.find("StatefulSet", "mariadb")["spec"]["replicas"] == 1


# ---- settings and secrets ----------------------------------------------------------------------------

def test_every_variable_is_a_setting_that_the_role_reads(manifests):
    known = settings()
    for role, letter in ROLES.items():
        container = manifests.pods[role]["spec"]["containers"][0]
        assert container["args"] == [role]
        for name, value in manifests.environment(container).items():
            kind, readers = known[name if name in known else name.removesuffix("_FILE")]
            assert letter in readers, f"{role} does not read {name}"
            assert not (kind == "URL" and "@" in value), f"{name} of {role} holds a password"


def test_every_secret_file_is_there_and_every_key_is_used(manifests):
    used = set()
    for name, pod in manifests.pods.items():
        for container in containers(pod):
            files = manifests.mounted(pod, container)
            words = [*manifests.environment(container).values(), *container.get("command", []),
                     *container.get("args", [])]
            wanted = {path for word in words for path in re.findall(r"/run/secrets/[a-z/-]+\w", word)}
            missing = {path for path in wanted
                       if path not in files and not any(each.startswith(path + "/") for each in files)}
            assert not missing, f"{name}: {missing}"
            used |= {content for content in files.values()}
    for trigger in manifests.of_kind("TriggerAuthentication"):
        for each in trigger["spec"]["secretTargetRef"]:
            used.add(manifests.secret(each["name"])[each["key"]].decode())
    for secret in manifests.of_kind("Secret"):
        if secret["metadata"]["name"] == "scaler" and manifests.overlay == "local":
            continue  # nothing scales there
        for key, value in manifests.secret(secret["metadata"]["name"]).items():
            assert value.decode() in used, f"nobody reads {key} of {secret['metadata']['name']}"


def test_secrets_are_files_for_one_group(manifests):
    """The key that signs tokens is refused when others may read it (src/security/signing_key.c)."""
    for name, pod in manifests.pods.items():
        for volume in pod["spec"]["volumes"]:
            for kind in ("secret", "projected"):
                if kind in volume:
                    assert volume[kind]["defaultMode"] == 0o440, f"{name}: {volume['name']}"
        for container in containers(pod):
            for each in container.get("env", []):
                assert "secretKeyRef" not in each.get("valueFrom", {}), f"{name}: {each['name']}"
            assert not any("secretRef" in each for each in container.get("envFrom", [])), name


def test_a_role_holds_only_the_secrets_that_it_needs(manifests):
    held = {role: set(manifests.mounted(pod, pod["spec"]["containers"][0]))
            for role, pod in manifests.pods.items() if role in ROLES}
    folder = "/run/secrets/unreel/"
    assert {role: {path.removeprefix(folder) for path in paths} for role, paths in held.items()} == {
        "gateway": {"jobs", "blobs", "queue"},
        "auth": {"accounts", "signing-key"},
        "converter": {"jobs", "blobs", "queue"},
        "notifier": {"jobs", "queue", "mail"},
        "migrate": {"accounts", "jobs", "blobs"},
    }


def test_secrets_are_made_once_and_for_their_owner(tmp_path):
    overlay = copied("local", tmp_path)
    before = {path.name: path.read_bytes() for path in (overlay / "secrets").iterdir()}
    (overlay / "secrets" / "queue").unlink()
    subprocess.run([tmp_path / "kubernetes" / "make-secrets", overlay], check=True, stdout=subprocess.DEVNULL)
    assert {path.name: path.read_bytes() for path in (overlay / "secrets").iterdir()} == before
    assert {path.stat().st_mode & 0o077 for path in (overlay / "secrets").iterdir()} == {0}
    refused = subprocess.run([tmp_path / "kubernetes" / "make-secrets", "production"], text=True,
                             capture_output=True, env={"PATH": "/usr/bin:/bin"})
    assert refused.returncode == 2 and "MAIL_URL" in refused.stderr


def test_no_secret_is_in_the_repository():
    for overlay in OVERLAYS:
        path = f"deploy/kubernetes/overlays/{overlay}/secrets/mail"
        assert subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0
    tracked = subprocess.run(["git", "ls-files", "deploy/kubernetes"], cwd=ROOT, text=True,
                             capture_output=True).stdout.split()
    for path in tracked:
        text = (ROOT / path).read_text()
        assert not re.search(r"^kind: Secret$|://\w+:\w{12,}@|\b[0-9a-f]{32,}\b", text, re.MULTILINE), path


# ---- who may speak to whom ---------------------------------------------------------------------------

DATABASE, STORE, QUEUE = "mariadb:3306", "mongodb:27017", "rabbitmq:5672"
REACHES = {
    "gateway": {"auth:8080", DATABASE, STORE, QUEUE},
    "auth": {DATABASE},
    "converter": {QUEUE, STORE, DATABASE},
    "notifier": {QUEUE, DATABASE},
    "migrate": {DATABASE, STORE},
    "mariadb": set(),
    "mongodb": {STORE},
    "mongodb-initiate": {STORE},
    "rabbitmq": {"rabbitmq:4369", "rabbitmq:25672"},
    "a stranger's pod": set(),
    "ingress": {"gateway:8080"},
    "prometheus": {f"{role}:8081" for role in set(ROLES) - {"migrate"}} | {"rabbitmq:15692"},
    "keda": set(),
}
BEYOND = {
    "local": {
        "notifier": {"mailpit:1025"}, "mailpit": set(), "a stranger's pod": {"gateway:8080"},
        "prometheus": {"gateway:8080"}, "ingress": set(), "keda": {"gateway:8080"},
    },
    "production": {
        "notifier": {"a mail server:25", "a mail server:465", "a mail server:587"},
        "keda": {DATABASE, "rabbitmq:15672"},
    },
}


def test_each_reaches_exactly_what_it_needs(manifests):
    ours = {name: Peer(name, pod["metadata"]["labels"], "unreel") for name, pod in manifests.pods.items()}
    others = {name: Peer(name, {}, namespace) for name, namespace in (
        ("a stranger's pod", "default"), ("ingress", "ingress-nginx"), ("prometheus", "monitoring"),
        ("keda", "keda"))}
    servers = [(ours[name], port["containerPort"]) for name, pod in manifests.pods.items()
               for container in pod["spec"]["containers"] for port in container.get("ports", [])]
    outside = Peer("a mail server")
    servers += [(outside, port) for port in (22, 25, 80, 443, 465, 587, 3306)]
    found = {}
    for name, client in (ours | others).items():
        found[name] = {f"{server.name}:{port}" for server, port in servers
                       if not (client in others.values() and server is outside)
                       and reaches(manifests, client, server, port)}
    beyond = BEYOND[manifests.overlay]
    assert found == {name: REACHES.get(name, set()) | beyond.get(name, set())
                     for name in REACHES.keys() | beyond.keys()}


def test_nobody_may_begin_what_nobody_takes(manifests):
    """Each permission of a client has its other half at the server, and a newcomer has none at all."""
    pods = [Peer(name, pod["metadata"]["labels"], "unreel") for name, pod in manifests.pods.items()]
    newcomer, stranger = Peer("newcomer", {}, "unreel"), Peer("stranger", {}, "default")
    ports = {port["containerPort"] for pod in manifests.pods.values()
             for container in pod["spec"]["containers"] for port in container.get("ports", [])}
    for port in ports:
        for client in [*pods, newcomer]:
            for server in [*pods, newcomer]:
                if allows(manifests, client, "Egress", server, port):
                    assert reaches(manifests, client, server, port), f"{client.name} to {server.name}:{port}"
            if port == 8080 and manifests.overlay == "local":
                continue  # the gateway is open to all there
            assert not reaches(manifests, client, newcomer, port) and not reaches(manifests, newcomer, client, port)
        assert not reaches(manifests, stranger, newcomer, port)


def test_all_may_ask_for_names_and_nothing_else_of_kube_system(manifests):
    dns = Peer("dns", {"k8s-app": "kube-dns"}, "kube-system")
    api = Peer("api", {"component": "kube-apiserver"}, "kube-system")
    for name, pod in manifests.pods.items():
        client = Peer(name, pod["metadata"]["labels"], "unreel")
        assert reaches(manifests, client, dns, 53), name
        assert not reaches(manifests, client, dns, 9153) and not reaches(manifests, client, api, 6443), name


# ---- names that must fit -----------------------------------------------------------------------------

def test_whoever_names_somebody_names_one_who_is_there(manifests):
    pods = manifests.pods
    for service in manifests.of_kind("Service"):
        chosen = [pod for pod in pods.values() if selects({"matchLabels": service["spec"]["selector"]},
                                                         pod["metadata"]["labels"])]
        assert len(chosen) == 1, service["metadata"]["name"]
        ports = {key: port for container in chosen[0]["spec"]["containers"] for port in container["ports"]
                 for key in (port["name"], port["containerPort"])}
        for port in service["spec"]["ports"]:
            assert port.get("targetPort", port["port"]) in ports, service["metadata"]["name"]
    for budget in manifests.of_kind("PodDisruptionBudget"):
        assert any(selects(budget["spec"]["selector"], pod["metadata"]["labels"]) for pod in pods.values())
    for each in manifests.of_kind("StatefulSet"):
        service = manifests.find("Service", each["spec"]["serviceName"])
        assert service["spec"]["clusterIP"] == "None"
    for scaler in manifests.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        target = manifests.find("Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in target["spec"], "each apply would undo what the scaler did"
    for ingress in manifests.of_kind("Ingress"):
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            service = manifests.find("Service", path["backend"]["service"]["name"])
            assert path["backend"]["service"]["port"]["name"] in [each["name"] for each in service["spec"]["ports"]]
    for scaler in manifests.of_kind("ScaledObject"):
        for trigger in scaler["spec"]["triggers"]:
            manifests.find("TriggerAuthentication", trigger["authenticationRef"]["name"])


def test_the_ingress_lets_large_uploads_through_as_they_come(manifests):
    if manifests.overlay == "local":
        assert manifests.find("Service", "gateway-outside")["spec"]["type"] == "NodePort"
        return
    prefix = "nginx.ingress.kubernetes.io/"
    annotations = manifests.find("Ingress", "gateway")["metadata"]["annotations"]
    assert annotations[prefix + "proxy-body-size"] == "0"
    assert annotations[prefix + "proxy-request-buffering"] == "off"
    assert annotations[prefix + "proxy-buffering"] == "off"
    assert int(annotations[prefix + "proxy-read-timeout"]) > 60  # ?wait= may take that long


def test_urls_name_servers_that_are_there(manifests):
    """mysql://…@mariadb/…: a Service; …@rabbitmq-0.rabbitmq:5672,…: each member of a StatefulSet."""
    hosts = set()
    for role in ROLES:
        pod = manifests.pods[role]
        for content in manifests.mounted(pod, pod["spec"]["containers"][0]).values():
            if found := re.match(r"\w+://(?:[^@/]*@)?([^/?]+)", content):
                hosts |= {host.split(":")[0] for host in found[1].split(",")}
    expected = {"mariadb", "mailpit" if manifests.overlay == "local" else "mail.example.org"}
    for name in ("mongodb", "rabbitmq"):
        count = manifests.find("StatefulSet", name)["spec"]["replicas"]
        expected |= {f"{name}-{number}.{name}" for number in range(count)}
    assert hosts == expected
    members = manifests.environment(manifests.pods["mongodb-initiate"]["spec"]["containers"][0])["MEMBERS"]
    assert set(members.split(",")) == {f"{host}:27017" for host in expected if host.startswith("mongodb")}
    cluster = re.findall(r"= rabbit@(\S+)", manifests.config_starting("rabbitmq")["15-cluster.conf"])
    nodes = [host for host in expected if host.startswith("rabbitmq")]
    assert set(cluster) == (set(nodes) if len(nodes) > 1 else set())


def test_the_pods_fit_the_image(manifests):
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    user = re.search(r"^USER (\d+):(\d+)$", dockerfile, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["/usr/local/bin/unreel"\]$', dockerfile, re.MULTILINE)
    exposed = {int(port) for port in re.search(r"^EXPOSE (.*)$", dockerfile, re.MULTILINE)[1].split()}
    for role in ROLES:
        spec = manifests.pods[role]["spec"]
        assert "command" not in spec["containers"][0], "the image's entry point is the program"
        assert [spec["securityContext"][key] for key in ("runAsUser", "runAsGroup")] == \
            [int(user[1]), int(user[2])]
        assert {each["containerPort"] for each in spec["containers"][0].get("ports", [])} <= exposed
        assert manifests.environment(spec["containers"][0])["UNREEL_DATA"] == "/data"


def test_the_servers_are_those_of_the_compose_file(manifests):
    compose = ROOT / "deploy" / "compose" / "compose.yaml"
    if not compose.exists():
        pytest.skip("there is no compose file")
    known = {each["image"] for each in yaml.safe_load(compose.read_text())["services"].values() if "image" in each}
    used = {container["image"] for pod in manifests.pods.values() for container in containers(pod)}
    assert {image for image in used if "unreel" not in image} <= known


def test_the_scaler_counts_what_the_program_has(manifests):
    if manifests.overlay == "local":
        assert not manifests.of_kind("ScaledObject")
        return
    queue, database = manifests.find("ScaledObject", "converter")["spec"]["triggers"]
    sources = "".join(path.read_text() for path in (ROOT / "src" / "roles" / "converter").glob("*.c"))
    assert f'.topic = "{queue["metadata"]["queueName"]}"' in sources
    assert queue["metadata"]["excludeUnacknowledged"] == "false"
    assert "converting" in database["metadata"]["query"]  # runs for real in test_kubernetes_pods.py


def test_the_image_is_this_version(manifests):
    version = re.search(r"^  version: '(.*)',$", (ROOT / "meson.build").read_text(), re.MULTILINE)[1]
    for role in ROLES:
        assert manifests.pods[role]["spec"]["containers"][0]["image"].endswith(f"unreel:{version}")


def test_every_object_of_ours_carries_the_usual_labels(manifests):
    for name, pod in manifests.pods.items():
        assert {"app.kubernetes.io/name", "app.kubernetes.io/component", "app.kubernetes.io/part-of"} <= \
            pod["metadata"]["labels"].keys(), name
    for each in manifests.documents:
        if each["kind"] != "Namespace":
            assert each["metadata"]["namespace"] == "unreel", each["metadata"]["name"]


# ---- the order of an upgrade -------------------------------------------------------------------------

def test_apply_migrates_before_it_starts_new_roles(tmp_path):
    """With a kubectl that only notes what it is asked."""
    overlay = copied("production", tmp_path)
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(kubernetes_tools.render(overlay))
    (tmp_path / "kubectl").write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n[ "$1" != kustomize ] || cat {rendered}\n')
    (tmp_path / "kubectl").chmod(0o755)
    subprocess.run([KUBERNETES / "apply", overlay], check=True,
                   env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stdout=subprocess.DEVNULL)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == \
        ["kustomize", "delete", "apply", "wait", "apply", *["rollout"] * 4]
    assert "component notin (gateway, auth, converter, notifier)" in asked[2]
    assert "condition=complete" in asked[3]
    assert "selector" not in asked[4]
    first = yaml.safe_load_all(rendered.read_text())
    assert next(first)["kind"] == "Namespace"
