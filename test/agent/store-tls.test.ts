import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerCertificate } from 'node:tls';
import { tlsReader } from '../../src/agent/store-tls.ts';

const shows = (O: string, address: string) =>
  ({ subject: { O }, subjectaltname: `IP Address:${address}` }) as PeerCertificate;

test('the cluster’s own store is a manager at the address it was asked for, and nobody else', () => {
  const check = tlsReader({ storeTls: {}, storeUsers: true })?.().checkServerIdentity;
  assert.ok(check);
  assert.equal(check('192.0.2.1', shows('manager', '192.0.2.1')), undefined);
  assert.match(check('192.0.2.1', shows('manager', '192.0.2.2'))?.message ?? '', /192\.0\.2\.1/);
  assert.match(check('192.0.2.1', shows('worker', '192.0.2.1'))?.message ?? '', /no manager/);
});

test('somebody’s own store is what its CA says; without files the system’s CAs count', () => {
  assert.equal(tlsReader({ storeTls: {}, storeUsers: false })?.().checkServerIdentity, undefined);
  assert.equal(tlsReader({ storeTls: undefined, storeUsers: false }), undefined);
});
