import { gatewayOf } from './ip.ts';
import type { Network } from './network.ts';

/** What endpoints of a network ask for names. */
export type DnsSettings = { readonly nameservers: readonly string[]; readonly search: readonly string[] };

/** Everything below it is ours. */
export const domain = 'warren';

export function dnsOf({ name, subnets }: Pick<Network, 'name' | 'subnets'>): DnsSettings {
  return { nameservers: subnets.map(gatewayOf), search: [`${name}.${domain}`, domain] };
}

/** In the words of resolv.conf(5). */
export function resolvConf({ nameservers, search }: DnsSettings): string {
  return `${[...nameservers.map((address) => `nameserver ${address}`), `search ${search.join(' ')}`].join('\n')}\n`;
}
