// The answer to an echo is made inside the frame that asked for it.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decode, encode, Kind } from '../../src/web/protocol.js';
import { echo_frame } from '../../src/web/echo.js';

const run_frame = (header, tensors) =>
  encode(Kind.run, { attempt: 2, operation: 'echo', ...header }, tensors);
const message_of = (frame) => ({ ...decode(frame), frame });

const tensors = [
  { name: 'x', dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, -0, NaN, 1e-40) },
  { name: 'leer \u00fc', dtype: 'int64', shape: [0], data: new BigInt64Array(0) },
  { name: 'odd', dtype: 'uint8', shape: [3], data: Uint8Array.of(1, 2, 3) },
];

const assert_answers = (frame, id, expected) => {
  const { kind, header, tensors: echoed } = decode(frame);
  assert.equal(kind, Kind.result);
  assert.equal(header.id, id);
  assert.equal(header.attempt, 2);
  assert.equal(header.operation, undefined);
  assert.deepEqual(
    echoed.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    expected.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
  );
  expected.forEach(({ data }, i) => assert.deepEqual(echoed[i].data, data));
};

test('the inputs come back unchanged, in the very buffer that brought them', () => {
  for (const sent of [tensors, [], tensors.slice(0, 1)]) {
    const frame = run_frame({ id: 1234567 }, sent);
    const answer = echo_frame(message_of(frame));
    assert.equal(answer, frame);
    assert_answers(answer, 1234567, sent);
  }
});

test('fields of the run that are no part of a result leave no trace', () => {
  const frame = run_frame(
    { id: 1, model: 'm', module_url: 'u', parameters: { a: [1, 2, 3] } },
    tensors,
  );
  const answer = echo_frame(message_of(frame));
  assert.equal(answer, frame);
  assert_answers(answer, 1, tensors);
  assert.deepEqual(Object.keys(decode(answer).header).sort(), ['attempt', 'id', 'tensors']);
});

test('where the new header does not fit, a new frame is made', () => {
  const frame = run_frame({ id: 1 }, tensors.slice(2));
  const message = message_of(frame);
  const name = 'x'.repeat(200); // as if the run's header had been shorter
  message.header.tensors[0].name = message.tensors[0].name = name;
  const answer = echo_frame(message);
  assert.notEqual(answer, frame);
  assert_answers(answer, 1, [{ ...tensors[2], name }]);
});
