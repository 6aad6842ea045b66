import type { Kernel } from '../kernel/kernel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { endpointNetns } from '../plan/desired/endpoint.ts';

/*
 * A backend's namespace tracks connections, each for two minutes after its end. Where its table is full the kernel drops what
 * is new, and says so in its log only (kernel documentation, nf_conntrack-sysctl).
 */

const nearlyFull = 0.9;
const [count, most] = ['net/netfilter/nf_conntrack_count', 'net/netfilter/nf_conntrack_max'] as const;

/** Of the backends that are here: whose table is full, or nearly. */
export async function trackingWarnings(kernel: Kernel, endpoints: readonly Endpoint[]): Promise<string[]> {
  const backends = endpoints.filter(({ backend }) => backend);
  const found = await Promise.all(backends.map((endpoint) => warningOf(kernel, endpoint)));
  return found.flatMap((warning) => warning ?? []);
}

async function warningOf(kernel: Kernel, endpoint: Endpoint): Promise<string | undefined> {
  // A namespace that ends just now has no table.
  const { sysctls } = await kernel
    .read(endpointNetns(endpoint), { sysctls: [count, most] })
    .catch(() => ({ sysctls: [] }));
  const [tracked = 0, limit = 0] = [count, most].map((key) => Number(sysctls.find((each) => each.key === key)?.value));
  if (!(limit > 0 && tracked >= limit * nearlyFull)) return undefined;
  const what = `endpoint "${endpoint.name}": ${tracked} of ${limit} connections tracked in its namespace`;
  return `${what}, and more are dropped; cure: sysctl -w net.netfilter.nf_conntrack_max=${2 ** Math.ceil(Math.log2(limit + 1) + 1)}`;
}
