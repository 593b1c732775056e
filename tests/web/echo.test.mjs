// The answer to an echo is the very frame that asked for it.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decode, encode, Kind } from '../../src/web/protocol.js';
import { is_echo, turn_into_result } from '../../src/web/echo.js';

const tensors = [
  { name: 'x', dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, -0, NaN, 1e-40) },
  { name: 'leer \u00fc', dtype: 'int64', shape: [0], data: new BigInt64Array(0) },
  { name: 'odd', dtype: 'uint8', shape: [3], data: Uint8Array.of(1, 2, 3) },
];

const echo_of = (header, sent = tensors) =>
  encode(Kind.run, { id: 1, attempt: 2, operation: 'echo', ...header }, sent);

test('an echo is recognised by its first bytes, whatever else the run says', () => {
  for (const header of [
    {},
    { id: 2 ** 53 - 1, attempt: 2 ** 32 - 1 },
    { model: 'm', parameters: { a: [1, 2, 3] } },
  ]) {
    for (const sent of [tensors, tensors.slice(0, 1), []]) {
      assert.equal(is_echo(new Uint8Array(echo_of(header, sent))), true);
    }
  }
});

test('nothing else is taken for one, and no byte beyond the frame is asked for', () => {
  for (const frame of [
    encode(Kind.run, { id: 1, attempt: 1, operation: 'echoes' }, []),
    encode(Kind.run, { id: 1, attempt: 1, operation: 'inference', model: 'echo' }, []),
    encode(Kind.run, { id: 1, attempt: 1, parameters: { operation: 'echo' }, operation: 'x' }, []),
    encode(Kind.result, { id: 1, attempt: 1, operation: 'echo' }, []),
    encode(Kind.ping, { sequence: 1 }),
    new ArrayBuffer(0),
    new ArrayBuffer(64),
    echo_of({}).slice(0, 16),
    echo_of({}).slice(0, 40),
  ]) {
    assert.equal(is_echo(new Uint8Array(frame)), false);
  }
});

test('one whose fields stand in another order is left to decoding', () => {
  const frame = encode(Kind.run, { operation: 'echo', id: 1, attempt: 1 }, []);
  assert.equal(is_echo(new Uint8Array(frame)), false);
  assert.equal(decode(frame).header.operation, 'echo');
});

test('the result has the same id, attempt and inputs, in the same buffer', () => {
  const frame = echo_of({ id: 1234567 });
  turn_into_result(new Uint8Array(frame));
  const { kind, header, tensors: echoed } = decode(frame);
  assert.equal(kind, Kind.result);
  assert.equal(header.id, 1234567);
  assert.equal(header.attempt, 2);
  tensors.forEach((tensor, i) => assert.deepEqual(echoed[i], tensor));
});

test('the result claims nothing that a result of echo must not claim', () => {
  const frame = echo_of({});
  turn_into_result(new Uint8Array(frame));
  for (const field of ['provider', 'is_fallback_adapter', 'queue_ms', 'compute_ms', 'info']) {
    assert.ok(!(field in decode(frame).header), field);
  }
});
