"""Says what the API of a Kubernetes version, or KEDA's, would refuse in the YAML on standard input; unknown
members too. One line a fault. A program of its own, since it needs newer libraries than Debian's.
Usage: check_schemas.py VERSION FOLDER_OF_KEDA_DEFINITIONS"""
import sys
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml


def refuse_unknown(schema):
    """A resource definition keeps silent about members that it does not name; the API server drops them."""
    if isinstance(schema, list):
        for each in schema:
            refuse_unknown(each)
    elif isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        if schema.get("x-kubernetes-int-or-string"):
            schema.pop("anyOf", None)
            schema["type"] = ["integer", "string"]
        for each in list(schema.values()):
            refuse_unknown(each)


@cache
def keda_schema(kind: str) -> dict:
    definition = yaml.safe_load(Path(sys.argv[2], f"keda.sh_{kind.lower()}s.yaml").read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    refuse_unknown(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def faults(document: dict) -> list[str]:
    if document["apiVersion"].startswith("keda.sh/"):
        validator = jsonschema.Draft202012Validator(keda_schema(document["kind"]))
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    try:
        kubernetes_validate.validate(document, sys.argv[1], strict=True)
        return []
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]


for document in yaml.safe_load_all(sys.stdin):
    for fault in faults(document):
        print(f"{document['kind']}/{document['metadata']['name']} {fault}")
