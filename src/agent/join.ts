import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { WarrenError } from '../model/error.ts';
import { newId } from '../model/id.ts';
import type { Ip } from '../model/ip.ts';
import { parseName } from '../model/parse.ts';
import { newRequest } from '../pki/certificate.ts';
import { derOf } from '../pki/pem.ts';
import { fingerprintOf, parseToken } from '../pki/token.ts';
import { type Config, type Paths, readConfig, readSettings } from './config.ts';
import { giveBack } from './departure.ts';
import { claimIdentity } from './identity.ts';
import { agrees, type InitOptions, type InitResult, initHost, refuseBareEsp, registerHost } from './init.ts';
import { joined, ports, reached } from './join-protocol.ts';
import { askManager, type Manager, meetManager, parseManager } from './manager-client.ts';
import { pkiPaths, removePki, tlsOf, writePki } from './pki-files.ts';
import { followed, resolvePlace } from './place.ts';
import { heardWord, judge } from './reach.ts';

export type JoinOptions = Pick<InitOptions, 'advertise' | 'local' | 'name' | 'encap'> & {
  /** Does a manager reach this host at its address? true without it. */
  verify?: boolean;
};
/** `silent`: UDP ports of this host that nothing comes to. */
export type JoinResult = InitResult & { silent: readonly number[] };

/**
 * This host becomes a member of the cluster a token is of: a manager signs a certificate for its key and tells it the store.
 * What is already in that cluster stays as it is; a failure leaves nothing here.
 */
export async function joinHost(
  tokenText: string,
  managerText: string,
  given: JoinOptions,
  paths: Paths,
): Promise<JoinResult> {
  const token = parseToken(tokenText);
  const manager = parseManager(managerText);
  const pki = pkiPaths(paths.stateDir);
  const before = readConfig(paths.config);
  const { verify = true, ...wished } = given;
  if (before) return { ...(await again(before, token.fingerprint, wished, paths)), silent: [] };
  const options = { ...readSettings(paths.config), ...wished };
  const name = parseName(options.name ?? hostname().split('.')[0] ?? 'node', 'node name');
  const { ca, address } = await meetManager(manager, token.fingerprint);
  const place = resolvePlace({ advertise: options.advertise ?? address, local: options.local });
  if (place.local !== place.underlay) refuseBareEsp(options.encap);
  // What a NAT's address leads to is another port.
  const look = verify && place.local === place.underlay;
  const silent = look ? await unheard(manager, ca, tokenText.trim(), place.underlay) : [];
  const id = newId<'node'>();
  const { request, key } = await newRequest(id);
  const addresses = [...new Set([place.underlay, place.local])];
  const identity = claimIdentity(paths.stateDir);
  try {
    const wish = { token: tokenText.trim(), node: id, request, identity: identity.key, addresses };
    const told = await askManager(manager, ca, '/v1/join', wish, joined);
    writePki(pki, { ...told, ca, key });
    const result = await registerHost({
      ...{
        settings: options,
        id,
        identity: identity.key,
        name,
        place,
        interface: followed(options, place),
        url: told.store,
        paths,
        encap: options.encap,
        invited: true,
      },
      ...{ cluster: told.cluster, role: told.role, storeUsers: told.storeUsers, managed: false },
      storeTls: told.storeUsers ? tlsOf(pki) : (options.storeTls ?? (told.storeCa ? { ca: pki.storeCa } : undefined)),
    });
    return { ...result, silent };
  } catch (error) {
    // What the manager has given is given back; whether that works changes nothing for whoever asks.
    if (existsSync(pki.certificate)) await giveBack(pki, id, [manager]).catch(() => {});
    removePki(pki);
    identity.undo();
    throw error;
  }
}

/** Throws where nothing comes to this host at all. */
async function unheard(manager: Manager, ca: string, token: string, address: Ip): Promise<number[]> {
  const { cluster, ports: all } = await askManager(manager, ca, '/v1/ports', { token }, ports);
  agrees(cluster, address, undefined);
  const heard = await heardWord(address, all, (word) =>
    askManager(manager, ca, '/v1/reach', { token, address, word }, reached),
  );
  return judge(address, manager.host, heard);
}

/** Again with a token of the same cluster is no change; with one of another it is a conflict. */
async function again(
  { node, cluster }: Config,
  fingerprint: string,
  given: JoinOptions,
  paths: Paths,
): Promise<InitResult> {
  if (knownFingerprint(paths) === fingerprint) return initHost(given, paths);
  throw new WarrenError(
    'already_initialized',
    `this host is in another cluster, "${cluster}", as "${node.name}" (${paths.config})`,
    'leave first: warren leave',
  );
}

/** undefined: this host was added without a token, by the store's URL. */
function knownFingerprint(paths: Paths): string | undefined {
  const { caCertificate } = pkiPaths(paths.stateDir);
  return existsSync(caCertificate) ? fingerprintOf(derOf(readFileSync(caCertificate, 'utf8'))) : undefined;
}
