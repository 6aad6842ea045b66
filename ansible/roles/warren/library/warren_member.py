#!/usr/bin/python
"""This host's membership: it makes a cluster, joins one, or is only looked at."""

DOCUMENTATION = r"""
module: warren_member
short_description: A host's membership of a warren cluster
description:
  - Makes a cluster (C(warren init)), joins one (C(warren join)), or says whether this host is in one.
  - Whoever is a member stays one. Another name, cluster or address than it has is an error, as it is for warren itself.
  - Supports check mode and diff. The token and the store's URL go by standard input.
options:
  state: {choices: [made, joined, known], default: known, description: What this host shall be.}
  role: {choices: [worker, manager], default: worker, description: What it becomes by joining; also returned.}
  token: {type: str, description: "joined: the join token. Not needed in check mode."}
  manager: {type: str, description: "joined: HOST or HOST:PORT of a manager."}
  cluster: {type: str, default: default, description: Its name.}
  store: {type: str, description: "made: the URL of a Redis; without it this host runs one."}
  advertise: {type: str, description: Address or interface that the others reach this host by.}
  local: {type: str, description: "Behind a NAT: this host's own address or interface."}
  name: {type: str, description: This host's name in the cluster; its host name without it.}
  encap: {choices: [auto, esp, udp], description: How its ESP is sent.}
  data_port: {type: int, description: "made: the VXLAN port."}
author: [warren]
"""
RETURN = r"""
member: {description: "Is this host in a cluster, or would it be after a run that is no check?", type: bool, returned: always}
role: {description: As given., type: str, returned: always}
name: {description: Its name there., type: str, returned: when it is a member}
address: {description: By which the others reach it., type: str, returned: when it is a member}
"""

import ipaddress

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.warren import Warren, diff, flags, read_config


def shown(config):
    return config and {
        "cluster": config.get("cluster"),
        "name": config.get("node.name"),
        "address": config.get("advertise"),
        "role": config.get("role"),
    }


def differing(config, params):
    """What this host is in another way than wished; an interface's name says nothing about the address it had."""
    wishes = [("cluster", params["cluster"], config.get("cluster")), ("name", params["name"], config.get("node.name"))]
    try:
        wishes.append(("address", str(ipaddress.ip_address(u"%s" % params["advertise"])), config.get("advertise")))
    except ValueError:
        pass
    return ["%s %s, not %s" % (what, was, wish) for what, wish, was in wishes if wish is not None and wish != was]


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["made", "joined", "known"], "default": "known"},
            "role": {"choices": ["worker", "manager"], "default": "worker"},
            "token": {"type": "str", "no_log": True},
            "manager": {"type": "str"},
            "cluster": {"type": "str", "default": "default"},
            "store": {"type": "str", "no_log": True},
            "advertise": {"type": "str"},
            "local": {"type": "str"},
            "name": {"type": "str"},
            "encap": {"choices": ["auto", "esp", "udp"]},
            "data_port": {"type": "int"},
        },
        supports_check_mode=True,
    )
    params = module.params
    config = read_config()
    if config:
        wrong = differing(config, params)
        if wrong:
            module.fail_json(msg="this host is a member already: %s; leave first: warren leave" % ", ".join(wrong))
        there = shown(config)
        module.exit_json(changed=False, member=True, **dict(there, role=params["role"]))
    if params["state"] == "known":
        module.exit_json(changed=False, member=False, role=params["role"])
    if not module.check_mode:
        register(module, params)
    after = shown(read_config()) or {"cluster": params["cluster"], "name": params["name"], "address": params["advertise"]}
    module.exit_json(changed=True, member=True, diff=diff(None, after), **dict(after, role=params["role"]))


def register(module, params):
    warren = Warren(module)
    options = {"--" + name: params[name] for name in ["advertise", "local", "name", "encap"]}
    if params["state"] == "joined":
        if not params["token"] or not params["manager"]:
            module.fail_json(msg="joining needs a token, and a manager to give it to")
        warren.run("join", "-", params["manager"], *flags(options), stdin=params["token"])
        return
    options.update({"--cluster": params["cluster"], "--data-port": params["data_port"]})
    if params["store"]:
        options["--store"] = "-"
    warren.run("init", *flags(options), stdin=params["store"])


if __name__ == "__main__":
    main()
