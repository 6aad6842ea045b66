import assert from 'node:assert/strict';
import { featuresOf } from '../../src/agent/features.ts';
import { host } from '../../src/kernel/state.ts';
import { kernelTest } from '../support/netns.ts';

kernelTest('a lab kernel has every feature, and finding out leaves nothing in the host', async ({ kernel }) => {
  const before = await kernel.read(host, { links: true, sas: true, policies: true });
  const features = await featuresOf(kernel);
  assert.deepEqual(features, Object.fromEntries(Object.keys(features).map((name) => [name, true])));
  assert.ok(['vxlan', 'nft', 'ipvs', 'esp', 'esp6', 'chacha20poly1305', 'saDir'].every((name) => name in features));
  assert.deepEqual(await kernel.read(host, { links: true, sas: true, policies: true }), before);
  assert.ok(!(await kernel.namespaces()).some((name) => name.startsWith('warren-probe')));
});
