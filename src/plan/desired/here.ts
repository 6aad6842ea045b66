import type { NodeId } from '../../model/id.ts';
import type { NetworkView } from '../../model/view.ts';
import { hasIngress } from './ingress.ts';

/** A network exists in this node's kernel while an endpoint of it lives here, or all nodes lead to its services. */
export function isHere(followed: NetworkView, self: NodeId): boolean {
  if (hasIngress(followed.network)) return true;
  for (const endpoint of followed.endpoints.values()) if (endpoint.node === self) return true;
  return false;
}
