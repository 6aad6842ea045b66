/**
 * A kernel that lacks something: what needs it is refused with exit 6 and says what is missing; nothing is half done.
 *
 *   host a: no vxlan      host b: no nf_tables      host c: no ESP      host d: no IPVS      each a cluster of its own
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { EndpointJson } from '../../src/control/present.ts';
import { Host, type Status } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';
import { Lab } from './lab.ts';

const kernels = {
  a: {
    feature: 'vxlan',
    hint: 'modprobe vxlan',
    shown: 'vxlan',
    init: 'vxlan_init_module',
    options: '--encrypt=false',
  },
  b: {
    feature: 'nf_tables',
    hint: 'modprobe nf_tables',
    shown: 'nft',
    init: 'nf_tables_module_init',
    options: '--encrypt=false',
  },
  c: { feature: 'IPsec (ESP)', hint: 'modprobe -a xfrm_user esp4', shown: 'esp', init: 'esp4_init', options: '' },
  d: { feature: 'IPVS', hint: 'modprobe ip_vs', shown: 'ipvs', init: 'ip_vs_init', options: '--encrypt=false' },
};
let lab: Lab<keyof typeof kernels>;
before(async () => {
  const guest = (name: keyof typeof kernels, address: string) => ({
    nics: [{ addresses: [address] }],
    without: [kernels[name].init],
  });
  lab = await Lab.start({
    guests: {
      ...{ a: guest('a', '10.77.0.1/24'), b: guest('b', '10.77.0.2/24') },
      ...{ c: guest('c', '10.77.0.3/24'), d: guest('d', '10.77.0.4/24') },
    },
  });
});
after(() => lab?.stop());

/** A network that wants nothing of what is missing works. */
async function plainGoesOn(host: Host): Promise<void> {
  await host.json('network create open --encrypt=false');
  await host.json('attach open --netns c1');
  const other = await host.attach('open', 'c2');
  assert.equal((await host.inside('c1', `ping -n -c1 -W2 ${other.addresses[0]}`)).code, 0);
}

describe('each refuses, and says why', { concurrency: true }, () => {
  for (const [name, { feature, hint, shown, options }] of Object.entries(kernels)) {
    test(`without ${feature}`, async () => {
      const host = new Host(lab.guests[name as keyof typeof kernels]);
      await host.init('--advertise eth0');
      await host.startAgent();
      await host.json(`network create app ${options}`);
      await host.guest.ok('ip netns add c1');
      // Only a service needs IPVS.
      if (name === 'd') await host.json('service create web --network app --port 80');
      const service = name === 'd' ? '--service web' : '';
      const refused = await host.guest.run(`warren attach app --netns c1 ${service} --json`);
      assert.equal(refused.code, 6, refused.stderr);
      const { error } = JSON.parse(refused.stdout) as { error: { code: string; message: string; hint: string } };
      assert.equal(error.code, 'kernel_feature_missing');
      assert.ok(error.message.includes(feature), error.message);
      assert.ok(error.hint.includes(hint), error.hint);
      await waitFor(async () => (await host.guest.ok('ip netns list')).trim() === 'c1', { what: 'the network to go' });
      assert.deepEqual(await host.json<EndpointJson[]>('endpoint ls'), []);
      assert.equal(await host.guest.ok('ip -n c1 -o link | grep -v "lo:" | wc -l'), '0\n');
      if (name === 'd') await host.json('service rm web');
      if (name === 'c' || name === 'd') await plainGoesOn(host);
      const { kernel } = await host.json<Status>('status');
      assert.equal(kernel.features[shown], false);
    });
  }
});
