// The page's codec: the golden messages of tests/vectors, which the C++ tests read as well, and
// what concerns JavaScript alone.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import { decode, encode, Kind, Limits, ProtocolError } from '../../src/web/protocol.js';

const folder = new URL('../vectors/', import.meta.url);

/** The file as an ArrayBuffer of its own, as a WebSocket delivers a message. */
function frame_of(path) {
  const bytes = readFileSync(new URL(path, folder));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

const index = JSON.parse(readFileSync(new URL('vectors.json', folder), 'utf8'));
const vectors = (list) => index[list].filter(({ readers }) => readers.includes('js'));
const text_of = (frame) => Buffer.from(frame).toString('latin1');
const hex_of = (data) =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');

/** A frame with any text for a header, put together without the encoder. */
function frame_with(kind, header_text, payload = '') {
  const header = Buffer.from(header_text);
  const padding = Buffer.alloc(-(16 + header.length) & 7);
  const prefix = Buffer.from([0x45, 0x56, 0x50, 0x31, 1, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  prefix.writeUInt32LE(header.length, 8);
  const bytes = Buffer.concat([prefix, header, padding, Buffer.from(payload)]);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
}

/** The fault that decoding ends with, 'ok' if with none. Other exceptions fail the test. */
function verdict(frame) {
  try {
    decode(frame);
    return 'ok';
  } catch (thrown) {
    if (!(thrown instanceof ProtocolError)) throw thrown;
    return thrown.fault;
  }
}

/** Whether the header has all that is expected, be it among other things. */
function assert_says(header, expected) {
  for (const [key, value] of Object.entries(expected)) {
    const is_part = value !== null && typeof value === 'object' && !Array.isArray(value);
    if (is_part) assert_says(header[key], value);
    else assert.deepEqual(header[key], value, key);
  }
}

describe('golden messages', () => {
  test('every valid one means what it is said to mean', () => {
    assert.ok(vectors('valid').length > 30);
    for (const { name, meaning, is_canonical } of vectors('valid')) {
      const { kind, header, tensors } = decode(frame_of(`valid/${name}.bin`));
      assert.equal(kind, Kind[meaning.kind], name);
      assert_says(header, meaning.header);
      if (is_canonical) {
        const { tensors: _, ...fields } = header;
        assert.deepEqual(fields, meaning.header, name);
      }
      const said = tensors.map(({ data, ...entry }) => ({ ...entry, data: hex_of(data) }));
      assert.deepEqual(said, meaning.tensors, name);
    }
  });

  test('every canonical one is encoded from its meaning to the very same bytes', () => {
    for (const { name, meaning, is_canonical } of vectors('valid')) {
      if (!is_canonical) continue;
      const frame = frame_of(`valid/${name}.bin`);
      const tensors = meaning.tensors.map(({ data, ...entry }) => ({
        ...entry,
        data: Uint8Array.from(Buffer.from(data, 'hex')),
      }));
      const has_tensors = meaning.kind === 'run' || meaning.kind === 'result';
      const again = encode(Kind[meaning.kind], meaning.header, has_tensors ? tensors : null);
      assert.equal(text_of(again), text_of(frame), name);
    }
  });

  test('every invalid one is refused for the right reason', () => {
    assert.ok(vectors('invalid').length > 70);
    for (const { name, fault } of vectors('invalid')) {
      assert.equal(verdict(frame_of(`invalid/${name}.bin`)), fault, name);
    }
  });

  test('every kind is among them, and no other', () => {
    const seen = new Set(index.valid.map(({ meaning }) => meaning.kind));
    assert.deepEqual([...seen].sort(), Object.keys(Kind).sort());
  });

  test('cut off anywhere they are refused', () => {
    for (const { name } of vectors('valid')) {
      const frame = frame_of(`valid/${name}.bin`);
      for (let bytes = 0; bytes < frame.byteLength; ++bytes) {
        const fault = verdict(frame.slice(0, bytes));
        assert.ok(fault === 'truncated' || fault === 'length_mismatch', `${name} at ${bytes}`);
      }
    }
  });
});

describe('decoding', () => {
  test('gives tensors that are views of the frame, of the type of their elements', () => {
    const { tensors, frame } = decode(frame_of('valid/run_every_dtype.bin'));
    for (const { dtype, data } of tensors) {
      assert.equal(data.buffer, frame, dtype);
      assert.equal(data.byteOffset % 8, 0, dtype);
      assert.equal(data.length, 2, dtype);
    }
    const values = Object.fromEntries(tensors.map(({ dtype, data }) => [dtype, [...data]]));
    assert.deepEqual(values.float64, [1, 2]);
    assert.deepEqual(values.int64, [1n, 2n]);
    assert.deepEqual(values.bool, [1, 0]);
    assert.deepEqual(values.float16, [0x3c00, 0x4000]); // no array of halves: their bits
  });

  test('survives any depth of the header', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    assert.equal(verdict(frame_with(Kind.ping, `{"sequence":1,"x":${deep}}`)), 'ok');
    assert.equal(verdict(frame_with(Kind.ping, `{"x":${deep.slice(1)}}`)), 'malformed_json');
  });

  test('a name is measured in bytes, not in characters', () => {
    const run_named = (name) =>
      frame_with(Kind.run, `{"tensors":[{"name":"${name}","dtype":"int8","shape":[0]}]}`);
    assert.equal(verdict(run_named('x'.repeat(Limits.name_bytes_max))), 'ok');
    assert.equal(verdict(run_named('x'.repeat(Limits.name_bytes_max + 1))), 'bad_tensor');
    assert.equal(verdict(run_named('\u20ac'.repeat(341) + 'x')), 'ok'); // 1024 bytes
    assert.equal(verdict(run_named('\u20ac'.repeat(342))), 'bad_tensor'); // 342 characters
  });

  test('an error says its fault and the culprit', () => {
    const frame = frame_with(Kind.run, '{"tensors":7}');
    assert.throws(() => decode(frame), { name: 'ProtocolError', message: 'bad_field: tensors' });
  });
});

describe('encoding', () => {
  test('a header that the host would not read as UTF-8 is mended', () => {
    // A module may put anything into its info: half of a surrogate pair would cost the connection.
    const info = {
      'key \ud800': ['\udfff text', '\ud83d\ude00', '\\ud800', '\\\\\ud800', '\ufffd'],
    };
    const frame = encode(Kind.result, { id: 1, attempt: 1, info }, []);
    const { header } = decode(frame);
    assert.deepEqual(header.info, {
      'key \ufffd': ['\ufffd text', '\ud83d\ude00', '\\ud800', '\\\\\ufffd', '\ufffd'],
    });
  });

  test('a tensor whose bytes are not what its type and shape ask for is refused', () => {
    const run = (dtype, shape, data) =>
      encode(Kind.run, { id: 1 }, [{ name: 'x', dtype, shape, data }]);
    const eight = new Uint8Array(8);
    assert.equal(decode(run('float32', [2], eight)).tensors[0].data.length, 2);
    for (const [dtype, shape] of [
      ['float32', [3]],
      ['float32', [1]],
      ['uint8', [-8]],
      ['uint8', [8.5]],
      ['uint8', [NaN]],
      ['uint8', [2 ** 53, 0]],
      ['complex64', [1]],
      ['toString', [1]],
    ]) {
      assert.throws(() => run(dtype, shape, eight), { fault: 'bad_tensor' }, `${dtype}[${shape}]`);
    }
  });

  test('tensors may lie anywhere in a buffer of their own', () => {
    const data = Uint8Array.from([9, 9, 9, 1, 2, 3, 9]).subarray(3, 6);
    const tensors = [{ name: 'x', dtype: 'uint8', shape: [3], data }];
    const [decoded] = decode(encode(Kind.run, { id: 1 }, tensors)).tensors;
    assert.deepEqual([...decoded.data], [1, 2, 3]);
    const [from_buffer] = decode(
      encode(Kind.run, { id: 1 }, [{ ...tensors[0], data: data.slice().buffer }]),
    ).tensors;
    assert.deepEqual([...from_buffer.data], [1, 2, 3]);
  });

  test('a header may be as large as its limit and not larger', () => {
    const reason_of = (bytes) => ({ reason: 'x'.repeat(bytes - '{"reason":""}'.length) });
    const { header } = decode(encode(Kind.bye, reason_of(Limits.header_bytes_max)));
    assert.equal(header.reason.length, Limits.header_bytes_max - 13);
    assert.throws(() => encode(Kind.bye, reason_of(Limits.header_bytes_max + 1)), {
      fault: 'header_too_large',
    });
  });
});
