import type { EndpointId, NetworkId } from '../model/id.ts';

/** What to look at; never what happened to it. */
export type Key = 'node' | NetworkId | `${NetworkId}/endpoint/${EndpointId}`;

export function endpointKey(network: NetworkId, endpoint: EndpointId): Key {
  return `${network}/endpoint/${endpoint}`;
}

/** The network a key is about, and the endpoint if it is about one; nothing for 'node'. */
export function partsOf(key: Key): { network?: NetworkId; endpoint?: EndpointId } {
  if (key === 'node') return {};
  const [network, , endpoint] = key.split('/');
  return endpoint
    ? { network: network as NetworkId, endpoint: endpoint as EndpointId }
    : { network: network as NetworkId };
}
