#!/usr/bin/python
"""A service of the cluster."""

DOCUMENTATION = r"""
module: warren_service
short_description: A service of a warren cluster
description:
  - Makes it, changes it, or removes it. Its virtual IPs stay as they are.
  - Runs on any host of the cluster whose agent runs. Supports check mode and diff.
options:
  name: {type: str, required: true, description: One DNS label.}
  network: {type: str, required: true, description: Whose virtual IP it gets.}
  state: {choices: [present, absent], default: present, description: Shall it be there?}
  ports: {type: list, elements: str, description: "[VIPPORT:]TARGET[/tcp|udp]"}
  vips: {type: list, elements: str, description: "These virtual IPs, when it is made."}
  scheduler: {type: str, description: How connections are spread.}
  affinity: {type: int, description: Seconds for which a client keeps its backend.}
  health: {type: str, description: "tcp, http:/PATH, exec:COMMAND or none"}
  publish: {type: list, elements: str, description: "[IP:]PORT:VIPPORT[/tcp|udp]; an empty list publishes nothing."}
  publish_mode: {choices: [ingress, host], description: Whose backends a host leads to.}
  publish_from: {type: list, elements: str, description: CIDRs of the clients that are answered; an empty list for all.}
  labels: {type: dict, description: Added to those it has.}
author: [warren]
"""
RETURN = r"""
service: {description: "As C(warren service inspect) shows it.", type: dict, returned: when it is there}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.warren import Warren, diff, flags, labels, networks


def port_of(word):
    """[VIPPORT:]TARGET[/tcp|udp], in full."""
    numbers, _, proto = word.partition("/")
    port, _, target = numbers.partition(":")
    return "%s:%s/%s" % (port, target or port, proto or "tcp")


def published(word):
    """[IP:]PORT:VIPPORT[/tcp|udp], in full; an IPv6 address may be in brackets."""
    rest, _, proto = word.partition("/")
    parts = rest.rsplit(":", 2)
    ip = parts[0].strip("[]") + ":" if len(parts) == 3 else ""
    return "%s%s:%s/%s" % (ip, parts[-2], parts[-1], proto or "tcp")


def shown(service):
    """As a playbook would say it."""
    if service is None:
        return None
    publish = service["publish"]
    return {
        "name": service["name"],
        "network": service["network"],
        "ports": sorted("%(port)s:%(target)s/%(proto)s" % each for each in service["ports"]),
        "scheduler": service["scheduler"],
        "affinity": service["affinity"],
        "health": service["health"],
        "publish": sorted((each["ip"] + ":" if each["ip"] else "") + "%(port)s:%(vipPort)s/%(proto)s" % each for each in publish),
        # Where nothing is published, nobody knows how it would be.
        "publishMode": publish[0]["mode"] if publish else "ingress",
        "publishFrom": sorted(service["publishFrom"]),
        "labels": service["labels"],
    }


def wished(params, have):
    wish = dict(have or {}, name=params["name"], network=params["network"])
    for field, given, full in [("ports", params["ports"], port_of), ("publish", params["publish"], published)]:
        if given is not None:
            wish[field] = sorted(full(word) for word in given)
    if params["publish_from"] is not None:
        wish["publishFrom"] = sorted(networks(params["publish_from"]))
    for field, given in [("scheduler", "scheduler"), ("affinity", "affinity"), ("health", "health"), ("publishMode", "publish_mode")]:
        if params[given] is not None:
            wish[field] = params[given]
    wish["labels"] = dict((have or {}).get("labels") or {}, **(params["labels"] or {}))
    return wish


def options_of(params):
    def listed(words):
        return ["none"] if words == [] else words

    return {
        "--port": params["ports"],
        "--scheduler": params["scheduler"],
        "--affinity": params["affinity"],
        "--health": params["health"],
        "--publish": listed(params["publish"]),
        "--publish-mode": params["publish_mode"],
        "--publish-from": listed(params["publish_from"]),
        "--label": labels(params["labels"]),
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "network": {"type": "str", "required": True},
            "state": {"choices": ["present", "absent"], "default": "present"},
            "ports": {"type": "list", "elements": "str"},
            "vips": {"type": "list", "elements": "str"},
            "scheduler": {"type": "str"},
            "affinity": {"type": "int"},
            "health": {"type": "str"},
            "publish": {"type": "list", "elements": "str"},
            "publish_mode": {"choices": ["ingress", "host"]},
            "publish_from": {"type": "list", "elements": "str"},
            "labels": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    params = module.params
    reference = "%(network)s/%(name)s" % params
    warren = Warren(module)
    there = None if warren.unknowable() else warren.run("service", "inspect", reference, absent=True)
    have = shown(there)
    if params["state"] == "absent":
        if have and not module.check_mode:
            warren.run("service", "rm", reference, "--if-exists")
        module.exit_json(changed=bool(have), diff=diff(have, None))
    try:
        wish = wished(params, have)
    except ValueError as error:
        module.fail_json(msg="service %s: %s" % (reference, error))
    service = there
    if have is None:
        if not params["ports"]:
            module.fail_json(msg="service %s: it needs ports" % reference)
        if not module.check_mode:
            options = dict(options_of(params), **{"--network": params["network"], "--vip": params["vips"]})
            service = warren.run("service", "create", params["name"], "--if-not-exists", *flags(options))
        module.exit_json(changed=True, service=service, diff=diff(None, shown(service) or wish))
    missing = [vip for vip in params["vips"] or [] if vip not in there["vips"]]
    if missing:
        module.fail_json(msg="service %s has other virtual IPs than %s, and keeps them" % (reference, ", ".join(missing)))
    changed = wish != have
    if changed and not module.check_mode:
        service = warren.run("service", "update", reference, *flags(options_of(params)))
    module.exit_json(changed=changed, service=service, diff=diff(have, wish))


if __name__ == "__main__":
    main()
