"""Owns the lists of what AWS's operations take, which `docs/coverage.md` is held against: made from botocore's models.

Must never judge what is served. A list has an operation a line and below it, indented, its parameters by their names on the
wire, nested ones dotted, lists without their numbers. Reader goes next to `crates/evenkeel/src/api/coverage`.

    python models.py            writes the lists anew, from the botocore of the python that runs it
    python models.py --check    says what of them is not as that botocore has it

Exit status: 0 the lists are as botocore's models say, 1 they are not, 2 wrong arguments.
"""

import difflib
import re
import sys
from pathlib import Path

import botocore
import botocore.session

ROOT = Path(__file__).resolve().parents[2]
LISTS = ROOT / "crates/evenkeel/src/api/coverage/aws"
APIS = ("elb", "ec2", "autoscaling", "iam", "acm", "sts", "sns", "cloudwatch")
# With the parameters of its 800 other operations this list would have 20,000 lines.
ONLY_SERVED = ("ec2",)
HEAD = "# What AWS's operations take, by botocore %s. Made by tests/clients/models.py."


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    session = botocore.session.get_session()
    lists = {LISTS / (api + ".txt"): listed(session.get_service_model(api), api) for api in APIS}
    if not sys.argv[1:]:
        for path, text in lists.items():
            path.write_text(text)
        return 0
    return max(check(path, text) for path, text in lists.items())


def check(path, text):
    held = path.read_text()
    if held == text:
        return 0
    # Another botocore has another model: what Python 3.9 gets is older than what the lists were made from.
    if held.splitlines()[0] != text.splitlines()[0]:
        print("SKIPPED: %s was made from another botocore than %s" % (path.name, botocore.__version__))
        return 0
    sys.stdout.writelines(difflib.unified_diff(held.splitlines(True), text.splitlines(True), path.name, "botocore"))
    return 1


def listed(model, api):
    lines = [HEAD % botocore.__version__]
    wanted = served(api) if api in ONLY_SERVED else model.operation_names
    for name in sorted(model.operation_names, key=str.lower):
        shape = model.operation_model(name).input_shape
        lines.append(name)
        if shape is not None and name in wanted:
            lines += ["  " + path for path in parameters(shape, model.metadata["protocol"], "", ())]
    return "\n".join(lines) + "\n"


def served(api):
    """The operations in the dispatch table of an API."""
    text = (ROOT / "crates/aws/src" / api / "mod.rs").read_text()
    return re.findall(r"^    (\w+) => ", text[text.index("actions! {") :], re.MULTILINE)


def parameters(shape, protocol, path, above):
    """The leaves of a shape. One that holds itself is a leaf where it comes again."""
    if shape.type_name == "list":
        yield from parameters(shape.member, protocol, path, above)
    elif shape.type_name == "structure" and shape.members and shape.name not in above:
        for name, member in shape.members.items():
            dotted = "%s.%s" % (path, wire(name, member, protocol)) if path else wire(name, member, protocol)
            yield from parameters(member, protocol, dotted, above + (shape.name,))
    elif path:
        yield path


def wire(name, member, protocol):
    """A member's name on the wire; EC2 has rules of its own, which are botocore's serializer's."""
    stated = member.serialization
    if protocol != "ec2":
        return stated.get("name", name)
    if "queryName" in stated:
        return stated["queryName"]
    return stated["name"][0].upper() + stated["name"][1:] if "name" in stated else name


if __name__ == "__main__":
    sys.exit(main())
