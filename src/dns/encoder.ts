/*
 * What a client is told (RFC 1035 §4.1): the query's id and question, then records
 *
 *   name type(16) class(16) ttl(32) length(16) data
 *
 * Names are compressed (§4.1.4): one that ends like an earlier one ends in a pointer to it, 11(2) offset(14). Not in SRV, whose
 * readers may not know pointers there (RFC 3597 §4). A record that does not fit is left out with all that follow, and the
 * header says so (TC), unless it is an additional one (RFC 2181 §9).
 */
import ipaddr from 'ipaddr.js';
import type { Ip } from '../model/ip.ts';
import type { Query } from './query.ts';
import type { Name, Rcode, Rr } from './record.ts';
import { types } from './record.ts';

export type Reply = {
  readonly rcode: Rcode;
  readonly authoritative: boolean;
  readonly recursionAvailable: boolean;
  readonly answers?: readonly Rr[];
  readonly authorities?: readonly Rr[];
  readonly additionals?: readonly Rr[];
  /** There is more than these. */
  readonly truncated?: boolean;
  /** Why, in words and by number (RFC 8914); told to those who speak EDNS. */
  readonly error?: { readonly code: number; readonly text: string };
};

/** What does not fragment on any path (DNS flag day 2020), and what everybody takes (RFC 1035 §4.2.1). */
export const payload = { most: 1232, least: 512 } as const;
export const longestMessage = 65_535;

/** How much of an answer the client takes in one datagram. */
export function roomOf({ edns }: Pick<Query, 'edns'>): number {
  return edns ? Math.min(Math.max(edns.size, payload.least), payload.most) : payload.least;
}

/** Without a question, for a query whose question cannot be read. */
export function encodeError(id: number, opcode: number, rcode: Rcode): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x8000 | (opcode << 11) | rcode, 2);
  return header;
}

const scratch = Buffer.allocUnsafe(longestMessage);
const classIn = 1;
const farthest = 0x3fff;

export function encode(query: Query, reply: Reply, limit: number): Buffer {
  const writer = new Writer(limit - optSize(query, reply), query);
  const { answers = [], authorities = [], additionals = [] } = reply;
  const answered = writer.records(answers);
  const told = answered === answers.length ? writer.records(authorities) : 0;
  const complete = answered === answers.length && told === authorities.length;
  const added = complete ? writer.records(additionals) : 0;
  if (query.edns) writer.opt(query, reply);
  const flags =
    0x8000 |
    (query.opcode << 11) |
    (reply.authoritative ? 0x0400 : 0) |
    (complete && !reply.truncated ? 0 : 0x0200) |
    (query.recursionDesired ? 0x0100 : 0) |
    (reply.recursionAvailable ? 0x0080 : 0) |
    (query.checkingDisabled ? 0x0010 : 0) |
    (reply.rcode & 15);
  return writer.end(query.id, flags, [1, answered, told, added + (query.edns ? 1 : 0)]);
}

function optSize({ edns }: Query, { error }: Reply): number {
  if (!edns) return 0;
  return 11 + (error ? 6 + Buffer.byteLength(error.text) : 0);
}

class Writer {
  readonly #limit: number;
  #at = 12;
  /** Where a name, and each of its ends, stands already. */
  readonly #known = new Map<Name, number>();

  constructor(limit: number, { question, asked }: Query) {
    this.#limit = limit;
    scratch.set(asked, this.#at);
    this.#learn(question.labels, this.#at);
    this.#at += asked.length;
  }

  /** As many as fit, from the first on. */
  records(records: readonly Rr[]): number {
    let count = 0;
    for (const record of records) {
      const start = this.#at;
      this.#record(record);
      if (this.#at > this.#limit) {
        this.#at = start;
        break;
      }
      count++;
    }
    return count;
  }

  /** Room for it was kept. */
  opt({ edns }: Query, { rcode, error }: Reply): void {
    this.#byte(0);
    this.#short(types.OPT);
    this.#short(payload.most);
    this.#byte(rcode >> 4);
    this.#byte(0); // our version
    this.#short(edns?.dnssecOk ? 0x8000 : 0); // RFC 3225 §3: copied
    this.#short(error ? 6 + Buffer.byteLength(error.text) : 0);
    if (!error) return;
    this.#short(15);
    this.#short(2 + Buffer.byteLength(error.text));
    this.#short(error.code);
    this.#at += scratch.write(error.text, this.#at);
  }

  end(id: number, flags: number, counts: readonly number[]): Buffer {
    scratch.writeUInt16BE(id, 0);
    scratch.writeUInt16BE(flags, 2);
    counts.forEach((count, n) => scratch.writeUInt16BE(count, 4 + 2 * n));
    return Buffer.from(scratch.subarray(0, this.#at));
  }

  #record(record: Rr): void {
    this.#name(record.name);
    this.#short(types[record.type]);
    this.#short(classIn);
    this.#long(record.ttl);
    const length = this.#at;
    this.#at += 2;
    this.#data(record);
    const end = this.#at;
    this.#at = length;
    this.#short(end - length - 2);
    this.#at = end;
  }

  #data(record: Rr): void {
    switch (record.type) {
      case 'A':
      case 'AAAA':
        for (const byte of bytesOf(record.address)) this.#byte(byte);
        return;
      case 'PTR':
      case 'NS':
        this.#name(record.target);
        return;
      case 'SRV':
        this.#short(record.priority);
        this.#short(record.weight);
        this.#short(record.port);
        this.#name(record.target, false);
        return;
      case 'HINFO':
        this.#text(record.cpu);
        this.#text(record.os);
        return;
      case 'SOA':
        this.#name(record.mname);
        this.#name(record.rname);
        for (const field of ['serial', 'refresh', 'retry', 'expire', 'minimum'] as const) this.#long(record[field]);
    }
  }

  #name(name: Name, compress = true): void {
    const known = compress ? this.#known.get(name) : undefined;
    if (known !== undefined) {
      this.#short(0xc000 | known);
      return;
    }
    if (name === '') {
      this.#byte(0);
      return;
    }
    const dot = name.indexOf('.');
    const label = dot < 0 ? name : name.slice(0, dot);
    if (compress && this.#at <= farthest) this.#known.set(name, this.#at);
    this.#text(label);
    this.#name(dot < 0 ? '' : name.slice(dot + 1), compress);
  }

  /** The question's name and its ends; a label with a dot in it is like none of ours, and neither is what begins with it. */
  #learn(labels: readonly string[], start: number): void {
    let at = start + labels.length;
    for (const { length } of labels) at += length;
    let name = '';
    for (let n = labels.length - 1; n >= 0; n--) {
      const label = labels[n] ?? '';
      if (label.includes('.')) return;
      name = name === '' ? label : `${label}.${name}`;
      at -= 1 + label.length;
      this.#known.set(name, at);
    }
  }

  /** What goes past the end of the buffer is lost, and past the limit, too. */
  #text(text: string): void {
    this.#byte(text.length);
    for (let n = 0; n < text.length; n++) this.#byte(text.charCodeAt(n));
  }

  #byte(value: number): void {
    scratch[this.#at++] = value;
  }

  #short(value: number): void {
    scratch[this.#at++] = value >>> 8;
    scratch[this.#at++] = value;
  }

  #long(value: number): void {
    this.#short(value >>> 16);
    this.#short(value & 0xffff);
  }
}

/** Addresses are parsed once: an answer may have hundreds. */
const parsed = new Map<Ip, readonly number[]>();
const mostParsed = 65_536;

function bytesOf(address: Ip): readonly number[] {
  const known = parsed.get(address);
  if (known) return known;
  if (parsed.size >= mostParsed) parsed.clear();
  const bytes = ipaddr.parse(address).toByteArray();
  parsed.set(address, bytes);
  return bytes;
}
