"""Holds what the pipeline says to AWS against AWS's own service models, as botocore publishes them.

    aws_models.py documents ecs/            the task definitions and services, placeholders filled
    aws_models.py requests < requests.jsonl what was sent in a run

A recorded request is a line of JSON: {"method", "path", "headers": {…}, "body": "…"}. The service
is the one that it was signed for. Checked are required members, unknown members, types, lengths,
ranges, enumerations and patterns. botocore itself looks at no maximum, enumeration or pattern; they
are checked here.

Prints a line a fault and ends with 1 if there is any; else says what it has checked.
"""

import json
import pathlib
import re
import sys
import urllib.parse

import botocore.session
import botocore.validate

DOCUMENTS = {"taskdefinition": "RegisterTaskDefinition", "service": "CreateService"}
# Services whose signing name is not their name in botocore.
NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
# Their requests are no documents: paths and headers.
UNCHECKED = {"s3"}

session = botocore.session.get_session()
models = {}


def model(service):
    if service not in models:
        models[service] = session.get_service_model(NAMES.get(service, service))
    return models[service]


def faults(service, operation, request):
    """What AWS would not accept about a request."""
    shape = model(service).operation_model(operation).input_shape
    if shape is None:
        return ["the operation takes nothing"] if request else []
    report = botocore.validate.ParamValidator().validate(request, shape)
    said = report.generate_report().splitlines() if report.has_errors() else []
    return said + list(unknown(shape, request, ""))


def unknown(shape, value, path):
    """Members and values that the model does not have."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in value.items():
            if name in shape.members:
                yield from unknown(shape.members[name], member, f"{path}.{name}")
            else:
                yield f"unknown member {path}.{name}"
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            yield from unknown(shape.member, item, f"{path}[]")
    elif shape.type_name == "map" and isinstance(value, dict):
        for item in value.values():
            yield from unknown(shape.value, item, f"{path}{{}}")
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield f"{path} is {value!r}, and may be {', '.join(shape.enum)}"
    yield from beyond(shape, value, path)


def beyond(shape, value, path):
    """What is longer, more or larger than the model allows, or not of its pattern."""
    most = shape.metadata.get("max")
    size = len(value) if isinstance(value, (str, list, dict)) else value
    if most is not None and isinstance(size, (int, float)) and size > most:
        yield f"{path} has {size}, and at most {most} are allowed"
    pattern = shape.metadata.get("pattern")
    if pattern and isinstance(value, str) and not re.fullmatch(translated(pattern), value):
        yield f"{path} is {value!r}, which is not of the pattern {pattern}"


def translated(pattern):
    """Java's classes of Unicode in Python's words: wider, where those have none for them."""
    classes = {r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s", r"\p{Alnum}": "a-zA-Z0-9"}
    for java, python in classes.items():
        pattern = pattern.replace(java, python)
    return re.sub(r"\\u1([0-9A-F]{4})", r"\\U0001\1", pattern)


def fill(value):
    """A document with something for each placeholder."""
    if isinstance(value, dict):
        return {key: fill(item) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{[A-Z0-9_]+\}", "filled", value)
    return value


def documents(directory):
    for path in sorted(pathlib.Path(directory).glob("ecs_*.json")):
        kind = path.stem.rsplit("_", 1)[-1]
        document = fill(json.loads(path.read_text()))
        yield path.name, "ecs", DOCUMENTS[kind], faults("ecs", DOCUMENTS[kind], document)


def unflatten(shape, pairs):
    """The query protocol's `Names.member.1=a` as the document that it stands for."""
    if shape.type_name == "structure":
        found = {}
        for name, member in shape.members.items():
            wire = member.serialization.get("name", name)
            inside = {key[len(wire):]: value for key, value in pairs.items()
                      if key == wire or key.startswith(wire + ".")}
            if inside:
                found[name] = unflatten(member, {k.lstrip("."): v for k, v in inside.items()})
        wires = [member.serialization.get("name", name) for name, member in shape.members.items()]
        for key in pairs:
            if not any(key == wire or key.startswith(wire + ".") for wire in wires):
                found[key] = pairs[key]
        return found
    if shape.type_name == "list":
        items = {}
        for key, value in pairs.items():
            parts = key.split(".")
            if not shape.serialization.get("flattened"):
                parts = parts[1:]
            items.setdefault(int(parts[0]) if parts else 0, {})[".".join(parts[1:])] = value
        return [unflatten(shape.member, items[index]) for index in sorted(items)]
    text = pairs.get("", "")
    if shape.type_name in ("integer", "long"):
        return int(text)
    if shape.type_name == "boolean":
        return text == "true"
    return text


def requests(lines):
    for line in filter(str.strip, lines):
        request = json.loads(line)
        headers = {name.lower(): value for name, value in request["headers"].items()}
        signed = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", headers.get("authorization", ""))
        if not signed:
            # A browser's, or the smoke check's.
            continue
        service = signed.group(1)
        if service in UNCHECKED:
            yield request["path"], service, request["method"], None
            continue
        target = headers.get("x-amz-target")
        if target:
            operation, document = target.rsplit(".", 1)[-1], json.loads(request["body"] or "{}")
        else:
            pairs = dict(urllib.parse.parse_qsl(request["body"], keep_blank_values=True))
            operation = pairs.pop("Action")
            pairs.pop("Version", None)
            shape = model(service).operation_model(operation).input_shape
            document = unflatten(shape, pairs) if shape else pairs
        yield request["path"], service, operation, faults(service, operation, document)


def main():
    what = sys.argv[1]
    checked, wrong = {}, 0
    for name, service, operation, found in (
        documents(sys.argv[2]) if what == "documents" else requests(sys.stdin)
    ):
        key = f"{service}:{operation}" + (" (not checked)" if found is None else "")
        checked[key] = checked.get(key, 0) + 1
        for fault in found or []:
            wrong += 1
            print(f"{name}: {service}:{operation}: {fault}")
    if not checked:
        print("there was nothing to check")
        return 1
    for key, count in sorted(checked.items()):
        print(f"{count:4} {key}", file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
