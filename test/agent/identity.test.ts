import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { identityPath, openIdentity } from '../../src/agent/identity.ts';
import { WarrenError } from '../../src/model/error.ts';

const dir = mkdtempSync(join(tmpdir(), 'warren-identity-'));
after(() => rmSync(dir, { recursive: true }));

const refusal = (known: boolean, said: RegExp) => (state: string) =>
  assert.throws(
    () => openIdentity(state, known),
    (error) => {
      assert.ok(error instanceof WarrenError);
      assert.equal(error.code, 'identity_unusable');
      assert.match(error.message, said);
      assert.ok(error.hint);
      return true;
    },
  );

test('made once, private, and the same ever after', () => {
  const state = join(dir, 'a');
  const { key } = openIdentity(state, false);
  const path = identityPath(state);
  assert.deepEqual(
    [statSync(path).mode & 0o777, statSync(state).mode & 0o777, readdirSync(state)],
    [0o600, 0o700, ['identity.key']],
  );
  assert.equal(openIdentity(state, true).key, key);
  assert.equal(openIdentity(state, false).key, key);
});

test('one that others can read, is damaged or gone is refused, and left as it is', () => {
  const state = join(dir, 'b');
  openIdentity(state, false);
  const path = identityPath(state);
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(path, mode);
    refusal(false, /others \(mode 06[024][024]\)/)(state);
  }
  chmodSync(path, 0o600);
  const good = readFileSync(path);
  for (const bad of [Buffer.alloc(0), good.subarray(0, 20), Buffer.alloc(good.length, 1)]) {
    writeFileSync(path, bad);
    refusal(false, /is damaged/)(state);
    assert.deepEqual(readFileSync(path), bad);
  }
  rmSync(path);
  refusal(true, /is gone/)(state);
  assert.ok(!existsSync(path));
});

test('what a killed agent left half written is no identity', () => {
  const state = join(dir, 'c');
  const { key } = openIdentity(state, false);
  rmSync(identityPath(state));
  writeFileSync(`${identityPath(state)}.${process.pid}`, 'half');
  assert.notEqual(openIdentity(state, false).key, key);
  assert.deepEqual(readdirSync(state), ['identity.key']);
});
