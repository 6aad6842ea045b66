"""What the role's modules have in common: the program, what it answers, and this host's configuration."""

import ipaddress
import json
import os
import re
import socket

CONFIG = "/etc/warren/config.yaml"


class Warren:
    """The `warren` of this host. What it is given in secret goes by its standard input."""

    def __init__(self, module):
        self.module = module
        self._path = None

    def run(self, *words, **options):
        """Its answer, a document, or None where `absent` says that exit status 3 means just that. Fails on everything else."""
        code, document = self.attempt(*words, stdin=options.get("stdin"))
        if code == 0:
            return document
        if code == 3 and options.get("absent"):
            return None
        error = document.get("error", {}) if isinstance(document, dict) else {}
        told = "; ".join(filter(None, [error.get("message"), error.get("hint")]))
        self.module.fail_json(msg="warren %s: %s" % (words[0], told or document), rc=code, code=error.get("code"))

    def attempt(self, *words, **options):
        """Its exit status and its answer, however it went."""
        command = [self.path] + list(words) + ["--json"]
        code, out, err = self.module.run_command(command, data=options.get("stdin"), environ_update={"LC_ALL": "C.UTF-8"})
        try:
            return code, json.loads(out)
        except ValueError:
            return code or 1, (err or out).strip()

    @property
    def path(self):
        if self._path is None:
            self._path = self.module.get_bin_path("warren", required=True, opt_dirs=["/usr/local/bin"])
        return self._path

    def answers(self):
        """Is there an agent? The program would wait for one for five seconds."""
        config = read_config() or {}
        run_dir = os.environ.get("WARREN_RUN_DIR") or config.get("runDir", "/run/warren")
        path = os.environ.get("WARREN_SOCKET") or config.get("socket") or os.path.join(run_dir, "agent.sock")
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            client.connect(path)
            return True
        except OSError:
            return False
        finally:
            client.close()

    def unknowable(self):
        """In check mode before there is an agent: what would be made is not there, in a cluster that is there nobody knows."""
        if not self.module.check_mode or self.answers():
            return False
        if read_config():
            self.module.warn("no agent answers on this host: what would change in the cluster cannot be told")
        return True


def read_config():
    """This host's place in its cluster as a flat dict, or None. Not by PyYAML, which hosts need not have: the file is warren's own."""
    try:
        with open(CONFIG) as file:
            text = file.read()
    except OSError:
        return None
    found = {}
    within = ""
    for line in text.splitlines():
        match = re.match(r"^( *)(\w+):(?: (.*))?$", line)
        if not match:
            continue
        indent, key, value = match.groups()
        if not indent:
            within = "" if value else key + "."
        found[(within if indent else "") + key] = (value or "").strip("\"'")
    return found if "node.id" in found else None


def networks(words):
    """CIDRs as warren shows them: IPv4 first, no host bits."""
    parsed = [ipaddress.ip_network(u"%s" % word, strict=False) for word in words]
    return [str(network) for network in sorted(parsed, key=lambda network: network.version)]


def flags(options):
    """{'--subnet': [a, b], '--internal': True, '--mtu': '1400', '--ip-range': None} as words of a command line."""
    words = []
    for flag, value in sorted(options.items()):
        if value is None or value is False:
            continue
        for each in value if isinstance(value, list) else [value]:
            words.append(flag if each is True else "%s=%s" % (flag, each))
    return words


def labels(words):
    return None if words is None else ["%s=%s" % pair for pair in sorted(words.items())]


def diff(before, after):
    """For --diff: two documents, or nothing for what is not there."""

    def text(document):
        return json.dumps(document, indent=2, sort_keys=True) + "\n" if document else ""

    return {"before": text(before), "after": text(after)}
