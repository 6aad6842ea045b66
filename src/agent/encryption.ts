import type { Kernel } from '../kernel/kernel.ts';
import type { Policy } from '../kernel/state.ts';
import { host } from '../kernel/state.ts';
import type { Abilities, Cipher } from '../keys/cipher.ts';
import type { EncapSetting } from '../keys/encap.ts';
import type { Identity, IdentityKey } from '../keys/identity.ts';
import { usualLimits } from '../keys/rotation.ts';
import { WarrenError } from '../model/error.ts';
import type { ClusterId, NodeId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { Cluster, Node } from '../model/node.ts';
import type { View } from '../model/view.ts';
import type { Store } from '../store/store.ts';
import { abilitiesOf } from './abilities.ts';
import { Authority, ownStatement } from './authority.ts';
import type { Paths } from './config.ts';
import { cures } from './explain.ts';
import { featuresOf } from './features.ts';
import { Holder } from './holder.ts';
import { openIdentity } from './identity.ts';
import type { Log } from './log.ts';
import { PairFiles } from './pair-files.ts';
import { Pairs } from './pairs.ts';
import type { Peer } from './peer.ts';
import { Pins } from './pins.ts';
import { pkiPaths } from './pki-files.ts';

/** An attach that makes this node a member waits so long for keys with the other members. */
const agreeMs = 1000;
const rekeyMs = 10_000;

export type Settings = {
  local?: string | undefined;
  cipher?: Cipher | undefined;
  rekeyInterval?: number | undefined;
  encap?: EncapSetting | undefined;
  storeUsers?: boolean | undefined;
};
type Own = {
  identity: Identity;
  statement: () => string | undefined;
  authority: Authority | undefined;
  abilities: Abilities;
  pins: Pins;
  files: PairFiles;
  holder: Holder;
  directions: boolean;
};

/**
 * What this node needs to encrypt, and its pairs. It may be unable to, for want of a kernel feature or of its identity; then
 * plain networks go on, and whoever asks for an encrypted one hears why.
 */
export class Encryption {
  readonly #kernel: Kernel;
  readonly #store: Store;
  readonly #log: Log;
  readonly #settings: Settings;
  readonly #unguarded: (policies: readonly Policy[]) => void;
  /** What the others are told is not true any more. */
  readonly #changed: () => void;
  readonly #stop = new AbortController();
  #own: Own | undefined;
  #trouble: WarrenError | undefined;
  #pairs: Pairs | undefined;
  #self: (() => Node) | undefined;
  /** What the others know. */
  #told: Node['encap'];
  #looked = false;

  constructor(
    kernel: Kernel,
    store: Store,
    log: Log,
    settings: Settings,
    unguarded: (policies: readonly Policy[]) => void,
    changed: () => void,
  ) {
    this.#kernel = kernel;
    this.#store = store;
    this.#log = log;
    this.#settings = settings;
    this.#unguarded = unguarded;
    this.#changed = changed;
  }

  /** Looks at what is here. `known`: this node as the others know it. */
  async open(paths: Paths, boot: string, cluster: Cluster, known: Node | undefined): Promise<void> {
    const told = known?.identity;
    this.#told = known?.encap;
    const features = await featuresOf(this.#kernel);
    const abilities = abilitiesOf(features, cluster.underlayFamily, this.#settings.cipher);
    this.#own = undefined;
    try {
      const identity = openIdentity(paths.stateDir, told !== undefined);
      const authority = Authority.of(pkiPaths(paths.stateDir), this.#settings.storeUsers === true);
      const pins = new Pins(paths.stateDir, authority);
      // Read anew each time: it comes again with the certificate.
      const statement = () => known && ownStatement(pkiPaths(paths.stateDir), authority, known.id, identity.key);
      const files = new PairFiles(paths.runDir, boot);
      const holder = new Holder(paths.runDir, boot, cluster.underlayFamily, this.#log, () => this.#pairs?.lookAtAll());
      this.#own = {
        identity,
        statement,
        authority,
        abilities,
        pins,
        files,
        holder,
        directions: features.saDir === true,
      };
      this.#trouble = abilities.ciphers.length > 0 ? undefined : lacking(features, this.#settings.cipher);
      if (told !== undefined && told !== identity.key)
        this.#log.error('this node had another identity: nodes that have seen it refuse this one');
      if (!files.kept)
        this.#log.warn('the run directory is on a disk: a restart of the agent agrees on new keys', {
          dir: paths.runDir,
        });
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error;
      this.#trouble = error;
    }
    if (this.#trouble) this.#log.warn('this host cannot encrypt', { why: this.#trouble.message });
  }

  /** What the others are told of it. */
  get facts(): Pick<Node, 'identity' | 'statement' | 'encryption' | 'encap'> {
    if (!this.#own) return {};
    const { identity, statement, abilities } = this.#own;
    return { identity: identity.key, statement: statement(), encryption: abilities, encap: this.#encap };
  }

  /** In UDP with anybody? Until every pair has been looked at, what the agent before told is what is known. */
  get #encap(): Node['encap'] {
    if (this.#settings.encap === 'udp' || this.#behindNat) return 'udp';
    const outcomes = [...this.peers.values()].map(({ outcome }) => outcome);
    if (!this.#looked || outcomes.includes(undefined)) return this.#told;
    return outcomes.some((outcome) => outcome?.socket) ? 'udp' : undefined;
  }

  /** Then it exchanges ESP in UDP with everybody. */
  get #behindNat(): boolean {
    return this.#settings.local !== undefined;
  }

  get holder(): Holder | undefined {
    return this.#own?.holder;
  }

  get trouble(): WarrenError | undefined {
    return this.#trouble;
  }

  get abilities(): Abilities | undefined {
    return this.#own?.abilities;
  }

  /** REQUIRES: start() was done. */
  get self(): Node {
    if (this.#self) return this.#self();
    throw new Error('encryption has not started');
  }

  get peers(): ReadonlyMap<NodeId, Peer> {
    return this.#pairs?.peers ?? new Map();
  }

  /** The identity a node is held to, if it was ever seen. */
  pinned(node: NodeId) {
    return this.#own?.pins.get(node);
  }

  /** Why that node's identity is believed. null: it has told none, or is not believed. */
  trustOf({ id, identity, statement }: Node): 'certified' | 'pinned' | null {
    if (!this.#own || identity === undefined) return null;
    const { authority, pins } = this.#own;
    if (authority?.certifies(id, identity as IdentityKey, statement)) return 'certified';
    return pins.get(id) === identity ? 'pinned' : null;
  }

  /** REQUIRES: open() was done, and this node is known to the store. */
  start(cluster: ClusterId, port: number, self: () => Node): void {
    if (!this.#own || this.#trouble) return;
    const ageMs = this.#settings.rekeyInterval === undefined ? usualLimits.ageMs : this.#settings.rekeyInterval * 1000;
    const encap = this.#behindNat ? 'udp' : (this.#settings.encap ?? 'auto');
    const here = { ...this.#own, kernel: this.#kernel, cluster, port, encap, limits: { ...usualLimits, ageMs } };
    const pairs = new Pairs(here, this.#store, this.#log, self, this.#unguarded, () => this.#afterRound());
    if (encap === 'udp') here.holder.want();
    this.#pairs = pairs;
    this.#store.onAnnounced(self().id, () => pairs.hear());
    this.#store.onConnection((connected) => connected && pairs.sayAgain());
    this.#self = self;
    void this.#watch(pairs);
  }

  /** The registry has changed. `anew`: it may be another store's. */
  update(view: View, anew: boolean): void {
    this.#pairs?.update(view);
    if (anew) this.#pairs?.sayAgain();
  }

  /** Although nothing was heard. */
  resync(): void {
    this.#pairs?.insist();
  }

  /** Throws when this host could not encrypt that network's packets. */
  require(network: Network): void {
    if (network.encrypted && this.#trouble) {
      const { code, message, hint } = this.#trouble;
      throw new WarrenError(code, `network "${network.name}" is encrypted, and ${message}`, hint);
    }
  }

  /** Resolves when there are keys with all members that can be expected to have them, or after a second: one may be dead. */
  async agreed(network: Network, expected: (node: NodeId) => boolean): Promise<void> {
    if (!network.encrypted || !this.#pairs) return;
    const pairs = this.#pairs;
    const missing = () =>
      network.members.some((id) => pairs.peers.has(id) && expected(id) && !pairs.peers.get(id)?.both);
    await pairs.until(() => !missing(), agreeMs);
  }

  /** The same, with everybody; who is not there gets them from the next agent. */
  async allAgreed(): Promise<void> {
    const peers = [...this.peers.values()];
    await this.#pairs?.until(() => peers.every(({ both }) => both), agreeMs);
  }

  /** New keys with those nodes. Tells which have them by now; the others get them when they answer. */
  async rekey(ids: readonly NodeId[]): Promise<{ peer: Peer; rekeyed: boolean }[]> {
    const pairs = this.#pairs;
    if (!pairs) return [];
    const wanted = ids.flatMap((id) => {
      const peer = pairs.peers.get(id);
      return peer ? [{ peer, before: peer.outcome?.status.generation ?? 0 }] : [];
    });
    const isDone = ({ peer, before }: (typeof wanted)[number]) => {
      const { generation = 0, rotating } = peer.outcome?.status ?? {};
      return generation > before && rotating === undefined;
    };
    pairs.rekey(ids);
    await pairs.until(() => wanted.every((one) => isDone(one) || !one.peer.up), rekeyMs);
    return wanted.map((one) => ({ peer: one.peer, rekeyed: isDone(one) }));
  }

  /** A person says that the node's next identity is right. */
  forgetPin(node: NodeId): boolean {
    const forgotten = this.#own?.pins.forget(node) ?? false;
    if (forgotten) this.#pairs?.peers.get(node)?.forget();
    this.#pairs?.sayAgain();
    return forgotten;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#own?.holder.stop();
    await this.#pairs?.stop();
  }

  #afterRound(): void {
    this.#looked = true;
    const encap = this.#encap;
    if (encap === this.#told) return;
    this.#told = encap;
    this.#changed();
  }

  /** Whoever changes the host's SAs and policies, and whatever expires: the pairs know what is theirs. */
  async #watch(pairs: Pairs): Promise<void> {
    try {
      const hints = this.#kernel.watch(host, ['sas', 'policies'], this.#stop.signal);
      for await (const { vague, expired, mapped } of hints) {
        if (vague || expired.length > 0) pairs.lookAtAll();
        if (mapped.length > 0) pairs.follow(mapped);
      }
    } catch (error) {
      if (!this.#stop.signal.aborted)
        this.#log.warn('IPsec cannot be watched; the next look is by time', { error: (error as Error).message });
    }
  }
}

function lacking(features: Readonly<Record<string, boolean>>, cipher: Cipher | undefined): WarrenError {
  const some = features.esp || features.esp6;
  return new WarrenError(
    'kernel_feature_missing',
    some && cipher ? `this host's kernel lacks the cipher ${cipher}` : "this host's kernel lacks IPsec (ESP)",
    some && cipher ? `${cures.ciphers}; or let warren choose (cipher in the configuration)` : cures.esp,
  );
}
