/**
 * One random step each: what a person would type, what may come of it, and what the model learns from the answer.
 * A round's steps run side by side, one lane a host, so each thing is the object of at most one of them; where two may meet
 * (a name, an address, the end of a network), both may be refused.
 */
import type { Host } from './cluster.ts';
import type { Container, Endpoint, EndpointRow, Model, Network, NetworkRow } from './model.ts';
import type { Answer } from './relay.ts';

export type Step = {
  host: Host;
  /** For the log. */
  text: string;
  /** Codes of refusals that are fine. */
  may: string[];
  /** The refusal it has to get. */
  must?: string | undefined;
  run(): Promise<Answer>;
  learn(answer: unknown): void;
  /** The answer was lost: it may have happened. */
  doubt(): void;
};
type Plan = () => Step | undefined;

const names = ['web', 'db', 'cache', 'job'];
const networkNames = ['red', 'blue', 'green', 'grey', 'lan'];
const perHost = 6;
const nothing = (): void => {};

export class Round {
  readonly steps: Step[] = [];
  /** `HOST/VNI` of networks in whose kernel objects something was broken. */
  readonly harmed = new Set<string>();
  readonly #model: Model;
  readonly #hosts: readonly Host[];
  readonly #next: (limit: number) => number;
  readonly #busy = new Set<object | string>();
  readonly #claims = new Map<string, Step[]>();

  constructor(model: Model, hosts: readonly Host[], next: (limit: number) => number, count: number) {
    this.#model = model;
    this.#hosts = hosts;
    this.#next = next;
    const weights: [number, Plan][] = [
      [32, () => this.#attach()],
      [16, () => this.#detach()],
      [8, () => this.#delete()],
      [9, () => this.#create()],
      [7, () => this.#remove()],
      [22, () => this.#harm()],
      [3, () => this.#wrong()],
    ];
    const plans = weights.flatMap(([weight, plan]) => Array<Plan>(weight).fill(plan));
    while (this.steps.length < count) {
      const step = plans[next(plans.length)]?.();
      if (step) this.steps.push(step);
    }
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#next(Math.max(list.length, 1))];
  }

  #chance(percent: number): boolean {
    return this.#next(100) < percent;
  }

  #free<T extends object>(list: readonly T[]): T[] {
    return list.filter((thing) => !this.#busy.has(thing));
  }

  /** Of all that want the same thing in one round, any may come too late. */
  #claim(step: Step, key: string, code: string): void {
    const others = this.#claims.get(key) ?? [];
    this.#claims.set(key, [...others, step]);
    if (others.length === 0) return;
    for (const each of [...others, step]) {
      each.may.push(code);
      each.must = undefined;
    }
  }

  /** A request to an agent; one in sixteen by the program people use. */
  #request(
    host: Host,
    argv: string,
    method: string,
    params: Record<string, unknown>,
  ): Pick<Step, 'host' | 'text'> & Step {
    const byProgram = this.#next(16) === 0;
    const run = async (): Promise<Answer> => {
      if (!byProgram) return host.ask(method, params);
      const { code, stdout, stderr } = await host.warren(`${argv} --json`);
      const document = JSON.parse(stdout || '{}') as { error?: { code: string; message: string }; exit?: number };
      if (code === 0) return { result: document };
      if (document.exit !== code) throw new Error(`warren ${argv}: exit ${code}, ${stdout}${stderr}`);
      return { error: document.error ?? { code: 'internal', message: stderr } };
    };
    return { host, text: `${host.name}: warren ${argv}`, may: [], run, learn: nothing, doubt: nothing };
  }

  #attach(): Step | undefined {
    const host = this.#pick(this.#hosts) as Host;
    const network = this.#pick(this.#free(this.#model.networks));
    if (!network) return undefined;
    const container = this.#container(host, network);
    if (!container) return undefined;
    const name = this.#chance(25) ? this.#pick(names) : undefined;
    const addresses = this.#chance(20) ? this.#static(network) : [];
    const argv = [
      `attach ${network.name} --netns ${container.netns}`,
      ...(name ? [`--name ${name}`] : []),
      ...addresses.map((address) => `--ip ${address}`),
    ];
    const step = this.#request(host, argv.join(' '), 'endpoint.attach', {
      network: network.name,
      netns: `/run/netns/${container.netns}`,
      addresses,
      ...(name ? { name } : {}),
    });
    const { run } = step;
    const fresh = !this.#model.containers.includes(container);
    if (fresh) {
      this.#model.containers.push(container);
      step.run = async () => {
        await host.guest.ok(`ip netns add ${container.netns}`);
        return run();
      };
    }
    step.learn = (row) => this.#model.attached(row as EndpointRow);
    step.doubt = () => this.#model.maybeEndpoints.push({ network: network.name, ...container });
    if (fresh) this.#reborn(host, step);
    this.#refusals(step, network, name ?? container.netns, addresses);
    this.#busy.add(container);
    return step;
  }

  /** Why an attach may, or must, be refused. The store looks at the name first. */
  #refusals(step: Step, network: Network, name: string, addresses: readonly string[]): void {
    const there = this.#model.of(network);
    const holds = (code: string, holder: Endpoint | undefined): void => {
      if (!holder) return;
      step.may.push(code);
      if (!this.#busy.has(holder)) step.must ??= code;
      this.#busy.add(holder);
    };
    holds(
      'name_taken',
      there.find((endpoint) => endpoint.name === name),
    );
    for (const address of addresses)
      holds(
        'address_taken',
        there.find((endpoint) => endpoint.addresses.includes(address)),
      );
    this.#claim(step, `name ${network.name}/${name}`, 'name_taken');
    // One given out unasked meanwhile may be the same.
    if (addresses.length > 0) step.may.push('address_taken');
    if (network.subnets[0]?.endsWith('/29')) step.may.push('address_exhausted');
    if (this.#claims.has(`end of ${network.name}`)) step.may.push('network_closing', 'network_not_found');
    this.#claims.set(`entry to ${network.name}`, [...(this.#claims.get(`entry to ${network.name}`) ?? []), step]);
  }

  /**
   * The kernel gives the inode of a deleted namespace to the next one. Until the end of the first is noticed, the second
   * is taken for it.
   */
  #reborn(host: Host, step?: Step): void {
    const [ends, begins] = [`deleted on ${host.name}`, `made on ${host.name}`];
    const key = step ? begins : ends;
    this.#claims.set(key, [...(this.#claims.get(key) ?? []), ...(step ? [step] : [])]);
    if (!this.#claims.has(ends)) return;
    for (const each of this.#claims.get(begins) ?? []) each.may.push('netns_attached');
  }

  /** A new one, or one that is in other networks already, of other addresses. */
  #container(host: Host, network: Network): Container | undefined {
    const here = this.#model.containers.filter(({ node }) => node === host.name);
    const known = this.#free(here).filter((container) => {
      const inside = this.#model.in(container);
      const others = inside.flatMap((endpoint) => this.#model.network(endpoint.network)?.subnets ?? []);
      return inside.length < 2 && !others.some((subnet) => network.subnets.includes(subnet));
    });
    if (known.length > 0 && (here.length >= perHost || this.#chance(35))) return this.#pick(known);
    const free = Array.from({ length: perHost }, (_, i) => `${host.name}${i + 1}`).filter(
      (netns) => !here.some((container) => container.netns === netns) && !this.#busy.has(netns),
    );
    const netns = free[0];
    return netns === undefined ? undefined : { node: host.name, netns };
  }

  /** Addresses that are seldom given out unasked. */
  #static(network: Network): string[] {
    const number = 200 + this.#next(8);
    return network.subnets.flatMap((subnet) => {
      if (subnet.endsWith('.0/24')) return [subnet.replace('0/24', `${number}`)];
      return subnet.endsWith('::/64') ? [subnet.replace('/64', number.toString(16))] : [];
    });
  }

  #detach(): Step | undefined {
    const endpoint = this.#pick(this.#free(this.#model.endpoints));
    if (!endpoint) return undefined;
    const { network, name, netns, node } = endpoint;
    const container = this.#model.containers.find((each) => each.node === node && each.netns === netns) as Container;
    if (this.#busy.has(container)) return undefined;
    this.#busy.add(container).add(endpoint);
    const home = this.#hosts.find((host) => host.name === node) as Host;
    const byName = this.#chance(50);
    // Everybody may: its host follows.
    const host = byName ? (this.#pick(this.#hosts) as Host) : home;
    const step = byName
      ? this.#request(host, `detach ${network}/${name}`, 'endpoint.detach', { endpoint: `${network}/${name}` })
      : this.#request(host, `detach ${network} --netns ${netns}`, 'endpoint.detach', {
          network,
          netns: `/run/netns/${netns}`,
        });
    step.learn = () => this.#model.detached(endpoint);
    step.doubt = () => {
      endpoint.doubtful = true;
    };
    return step;
  }

  #delete(): Step | undefined {
    const container = this.#pick(this.#free(this.#model.containers));
    if (!container) return undefined;
    const inside = this.#model.in(container);
    if (inside.some((endpoint) => this.#busy.has(endpoint))) return undefined;
    for (const thing of [container, container.netns, ...inside]) this.#busy.add(thing);
    const command = `ip netns del ${container.netns}`;
    const host = this.#hosts.find(({ name }) => name === container.node) as Host;
    this.#reborn(host);
    return this.#shell(host, command, () => this.#model.deleted(container));
  }

  #shell(host: Host, command: string, learn: () => void = nothing): Step {
    const run = async (): Promise<Answer> => ({ result: await host.guest.ok(command) });
    return { host, text: `${host.name}: ${command}`, may: [], run, learn, doubt: nothing };
  }

  #create(): Step | undefined {
    const host = this.#pick(this.#hosts) as Host;
    const name = this.#pick(networkNames) as string;
    const there = this.#model.network(name);
    if ((there || this.#claims.has(`network ${name}`)) && !this.#chance(10)) return undefined;
    // An attach to the one that ends might reach the one that begins.
    if (this.#claims.has(`end of ${name}`) && this.#claims.has(`entry to ${name}`)) return undefined;
    const n = 1 + this.#next(3);
    const four = `10.9.${n}.0/24`;
    const six = `fd09:${n}::/64`;
    const subnets = this.#pick([[], [], [four], [six], [four, six], [`10.10.${n}.0/29`]]) as string[];
    const internal = this.#chance(30);
    const allowOverlap = subnets.length > 0 && this.#chance(40);
    const encrypted = this.#chance(60);
    const mtu = this.#chance(15) ? 1400 : 'auto';
    const argv = [
      `network create ${name} --encrypt=${encrypted} --mtu ${mtu}`,
      ...subnets.map((subnet) => `--subnet ${subnet}`),
      ...(internal ? ['--internal'] : []),
      ...(allowOverlap ? ['--allow-overlap'] : []),
    ];
    const params = { name, subnets, internal, allowOverlap, mtu, encrypted };
    const step = this.#request(host, argv.join(' '), 'network.create', params);
    const overlapping = this.#model.networks.filter((network) =>
      subnets.some((cidr) => network.subnets.includes(cidr)),
    );
    if (there) {
      step.may.push('name_taken');
      if (!this.#claims.has(`end of ${name}`)) step.must = 'name_taken';
      this.#busy.add(there);
    }
    if (overlapping.length > 0 && !allowOverlap) {
      step.may.push('subnet_overlap');
      if (overlapping.some((network) => !this.#claims.has(`end of ${network.name}`))) step.must ??= 'subnet_overlap';
      for (const network of overlapping) this.#busy.add(network);
    }
    this.#claim(step, `network ${name}`, 'name_taken');
    // One that may overlap is in the way of one that may not.
    for (const cidr of subnets) this.#claim(step, `subnet ${cidr}`, 'subnet_overlap');
    step.learn = (row) => this.#model.created(row as NetworkRow);
    step.doubt = () => this.#model.maybeNetworks.push(name);
    return step;
  }

  #remove(): Step | undefined {
    const network = this.#pick(this.#free(this.#model.networks));
    if (!network) return undefined;
    const host = this.#pick(this.#hosts) as Host;
    const there = this.#model.of(network);
    const entering = this.#claims.get(`entry to ${network.name}`) ?? [];
    const force = entering.length === 0 && there.every((each) => !this.#busy.has(each)) && this.#chance(20);
    const step = this.#request(host, `network rm ${network.name}${force ? ' --force' : ''}`, 'network.remove', {
      network: network.name,
      force,
    });
    const stays = this.#free(there)[0];
    if (!force && stays) {
      step.must = 'network_in_use';
      this.#busy.add(stays);
      return step;
    }
    if (!force && there.length + entering.length > 0) step.may.push('network_in_use');
    for (const each of entering) each.may.push('network_closing', 'network_not_found');
    this.#claim(step, `end of ${network.name}`, 'network_not_found');
    this.#busy.add(network);
    for (const endpoint of there) {
      this.#busy.add(endpoint);
      for (const container of this.#model.containers)
        if (container.node === endpoint.node && container.netns === endpoint.netns) this.#busy.add(container);
    }
    step.learn = () => this.#model.removed(network);
    step.doubt = () => {
      network.doubtful = true;
    };
    return step;
  }

  /** Somebody else's hand in what is ours. */
  #harm(): Step | undefined {
    const host = this.#pick(this.#hosts) as Host;
    const network = this.#pick(this.#free(this.#model.on(host.name)));
    if (!network) return undefined;
    const ns = `warren-${network.vni}`;
    const port = `$(ip -n ${ns} -o link show type veth master br0 | awk -F'[ @]+' '{print $2}' | shuf -n1)`;
    const remote = `$(bridge -n ${ns} fdb show dev vx0 | awk '/dst/ {print $1}' | shuf -n1)`;
    const neighbour = `$(ip -n ${ns} neigh show dev vx0 | awk '{print $1}' | shuf -n1)`;
    const harms = [
      `ip -n ${ns} link del vx0`,
      `ip -n ${ns} link del br0`,
      `ip -n ${ns} link set vx0 down`,
      `ip -n ${ns} link set br0 down`,
      `ip -n ${ns} link set ${port} nomaster`,
      `ip -n ${ns} link set ${port} down`,
      `ip -n ${ns} link set vx0 mtu 1290`,
      `ip -n ${ns} addr flush dev br0`,
      `bridge -n ${ns} fdb flush dev vx0`,
      `m=${remote}; [ -z "$m" ] || bridge -n ${ns} fdb del $m dev vx0 self`,
      `m=${remote}; [ -z "$m" ] || bridge -n ${ns} fdb del $m dev vx0 master`,
      `ip -n ${ns} neigh flush dev vx0 nud all`,
      `n=${neighbour}; [ -z "$n" ] || ip -n ${ns} neigh del $n dev vx0`,
      ...(network.encrypted
        ? ['ip xfrm policy flush', 'ip xfrm state flush', 'nft delete table inet warren_guard', 'nft flush ruleset']
        : []),
      ...(network.internal
        ? []
        : [
            `ip -n ${ns} link del up0`,
            `ip -n ${ns} link set up0 down`,
            `ip -n ${ns} route flush default`,
            `ip -n ${ns} -6 route del default`,
            `ip netns exec ${ns} nft flush ruleset`,
            'nft delete table inet warren',
            `ip link del wup${network.vni}`,
          ]),
    ];
    this.harmed.add(`${host.name}/${network.vni}`);
    // Another step of this round may have taken it away already.
    return this.#shell(host, `${this.#pick(harms)} 2>/dev/null || true`);
  }

  /** What has to be refused, always. */
  #wrong(): Step {
    const host = this.#pick(this.#hosts) as Host;
    const [argv, method, params, must] = this.#pick([
      ['detach nosuch', 'endpoint.detach', { endpoint: 'nosuch' }, 'endpoint_not_found'],
      ['network rm nosuch', 'network.remove', { network: 'nosuch' }, 'network_not_found'],
      ['attach nosuch --netns x', 'endpoint.attach', { network: 'nosuch', netns: '/run/netns/x' }, 'network_not_found'],
    ] as const) as readonly [string, string, Record<string, unknown>, string];
    // A name alone is looked for in every network; one that is removed meanwhile is what is not found.
    const may = method === 'endpoint.detach' ? ['network_not_found'] : [];
    return { ...this.#request(host, argv, method, params), must, may };
  }
}
