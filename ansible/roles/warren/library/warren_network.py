#!/usr/bin/python
"""A network of the cluster."""

DOCUMENTATION = r"""
module: warren_network
short_description: A network of a warren cluster
description:
  - Makes it, lets its subnets grow, sets labels, or removes it. What a network cannot become is an error.
  - Runs on any host of the cluster whose agent runs. Supports check mode and diff.
options:
  name: {type: str, required: true, description: One DNS label.}
  state: {choices: [present, absent], default: present, description: Shall it be there?}
  subnets: {type: list, elements: str, description: CIDRs; one of each family from the pools without it.}
  ip_ranges: {type: list, elements: str, description: Parts of the subnets that addresses are given out of.}
  reserved: {type: list, elements: str, description: Addresses that are not given out unasked.}
  allow_overlap: {type: bool, default: false, description: Its subnets may overlap another network's.}
  encrypt: {type: bool, default: true, description: Encrypted between hosts.}
  internal: {type: bool, default: false, description: No way out of it.}
  mtu: {type: str, default: auto, description: "Bytes, or auto."}
  labels: {type: dict, description: Added to those it has.}
author: [warren]
"""
RETURN = r"""
network: {description: "As C(warren network inspect) shows it.", type: dict, returned: when it is there}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.warren import Warren, diff, flags, labels, networks

SHOWN = ["name", "subnets", "ipRanges", "reserved", "encrypted", "internal", "labels"]


def shown(network):
    return network and {field: network[field] for field in SHOWN if network.get(field)}


def wished(params, have):
    """How the network shall be; of what is not said it is as it is."""
    wish = {field: have.get(field) for field in SHOWN} if have else {}
    wish.update({"name": params["name"], "encrypted": params["encrypt"], "internal": params["internal"]})
    for field, value in [("subnets", params["subnets"]), ("ipRanges", params["ip_ranges"])]:
        if value is not None:
            wish[field] = networks(value)
    if params["reserved"] is not None:
        wish["reserved"] = sorted(params["reserved"])
    wish["labels"] = dict((have or {}).get("labels") or {}, **(params["labels"] or {}))
    return wish


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"choices": ["present", "absent"], "default": "present"},
            "subnets": {"type": "list", "elements": "str"},
            "ip_ranges": {"type": "list", "elements": "str"},
            "reserved": {"type": "list", "elements": "str"},
            "allow_overlap": {"type": "bool", "default": False},
            "encrypt": {"type": "bool", "default": True},
            "internal": {"type": "bool", "default": False},
            "mtu": {"type": "str", "default": "auto"},
            "labels": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    params = module.params
    name = params["name"]
    warren = Warren(module)
    have = None if warren.unknowable() else warren.run("network", "inspect", name, absent=True)
    if params["state"] == "absent":
        if have and not module.check_mode:
            warren.run("network", "rm", name, "--if-exists")
        module.exit_json(changed=bool(have), diff=diff(shown(have), None))
    try:
        wish = wished(params, have)
    except ValueError as error:
        module.fail_json(msg="network %s: %s" % (name, error))
    if have is None:
        network = None if module.check_mode else create(warren, params)
        module.exit_json(changed=True, network=network, diff=diff(None, shown(network or wish)))
    if "reserved" in have:
        have["reserved"] = sorted(have["reserved"])
    changing = [field for field in SHOWN if (wish.get(field) or None) != (have.get(field) or None)]
    fixed = [field for field in changing if field not in ("subnets", "labels")]
    if params["mtu"] not in ("auto", str(have["mtu"])):
        fixed.append("mtu")
    if fixed:
        module.fail_json(
            msg="network %s exists with other parameters (%s); remove it first: warren network rm %s"
            % (name, ", ".join(fixed), name)
        )
    network = have
    if changing and not module.check_mode:
        options = {"--subnet": wish["subnets"] if "subnets" in changing else None, "--label": labels(params["labels"])}
        network = warren.run("network", "update", name, *flags(options))
    module.exit_json(changed=bool(changing), network=network, diff=diff(shown(have), shown(wish)))


def create(warren, params):
    options = {
        "--subnet": params["subnets"],
        "--ip-range": params["ip_ranges"],
        "--reserve": params["reserved"],
        "--allow-overlap": params["allow_overlap"],
        "--encrypt": "true" if params["encrypt"] else "false",
        "--internal": params["internal"],
        "--mtu": params["mtu"],
        "--label": labels(params["labels"]),
    }
    return warren.run("network", "create", params["name"], "--if-not-exists", *flags(options))


if __name__ == "__main__":
    main()
