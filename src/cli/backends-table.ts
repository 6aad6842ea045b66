import type { BackendJson } from '../control/present-service.ts';
import { table } from './table.ts';

export function backendsTable(backends: readonly BackendJson[]): string {
  return table(backends, {
    endpoint: (b: BackendJson) => b.endpoint,
    node: (b: BackendJson) => b.node,
    addresses: (b: BackendJson) => b.addresses,
    state: (b: BackendJson) => b.state,
    healthy: (b: BackendJson) => b.healthy,
    weight: (b: BackendJson) => b.weight,
    connections: (b: BackendJson) => b.activeConnections,
  });
}
