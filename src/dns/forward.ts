import { randomInt } from 'node:crypto';
import { type Exchange, exchangeTcp, exchangeUdp } from './exchange.ts';
import type { Query } from './query.ts';
import { rcodes } from './record.ts';

export type Via = 'udp' | 'tcp';

/** Of one server; the next one is asked then. */
const serverMs = 1500;
/** Of all of it: whoever asked asks again after five seconds. */
const allMs = 4500;
/** Questions under way: each has a socket. Past them, answers would come too late for anybody. */
const mostAtOnce = 256;
const truncated = 0x0200;

/**
 * Asks the host's resolvers what is not ours to answer, in the client's own words, EDNS and all, and passes on what comes
 * back as it is. Each question has a socket of its own, connected to the server it goes to, a random port, and a random id
 * (RFC 5452 §9).
 */
export class Forwarder {
  readonly #servers: () => readonly string[];
  #underWay = 0;
  /** The server that answered last goes first. */
  #good: string | undefined;

  constructor(servers: () => readonly string[]) {
    this.#servers = servers;
  }

  /** Rejects, in words for the client, when nobody answers. */
  async ask(message: Buffer, query: Query, via: Via): Promise<Buffer> {
    if (this.#underWay >= mostAtOnce) throw new Error('too many questions at once');
    this.#underWay++;
    try {
      const answered = await this.#askAll(message, query, via);
      answered.writeUInt16BE(query.id, 0);
      return answered;
    } finally {
      this.#underWay--;
    }
  }

  async #askAll(message: Buffer, query: Query, via: Via): Promise<Buffer> {
    const until = performance.now() + allMs;
    const known = this.#servers();
    if (known.length === 0) throw new Error('this host has no other resolver');
    let servers = known.toSorted((a, b) => Number(b === this.#good) - Number(a === this.#good));
    let failure: Buffer | undefined;
    // Who kept silent may have lost a datagram and is asked once more; who refused, or is not there, will not change its mind.
    while (servers.length > 0) {
      const silent: string[] = [];
      for (const server of servers) {
        const ms = Math.min(serverMs, until - performance.now());
        const outcome = ms > 0 ? await askOne(server, message, query, via, ms) : 'silent';
        if (outcome === 'silent') silent.push(server);
        else if (outcome !== 'unreachable') {
          if (!isFailure(outcome)) this.#good = server;
          if (!isFailure(outcome)) return outcome;
          failure = outcome;
        }
      }
      servers = performance.now() < until ? silent : [];
    }
    if (failure) return failure;
    throw new Error(`no answer from ${known.join(', ')}`);
  }
}

async function askOne(server: string, message: Buffer, { asked }: Query, via: Via, ms: number): Exchange {
  const ours = Buffer.from(message);
  ours.writeUInt16BE(randomInt(0x1_0000), 0);
  if (via === 'tcp') return exchangeTcp(server, ours, asked, ms);
  const outcome = await exchangeUdp(server, ours, asked, ms);
  if (typeof outcome === 'string' || !(outcome.readUInt16BE(2) & truncated)) return outcome;
  const whole = await exchangeTcp(server, ours, asked, ms);
  return typeof whole === 'string' ? outcome : whole;
}

/** Another server may know better. */
function isFailure(answered: Buffer): boolean {
  const rcode = answered.readUInt16BE(2) & 15;
  return rcode === rcodes.SERVFAIL || rcode === rcodes.REFUSED || rcode === rcodes.NOTIMP;
}
