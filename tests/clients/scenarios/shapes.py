"""Owns the comparison of an answer, as it came, with the shape that botocore's model gives it.

Must never know an action. botocore itself passes over what it does not know; here that is a broken promise.
"""

import xml.etree.ElementTree as ElementTree


def bare(tag):
    return tag.rsplit("}", 1)[-1]


def differences(element, shape, path=""):
    """What of an XML element is not as the shape says, in words."""
    kind = shape.type_name
    if kind == "structure":
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        found = [bare(child.tag) for child in element]
        for name in sorted(set(found)):
            if name not in known:
                yield "%s/%s is not in the model" % (path, name)
            elif found.count(name) > 1:
                yield "%s/%s comes %d times" % (path, name, found.count(name))
        for name in shape.required_members:
            if shape.members[name].serialization.get("name", name) not in found:
                yield "%s/%s is required and absent" % (path, name)
        for child in element:
            if bare(child.tag) in known:
                yield from differences(child, known[bare(child.tag)], "%s/%s" % (path, bare(child.tag)))
    elif kind == "list":
        name = shape.member.serialization.get("name", "member")
        for child in element:
            if bare(child.tag) != name:
                yield "%s has <%s> where <%s> should be" % (path, bare(child.tag), name)
            yield from differences(child, shape.member, "%s/%s" % (path, name))
    elif kind == "map":
        names = {shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")}
        for child in element:
            if bare(child.tag) != "entry" or {bare(part.tag) for part in child} != names:
                yield "%s has an entry that is not one of %s" % (path, sorted(names))
    elif len(element):
        yield "%s should be a value, and has elements" % path
    elif kind in ("integer", "long"):
        if not (element.text or "").lstrip("-").isdigit():
            yield "%s should be a whole number, and is %r" % (path, element.text)
    elif kind == "boolean":
        if element.text not in ("true", "false"):
            yield "%s should be true or false, and is %r" % (path, element.text)
    elif kind == "timestamp":
        if not (element.text or "").endswith("Z"):
            yield "%s should be a time in UTC, and is %r" % (path, element.text)


class Watched:
    """Notes every call of a boto3 client, and what of its answer is not as modelled."""

    def __init__(self, client):
        self.called, self.wrong = set(), []
        client.meta.events.register("after-call.*.*", self.look)

    def look(self, model, http_response, **_):
        self.called.add(model.name)
        root = ElementTree.fromstring(http_response.content)
        if http_response.status_code != 200:
            return
        shape = model.output_shape
        if shape is None:
            return
        wrapper = shape.serialization.get("resultWrapper")
        inside = next((child for child in root if bare(child.tag) == wrapper), None) if wrapper else root
        if inside is None:
            self.wrong.append("%s: no <%s>" % (model.name, wrapper))
        else:
            self.wrong += ["%s: %s" % (model.name, what) for what in differences(inside, shape)]
