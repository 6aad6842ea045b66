/*
 * What a client asks (RFC 1035 §4.1, RFC 6891 §6.1):
 *
 *   header      id(16) qr(1) opcode(4) aa(1) tc(1) rd(1) ra(1) z(1) ad(1) cd(1) rcode(4) qdcount(16) ancount(16) nscount(16) arcount(16)
 *   question    { length(8) label }… 0(8) qtype(16) qclass(16)                    exactly one, its name never compressed
 *   additional  of which OPT counts: 0(8) 41(16) payload size(16) extended rcode(8) version(8) do(1) z(15) length(16) options
 */
import { types } from './record.ts';

const headerSize = 12;
const longestName = 255;

export type Edns = { readonly version: number; readonly size: number; readonly dnssecOk: boolean };

export type Question = {
  /** In lower case, outermost last: `web.app` → ['web', 'app']. Octets as Latin-1: a label may hold anything, even a dot. */
  readonly labels: readonly string[];
  readonly type: number;
  readonly class: number;
};

export type Query = {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  readonly question: Question;
  /** The question as it came: an answer repeats it to the letter, case and all. */
  readonly asked: Uint8Array;
  readonly edns: Edns | undefined;
};

/** A message with no question that could be read. `undefined` as a whole: not worth an answer. */
export type Broken = { readonly id: number; readonly opcode: number; readonly broken: true };

/** Never throws. undefined: too short to have an id, or itself an answer. */
export function readQuery(message: Buffer): Query | Broken | undefined {
  if (message.length < headerSize) return undefined;
  const flags = message.readUInt16BE(2);
  if (flags & 0x8000) return undefined;
  const id = message.readUInt16BE(0);
  const opcode = (flags >> 11) & 15;
  const broken = { id, opcode, broken: true } as const;
  if (message.readUInt16BE(4) !== 1 || message.readUInt16BE(6) !== 0) return broken;
  const labels: string[] = [];
  let at = readName(message, headerSize, labels);
  if (at === undefined || at + 4 > message.length) return broken;
  const question = { labels, type: message.readUInt16BE(at), class: message.readUInt16BE(at + 2) };
  at += 4;
  const asked = message.subarray(headerSize, at);
  const edns = readEdns(message, at, message.readUInt16BE(8), message.readUInt16BE(10));
  if (edns === 'broken') return broken;
  return {
    id,
    opcode,
    recursionDesired: (flags & 0x0100) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
    question,
    asked,
    edns,
  };
}

/** Appends the labels; where the name ends, or undefined when it does not or is compressed. */
function readName(message: Buffer, start: number, labels: string[]): number | undefined {
  let at = start;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return undefined;
    at++;
    if (length === 0) return at - start > longestName ? undefined : at;
    if (at + length > message.length) return undefined;
    labels.push(lower(message.toString('latin1', at, at + length)));
    at += length;
  }
}

/** Of ASCII alone, as names compare (RFC 4343 §3). */
function lower(label: string): string {
  return /[A-Z]/.test(label) ? label.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : label;
}

function readEdns(
  message: Buffer,
  start: number,
  authorities: number,
  additionals: number,
): Edns | 'broken' | undefined {
  let edns: Edns | undefined;
  let at: number | undefined = start;
  for (let n = 0; n < authorities + additionals; n++) {
    const owner = at;
    at = skipName(message, at);
    if (at === undefined || at + 10 > message.length) return 'broken';
    const end: number = at + 10 + message.readUInt16BE(at + 8);
    if (end > message.length) return 'broken';
    if (message.readUInt16BE(at) === types.OPT) {
      // One at most, at the root, in the additional section (RFC 6891 §6.1.1).
      if (edns || message[owner] !== 0 || n < authorities) return 'broken';
      const size = message.readUInt16BE(at + 2);
      edns = { version: message[at + 5] ?? 0, size, dnssecOk: ((message[at + 6] ?? 0) & 0x80) !== 0 };
    }
    at = end;
  }
  return edns;
}

/** A pointer ends a name (RFC 1035 §4.1.4); where it leads is of no interest. */
function skipName(message: Buffer, start: number): number | undefined {
  let at = start;
  for (;;) {
    const length = message[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length > 63) return undefined;
    at += 1 + length;
  }
}
