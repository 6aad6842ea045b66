import type { Ip } from '../model/ip.ts';

/** Resource record types by number (IANA, DNS Parameters). */
export const types = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

/** RFC 1035 §4.1.1 and RFC 6891 §9. */
export const rcodes = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;
export type Rcode = (typeof rcodes)[keyof typeof rcodes];

/** A domain name without its root: `web.app.warren`; '' is the root. */
export type Name = string;

type Data =
  | { readonly type: 'A' | 'AAAA'; readonly address: Ip }
  | { readonly type: 'PTR' | 'NS'; readonly target: Name }
  | {
      readonly type: 'SRV';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: Name;
    }
  | { readonly type: 'HINFO'; readonly cpu: string; readonly os: string }
  | {
      readonly type: 'SOA';
      readonly mname: Name;
      readonly rname: Name;
      readonly serial: number;
      readonly refresh: number;
      readonly retry: number;
      readonly expire: number;
      readonly minimum: number;
    };

/** Class IN throughout. */
export type Rr = { readonly name: Name; readonly ttl: number } & Data;
