import type { NodeJson } from '../../control/present.ts';
import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { table } from '../table.ts';

export default command({
  run: async (args) => {
    const nodes = await ask<NodeJson[]>(args, 'node.list');
    show(args, nodes, (rows) =>
      table(rows, {
        name: (n: NodeJson) => n.name,
        id: (n: NodeJson) => n.id,
        role: (n: NodeJson) => n.role,
        address: (n: NodeJson) => n.address,
        status: (n: NodeJson) => n.status,
        cipher: (n: NodeJson) => n.encryption.cipher,
        fingerprint: (n: NodeJson) => n.encryption.fingerprint,
        trust: (n: NodeJson) => n.encryption.trust,
        version: (n: NodeJson) => n.version,
        'last seen': (n: NodeJson) => n.lastSeen,
      }),
    );
    return 0;
  },
});
