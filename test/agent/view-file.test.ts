import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Log } from '../../src/agent/log.ts';
import { ViewFile } from '../../src/agent/view-file.ts';

const dir = mkdtempSync(join(tmpdir(), 'warren-view-'));
after(() => rmSync(dir, { recursive: true }));

const said: string[] = [];
const log = { error: (message: string) => said.push(message) } as unknown as Log;

test('lines are added to a whole view until it has doubled', () => {
  const state = join(dir, 'a');
  const file = new ViewFile(state, log);
  assert.equal(file.read(), undefined);
  assert.equal(file.append('early'), false, 'there is no view to add to');
  const view = 'v'.repeat(3 << 20);
  file.write(view);
  const path = join(state, 'view.ndjson');
  assert.deepEqual([statSync(path).mode & 0o777, readdirSync(state)], [0o600, ['view.ndjson']]);
  const line = 'l'.repeat(1 << 20);
  let added = 0;
  while (file.append(line)) added++;
  assert.equal(added, 4);
  assert.equal(readFileSync(path, 'utf8'), `${view}\n${`${line}\n`.repeat(4)}`);
  assert.equal(new ViewFile(state, log).append('x'), false, 'what an earlier run left is not added to');
});

test('a disk that fails is said once, and the view is written as a whole when it works again', () => {
  const state = join(dir, 'b');
  writeFileSync(state, 'in the way');
  const file = new ViewFile(state, log);
  for (let i = 0; i < 3; i++) {
    assert.equal(file.append('line'), false);
    file.write('view');
  }
  assert.deepEqual(said, ['the view cannot be saved']);
  rmSync(state);
  assert.equal(file.append('line'), false);
  file.write('view');
  assert.equal(file.append('line'), true);
  assert.equal(file.read(), 'view\nline\n');
});
