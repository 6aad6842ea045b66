import type { NetworkId, NodeId } from '../model/id.ts';

/*
 * The only file that spells Redis keys. Two kinds of slots (the braces are a Redis Cluster hash tag):
 *   warren:{CLUSTER}:…            the registry: cluster, nodes, leases, announcements, networks, vnis, prefixes
 *   warren:{CLUSTER/NETWORKID}:…  one network: endpoints, names, addresses (by id: names may be reused)
 * Both have `meta` (hash) and `changes` (stream, ids REVISION-MICROSECONDS).
 *
 * meta, both slots:  schema rev incarnation (this slot's history) root (the registry's incarnation)
 * meta, registry:    clusterId name ula dataPort underlayFamily limits (JSON), cursors: vni index subnet4 subnet6 vip4 vip6
 * meta, network:     id state(open|closing|gone) pool4 pool6, cursors: next4 next6
 *                    once it lost writes: past (incarnations before), awaits (nodes), awaitedUntil (milliseconds);
 *                    restored: a backup has said who was there
 */

/**
 * Newest layout of keys and documents that this version knows. Scripts refuse a newer one (store_schema), and write an older
 * one as it is: agents of several versions live side by side, and who knows more raises it when nobody is left who does not
 * (upgrade-registry). A document's new line needs no new layout (document.ts).
 *
 *   registry 2   + seen: what a renewed lease costs grew with the square of the nodes
 */
export const schema = { registry: 2, network: 1 } as const;

export type RegistryKeys = ReturnType<typeof registryKeys>;
export type NetworkKeys = ReturnType<typeof networkKeys>;

export function registryKeys(cluster: string) {
  const key = (name: string) => `warren:{${cluster}}:${name}`;
  return {
    meta: key('meta'),
    changes: key('changes'),
    /** hash id -> document */
    nodes: key('nodes'),
    /** hash name -> id */
    nodeNames: key('node-names'),
    /** bitmap by index */
    nodeIndexes: key('node-indexes'),
    /** hash id -> `EPOCH EXPIRES SEEN BOOT` (milliseconds of the store's clock; the boot of the host that holds it) */
    leases: key('leases'),
    /** sorted set of all nodes by the millisecond at which their lease was last renewed; 0: never */
    seen: key('seen'),
    /** hash sender -> announcement: what the others have announced to that node */
    announcements: (to: NodeId) => key(`keys:${to}`),
    /** hash id -> document */
    networks: key('networks'),
    /** hash name -> id */
    networkNames: key('network-names'),
    /** bitmap by vni - firstVni */
    vnis: key('vnis'),
    /** hash network id -> its members of prefixIndex, in lines */
    prefixes: key('prefixes'),
    /** sorted set by text, `4|6 FIRSTHEX LENGTH s|v NETWORKID LASTHEX CIDR`: every subnet and VIP pool */
    prefixIndex: key('prefix-index'),
    /** set of networks removed from the registry whose slot is not known to be purged yet */
    purges: key('purges'),
    /** sorted set of removed nodes and networks by the second: no offer after lost writes brings them back */
    removed: key('removed'),
    /** hash token id -> `ROLE ENDS USES`, `standing:ROLE` -> token id. Workers' users of the store may not touch it */
    tokens: key('tokens'),
  };
}

export function networkKeys(cluster: string, network: NetworkId) {
  const key = (name: string) => `warren:{${cluster}/${network}}:${name}`;
  return {
    meta: key('meta'),
    changes: key('changes'),
    /** hash id -> document */
    endpoints: key('endpoints'),
    /** hash name -> id; endpoints and services share it */
    names: key('names'),
    /** hash id -> document */
    services: key('services'),
    /** hash hex of a virtual IP -> service id */
    vips: key('vips'),
    /** hash mac -> endpoint id */
    macs: key('macs'),
    /** hash NODE/BOOT/DEV/INODE -> endpoint id */
    netns: key('netns'),
    /** hash node id -> highest epoch seen here */
    epochs: key('epochs'),
    /** hash endpoint id -> NODE NAME MAC NETNS `HEX HEX`, one a line: what its detach gives back */
    holds: key('holds'),
    /** set of hex addresses never given out unasked */
    reserved: key('reserved'),
    /** hash hex address -> endpoint id, every address in use */
    addresses4: key('addresses:4'),
    /** bitmap by offset in the subnet: in use, cooling, reserved or special */
    pool4: key('pool:4'),
    /** sorted set of hex addresses by the millisecond at which they may be given out again */
    cooling4: key('cooling:4'),
    addresses6: key('addresses:6'),
    pool6: key('pool:6'),
    cooling6: key('cooling:6'),
    /** hash node id -> what it lost: the nodes that have told what they hold since this slot lost writes */
    asserted: key('asserted'),
  };
}

/**
 * Pub/sub channel of wake-ups; the message is '' (registry), `NETWORKID` or `NETWORKID ENTRY` (its stream has that entry now),
 * or `keys/NODE`: something was announced to it.
 */
export function wakeChannel(cluster: string): string {
  return `warren:{${cluster}}:wake`;
}

export function announcedMessage(to: NodeId): string {
  return `keys/${to}`;
}

export function isScope(message: string): message is '' | NetworkId {
  return !message.startsWith('keys/');
}
