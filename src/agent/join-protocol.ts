import * as z from 'zod';
import { isBytesText, keyLength } from '../keys/identity.ts';
import { idPattern } from '../model/id.ts';
import { roles } from '../model/node.ts';
import { statementLength } from '../pki/statement.ts';

/*
 * How a host becomes a member: HTTPS on a manager's port 7650, JSON both ways. The host knows the CA by its fingerprint,
 * which is in the token; the manager knows the host by the token's secret, and later by the key in its certificate.
 *   POST /v1/ports   PortsRequest → Ports
 *   POST /v1/reach   ReachRequest → {}, when the manager has said the word to the host's address
 *   POST /v1/join    JoinRequest  → Joined
 *   POST /v1/renew   RenewRequest → Renewed
 *   POST /v1/leave   LeaveRequest → {}, when the host has no user of the store any more
 * What an answer has besides, a later version has added.
 * Refused: status 400 (malformed) or 403, and an error as on the agent's socket.
 */
export const joinPort = 7650;
export const bodyLimit = 64 * 1024;

const pem = z.string().max(8192);
/** So many bytes in base64url. */
const bytes = (length: number) => z.string().refine((text) => isBytesText(text, length));
/** Ed25519. */
const identity = bytes(keyLength);
const statement = bytes(statementLength);
export const joinRequest = z.strictObject({
  token: z.string().max(256),
  node: z.string().regex(idPattern),
  /** PKCS #10. */
  request: pem,
  identity,
  addresses: z.array(z.union([z.ipv4(), z.ipv6()])).max(8),
});
export type JoinRequest = z.output<typeof joinRequest>;

/** A token is looked at, and not used up. */
export const portsRequest = z.strictObject({ token: z.string().max(256) });
/** `ports`: of UDP, that data comes to besides ESP by itself. */
export const ports = z.object({
  cluster: z.object({
    name: z.string(),
    underlayFamily: z.union([z.literal(4), z.literal(6)]),
    dataPort: z.int().min(1).max(65535),
  }),
  ports: z.array(z.int().min(1).max(65535)),
});
export type Ports = z.output<typeof ports>;

export const reachRequest = z.strictObject({
  token: z.string().max(256),
  address: z.union([z.ipv4(), z.ipv6()]),
  word: z.string().regex(/^[0-9a-f]{32}$/),
});
export const reached = z.object({});

export const joined = z.object({
  cluster: z.string(),
  role: z.enum(roles),
  ca: pem,
  /** For managers only. */
  caKey: pem.optional(),
  certificate: pem,
  /** What the CA says of the identity (pki/statement.ts). */
  statement,
  /** With this node's own user, where the store is the cluster's own. */
  store: z.string(),
  storeUsers: z.boolean(),
  /** Whom to believe that it is the store, where that is a CA of its owner's. */
  storeCa: pem.optional(),
});
export type Joined = z.output<typeof joined>;

/** The last certificate, expired or not: it says who asks, and the request's signature that it has the key. */
const proof = { certificate: pem, request: pem };

export const renewRequest = z.strictObject({
  ...proof,
  identity,
  addresses: z.array(z.union([z.ipv4(), z.ipv6()])).max(8),
});
export type RenewRequest = z.output<typeof renewRequest>;
export const renewed = z.object({ certificate: pem, statement });
export type Renewed = z.output<typeof renewed>;

export const leaveRequest = z.strictObject(proof);
export const left = z.object({});
