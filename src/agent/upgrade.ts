import type { Node } from '../model/node.ts';
import { schema } from '../store/keys.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import type { Log } from './log.ts';

export type UpgradeDeps = {
  readonly store: Store;
  readonly mirror: Mirror;
  readonly log: Log;
  readonly role: Node['role'];
  /** What a newer layout has, users of the store may have to be let to. */
  readonly regrant: () => Promise<void>;
};

/**
 * Raises the layout of the store once no agent is left that does not know it; until then this one writes it as the others do.
 * Managers do, as they can give the store's users what is new.
 */
export class Upgrade {
  readonly #deps: UpgradeDeps;
  #upgrading = false;
  #said = '';

  constructor(deps: UpgradeDeps) {
    this.#deps = deps;
  }

  /** Of the store; undefined: it has never been reached. */
  get layout(): number | undefined {
    const { view } = this.#deps.mirror;
    return view && (view.cluster.layout ?? 1);
  }

  /** Hosts that keep the store at an older layout than this host's agent knows; none when it has it. */
  get behind(): readonly Node[] {
    if (!this.#isOld) return [];
    return [...(this.#deps.mirror.view?.nodes.values() ?? [])].filter(({ layout = 1 }) => layout < schema.registry);
  }

  /** Also while others are behind: a worker that is upgraded next touches what is new. */
  async start(): Promise<void> {
    if (!this.#due) return;
    await this.#attempt(this.#deps.regrant);
    await this.look();
  }

  /** Something about nodes has changed. */
  async look(): Promise<void> {
    const { store, mirror, log, regrant } = this.#deps;
    if (!this.#due || this.behind.length > 0) return;
    await this.#attempt(async () => {
      await regrant(); // those who have joined by an older manager
      if ((await store.registryUpgrade()).length > 0) return; // somebody old has come meanwhile
      await mirror.refresh('');
      log.info('the store has a new layout', { now: schema.registry });
    });
  }

  get #due(): boolean {
    return this.#deps.role === 'manager' && this.#isOld;
  }

  get #isOld(): boolean {
    return this.layout !== undefined && this.layout < schema.registry;
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    if (this.#upgrading) return;
    this.#upgrading = true;
    try {
      await work();
      this.#said = '';
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#said) this.#deps.log.warn('the store keeps its old layout', { error: message });
      this.#said = message;
    } finally {
      this.#upgrading = false;
    }
  }
}

/** For a person. */
export function upgradeWarnings(behind: readonly Node[]): string[] {
  if (behind.length === 0) return [];
  const names = behind.map(({ name, version }) => `${name} (${version})`).join(', ');
  return [`the store keeps an older layout until warren is upgraded, or the host removed, at: ${names}`];
}
