#!/usr/bin/python
"""The agent of this host: there, and in the cluster."""

DOCUMENTATION = r"""
module: warren_agent
short_description: The warren agent of a host runs
description:
  - Waits until the agent answers and has heard from the store. Where no service manager does it, starts the agent.
  - Supports check mode.
options:
  start: {type: str, description: "A shell command that is the agent; without it something else starts it (a unit of systemd)."}
  restart: {type: bool, default: false, description: "With start: one that runs is ended first, which loses no packet."}
  timeout: {type: int, default: 60, description: Seconds it may take.}
author: [warren]
"""
RETURN = r"""
status: {description: What C(warren status) says., type: dict, returned: when not in check mode}
"""

import os
import signal
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.warren import Warren


def main():
    module = AnsibleModule(
        argument_spec={
            "start": {"type": "str"},
            "restart": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    start, restart = module.params["start"], module.params["restart"]
    deadline = time.time() + module.params["timeout"]
    warren = Warren(module)
    there = warren.answers()
    changed = start is not None and (restart or not there)
    if module.check_mode:
        module.exit_json(changed=changed)
    if changed:
        if there:
            end(module, warren, deadline)
        child = launch(start)
    else:
        child = None
    module.exit_json(changed=changed, status=settled(module, warren, deadline, child))


def launch(command):
    """In a session of its own: it must outlive ours. Not in a shell that would wait for it."""
    os.umask(0o077)
    with open(os.devnull, "r+b") as null:
        return subprocess.Popen(["/bin/sh", "-c", command], stdin=null, stdout=null, stderr=null, cwd="/", start_new_session=True)


def end(module, warren, deadline):
    pid = warren.run("status")["agent"]["pid"]
    os.kill(pid, signal.SIGTERM)
    while os.path.exists("/proc/%d" % pid):
        if time.time() > deadline:
            module.fail_json(msg="the agent (pid %d) does not end" % pid)
        time.sleep(0.05)


def settled(module, warren, deadline, child):
    why = "no agent answers"
    while True:
        if warren.answers():
            code, status = warren.attempt("status")
            if code == 0 and status["store"]["connected"] and status["store"]["synced"]:
                return status
            why = "the agent has not heard from the store" if code == 0 else str(status)
        if child is not None and child.poll() is not None:
            module.fail_json(msg="the agent has ended with exit status %d; see its log" % child.returncode)
        if time.time() > deadline:
            module.fail_json(msg="%s; see: warren status, journalctl -u warren" % why)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
