import * as z from 'zod';
import type { Ip } from './ip.ts';
import { familyOf } from './ip.ts';
import { cidr, invalid, ip, labels, name, parse } from './parse.ts';
import type { HealthCheck, Publish, ServicePort } from './service.ts';
import { schedulers } from './service.ts';

/*
 * A service as people write it:
 *   port     [VIPPORT:]TARGET[/tcp|udp]
 *   publish  [IP:]PORT:VIPPORT[/tcp|udp], an IPv6 address in brackets
 *   health   tcp | http:/PATH | exec:COMMAND | none
 */

const portNumber = (text: string): number | undefined =>
  /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535 ? Number(text) : undefined;

const port = z.string().transform((text, context): ServicePort => {
  const [, front, target = '', proto = 'tcp'] = /^(?:([^:/]+):)?([^:/]+)(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const numbers = { port: portNumber(front ?? target), target: portNumber(target) };
  if (numbers.port && numbers.target) return { port: numbers.port, target: numbers.target, proto: proto as 'tcp' };
  const message = `"${text}" is no port: write [VIPPORT:]TARGET[/tcp|udp], such as 80:8080 or 53/udp`;
  context.issues.push({ code: 'custom', input: text, message });
  return z.NEVER;
});

const publish = z.string().transform((text, context): Publish => {
  const [, six, four, front = '', back = '', proto = 'tcp'] =
    /^(?:\[([^\]]+)\]:|([\d.]+):(?=[^:]+:))?([^:/]+):([^:/]+)(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const address = ip.optional().safeParse(six ?? four);
  const [outside, vipPort] = [portNumber(front), portNumber(back)];
  if (address.success && outside && vipPort)
    return { ...(address.data ? { ip: address.data } : {}), port: outside, vipPort, proto: proto as 'tcp' };
  const message = `"${text}" cannot be published: write [IP:]PORT:VIPPORT[/tcp|udp], such as 8080:80 or [fd00::1]:53:53/udp`;
  context.issues.push({ code: 'custom', input: text, message });
  return z.NEVER;
});

type Checked = Pick<HealthCheck, 'check' | 'path' | 'command'>;
const health = z.string().transform((text, context): Checked => {
  if (text === 'none' || text === 'tcp') return { check: text };
  const [, check, rest = ''] = /^(http|exec):([\s\S]+)$/.exec(text) ?? [];
  if (check === 'http' && /^\/[^\s]*$/.test(rest)) return { check, path: rest };
  if (check === 'exec' && rest.trim() !== '') return { check, command: rest };
  const message = `"${text}" is no check: write tcp, http:/PATH, exec:COMMAND or none`;
  context.issues.push({ code: 'custom', input: text, message });
  return z.NEVER;
});

const milliseconds = z.int().min(100).max(3_600_000);
const settings = {
  ports: z.array(port).min(1, 'a service needs a --port').max(64),
  scheduler: z.enum(schedulers),
  affinity: z.int().min(0).max(86_400),
  health,
  healthInterval: milliseconds,
  healthTimeout: milliseconds,
  healthRetries: z.int().min(1).max(100),
  healthStart: z.int().min(0).max(3_600_000),
  publish: z.array(publish).max(64),
  publishMode: z.enum(['ingress', 'host']),
  publishFrom: z.array(cidr).max(256),
  labels,
};

const wish = z.strictObject({
  ...z.object(settings).partial().shape,
  name,
  network: z.string(),
  ports: settings.ports,
  vips: z.array(ip).max(2).default([]),
  ifNotExists: z.boolean().default(false),
});
const patch = z.strictObject({ ...z.object(settings).partial().shape, name: name.optional() });

export type ServiceInput = z.output<typeof wish>;
export type ServicePatch = z.output<typeof patch>;

export const checkDefaults = { interval: 2000, timeout: 1000, retries: 2, startPeriod: 0 } as const;

export function parseService(input: unknown): ServiceInput {
  const service = parse(wish, input, 'service');
  const [first, second] = service.vips as Ip[];
  if (first && second && familyOf(first) === familyOf(second))
    throw invalid('two virtual IPs of one family', 'give one IPv4 and one IPv6 address at most');
  return service;
}

export const parseServicePatch = (input: unknown): ServicePatch => parse(patch, input, 'service');

/** How a check is written; the inverse of what is parsed. */
export function healthText({ check, path, command }: Checked): string {
  return check === 'http' ? `http:${path}` : check === 'exec' ? `exec:${command}` : check;
}
