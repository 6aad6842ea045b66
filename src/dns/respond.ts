import type { NetworkId } from '../model/id.ts';
import { answer, type Surroundings, soa } from './answer.ts';
import type { Reply } from './encoder.ts';
import { encode, encodeError, longestMessage, roomOf } from './encoder.ts';
import type { Forwarder, Via } from './forward.ts';
import type { Query } from './query.ts';
import { readQuery } from './query.ts';
import type { Rcode } from './record.ts';
import { rcodes, types } from './record.ts';
import type { Zones } from './zone.ts';

const classIn = 1;
const opcodeQuery = 0;
/** Extended DNS errors (RFC 8914 §4). */
const notAuthoritative = 20;
const networkError = 23;

/** Whom to ask, and what is known. */
export type Knowledge = Pick<Surroundings, 'down' | 'resting'> & { readonly zones: Zones };

/**
 * The answer to one message from an endpoint of a network; undefined: it deserves none. At once where it is ours to give, so
 * that nothing waits for other people's servers.
 */
export function respond(
  message: Buffer,
  via: Via,
  network: NetworkId,
  { zones, down, resting }: Knowledge,
  forwarder: Forwarder,
): Buffer | Promise<Buffer> | undefined {
  const query = readQuery(message);
  if (!query) return undefined;
  if ('broken' in query)
    return encodeError(query.id, query.opcode, query.opcode === opcodeQuery ? rcodes.FORMERR : rcodes.NOTIMP);
  const limit = via === 'udp' ? roomOf(query) : longestMessage;
  const zone = zones.get(network);
  const recursionAvailable = zone !== undefined && !zone.network.internal;
  const say = (reply: Omit<Reply, 'recursionAvailable' | 'authoritative'>, authoritative = false): Buffer =>
    encode(query, { ...reply, authoritative, recursionAvailable }, limit);
  const refusal = refusalOf(query);
  if (refusal !== undefined) return say({ rcode: refusal });
  // The network has left this node while the question was on its way.
  if (!zone) return say({ rcode: rcodes.SERVFAIL });
  const turn = Math.floor(Math.random() * 0x1_0000_0000);
  const found = answer(zone, { down, resting, isNetwork: zones.isNetwork }, query.question, turn);
  switch (found.kind) {
    case 'records':
      return say({ rcode: rcodes.NOERROR, answers: found.records, additionals: found.additionals ?? [] }, true);
    case 'nodata':
    case 'nxdomain': {
      const rcode = found.kind === 'nodata' ? rcodes.NOERROR : rcodes.NXDOMAIN;
      return say({ rcode, authorities: [soa(zone, found.zone)] }, true);
    }
    case 'refused': {
      const text = `network "${zone.network.name}" is internal`;
      return say({ rcode: rcodes.REFUSED, error: { code: notAuthoritative, text } });
    }
    case 'forward':
      return forwarder.ask(message, query, via).then(
        (answered) => (answered.length <= limit ? answered : cut(answered, query, limit)),
        (error: Error) => say({ rcode: rcodes.SERVFAIL, error: { code: networkError, text: error.message } }),
      );
  }
}

/** More than the client takes in a datagram: it is told to come by TCP. */
function cut(answered: Buffer, query: Query, limit: number): Buffer {
  const flags = answered.readUInt16BE(2);
  const [authoritative, recursionAvailable] = [(flags & 0x0400) !== 0, (flags & 0x0080) !== 0];
  return encode(query, { rcode: (flags & 15) as Rcode, authoritative, recursionAvailable, truncated: true }, limit);
}

/** undefined: it may be answered. */
function refusalOf({ opcode, edns, question }: Query) {
  if (opcode !== opcodeQuery) return rcodes.NOTIMP;
  if (edns && edns.version > 0) return rcodes.BADVERS;
  const { type } = question;
  if (type === types.AXFR || type === types.IXFR || question.class !== classIn) return rcodes.REFUSED;
  return undefined;
}
