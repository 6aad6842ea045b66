import type { Command } from './command.ts';

// biome-ignore lint/suspicious/noExplicitAny: each command knows its own arguments
type Loader = () => Promise<{ default: Command<any> }>;
const verb = (path: string, describe: string, load: Loader) => ({
  path,
  describe,
  load: async () => (await load()).default,
});

/** The whole CLI on one screen. */
export const commands = [
  verb('init', 'make a cluster, or add this host to one', () => import('./commands/init.ts')),
  verb(
    'join <token> <manager>',
    'make this host a member: HOST[:PORT] of a manager',
    () => import('./commands/join.ts'),
  ),
  verb('token [role]', 'what another host joins by: worker or manager', () => import('./commands/token.ts')),
  verb(
    'leave',
    'take this host out of its cluster, and everything of warren off it',
    () => import('./commands/leave.ts'),
  ),
  verb('agent', 'run the agent in the foreground', () => import('./commands/agent.ts')),
  verb('sync', 'make this host what it should be, once', () => import('./commands/sync.ts')),
  verb('dns', 'serve names in the foreground; the agent does it otherwise', () => import('./commands/dns.ts')),
  verb('status', 'this host at a glance', () => import('./commands/status.ts')),
  verb(
    'cluster inspect',
    'the cluster, how much there is in it, and its limits',
    () => import('./commands/cluster-inspect.ts'),
  ),
  verb(
    'cluster set',
    'how many networks, endpoints and services there may be',
    () => import('./commands/cluster-set.ts'),
  ),
  verb('backup [file]', 'save what the store says', () => import('./commands/backup.ts')),
  verb('restore <file>', 'make the store what it was', () => import('./commands/restore.ts')),
  verb('logs', 'who changed what, and when: --audit', () => import('./commands/logs.ts')),
  verb('rekey [node]', 'agree on new keys with a host, or with all', () => import('./commands/rekey.ts')),
  verb('node ls', 'list hosts', () => import('./commands/node-ls.ts')),
  verb('node inspect <node>', 'show a host', () => import('./commands/node-inspect.ts')),
  verb('node drain <node>', 'no new work for a host', () => import('./commands/node-drain.ts')),
  verb('node activate <node>', 'work for it again', () => import('./commands/node-activate.ts')),
  verb('node rm <node..>', 'take hosts out that are gone for good', () => import('./commands/node-rm.ts')),
  verb(
    'node trust <node>',
    'accept a host’s new identity; compare fingerprints before',
    () => import('./commands/node-trust.ts'),
  ),
  verb('network create <name>', 'make a network', () => import('./commands/network-create.ts')),
  verb('network ls', 'list networks', () => import('./commands/network-ls.ts')),
  verb('network inspect <network>', 'show a network and how full it is', () => import('./commands/network-inspect.ts')),
  verb('network update <network>', 'grow a subnet, set labels', () => import('./commands/network-update.ts')),
  verb('network rm <network..>', 'remove networks', () => import('./commands/network-rm.ts')),
  verb(
    'ipam check',
    'compare what the store says in several places, and mend it',
    () => import('./commands/ipam-check.ts'),
  ),
  verb('attach <network>', 'put a network namespace on a network', () => import('./commands/attach.ts')),
  verb('detach <endpoint>', 'take a network namespace off a network', () => import('./commands/detach.ts')),
  verb('endpoint ls', 'list what is attached', () => import('./commands/endpoint-ls.ts')),
  verb('endpoint inspect <endpoint>', 'show an endpoint', () => import('./commands/endpoint-inspect.ts')),
  verb(
    'endpoint exec <endpoint>',
    'run a command in an endpoint’s network namespace: -- CMD…',
    () => import('./commands/endpoint-exec.ts'),
  ),
  verb('resolve <name>', 'what a name means to endpoints', () => import('./commands/resolve.ts')),
  verb(
    'service create <name>',
    'make a service: one virtual IP for many backends',
    () => import('./commands/service-create.ts'),
  ),
  verb('service ls', 'list services', () => import('./commands/service-ls.ts')),
  verb('service inspect <service>', 'show a service', () => import('./commands/service-inspect.ts')),
  verb('service ps <service>', 'list its backends', () => import('./commands/service-ps.ts')),
  verb('service update <service>', 'change it', () => import('./commands/service-update.ts')),
  verb('service add <service> <endpoint>', 'make an endpoint a backend', () => import('./commands/service-add.ts')),
  verb(
    'service drain <service> <endpoint>',
    'no new connections to a backend, and none lost',
    () => import('./commands/service-drain.ts'),
  ),
  verb('service rm <service..>', 'remove services', () => import('./commands/service-rm.ts')),
  verb(
    'run <network>',
    'run a command in a namespace of its own on a network: -- CMD…',
    () => import('./commands/run.ts'),
  ),
] as const;
