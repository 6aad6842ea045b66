#!/usr/bin/python
"""Join tokens, from a manager. For tasks with no_log: what it returns lets anybody join."""

DOCUMENTATION = r"""
module: warren_token
short_description: Join tokens of a warren cluster
description:
  - The standing tokens, which are the same every time. Changes nothing. Runs on a manager whose agent runs.
  - Use it with C(no_log), and delegate it to the manager.
options:
  roles: {type: list, elements: str, required: true, description: "Of worker and manager, those that are needed."}
author: [warren]
"""
RETURN = r"""
tokens: {description: One for each role., type: dict, returned: always}
manager: {description: The address to join at., type: str, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.warren import Warren, read_config


def main():
    module = AnsibleModule(
        argument_spec={"roles": {"type": "list", "elements": "str", "required": True}}, supports_check_mode=True
    )
    warren = Warren(module)
    tokens = {role: warren.run("token", role)["token"] for role in module.params["roles"]}
    module.exit_json(changed=False, tokens=tokens, manager=(read_config() or {}).get("advertise"))


if __name__ == "__main__":
    main()
