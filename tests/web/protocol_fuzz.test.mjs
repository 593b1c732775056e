// The page's decoder, fed with golden messages that were damaged by chance: whatever comes, either
// it is a message or a ProtocolError is thrown, and nothing else.
// SPDX-License-Identifier: BSL-1.0
//
//     EVERPOOL_FUZZ_SEED=7 EVERPOOL_FUZZ_RUNS=1000000 node --test tests/web/protocol_fuzz.test.mjs
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { decode, encode, ProtocolError } from '../../src/web/protocol.js';

const seed = Number(process.env.EVERPOOL_FUZZ_SEED ?? 1);
const runs = Number(process.env.EVERPOOL_FUZZ_RUNS ?? 60_000);

const folder = new URL('../vectors/', import.meta.url);
const corpus = ['valid/', 'invalid/'].flatMap((kind) =>
  readdirSync(new URL(kind, folder))
    .filter((name) => name.endsWith('.bin'))
    .map((name) => readFileSync(new URL(kind + name, folder)))
    .filter((frame) => frame.length < 4096),
);

/** Words that a header is made of, so that chance need not spell them. */
const words = [
  '"tensors":[]',
  '{"name":"x","dtype":"uint8","shape":[]}',
  '"dtype":"int64"',
  '"shape":[2]',
  '"__proto__":null',
  '"toString"',
  '9007199254740992',
  '1e999',
  '-0',
  '-1',
  '\\ud800',
  '\\u0000',
  'null',
  '[[',
  ',1',
  '"',
  '\xff',
].map((word) => Buffer.from(word, 'latin1'));

/** A small generator with a seed (mulberry32), because Math.random has none. */
function make_random(state) {
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Bytes with one thing changed: a bit, a byte, some removed, some twice, a word put in. */
function damaged(bytes, random) {
  const at = random(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random(8));
  const [before, part, after] = [[0, at], [at, end], [end]].map((range) => bytes.subarray(...range));
  switch (random(6)) {
    case 0:
      return Buffer.concat([before, after]);
    case 1:
      return Buffer.concat([before, part, part, after]);
    case 2:
      return Buffer.concat([before, words[random(words.length)], part, after]);
    case 3:
      return Buffer.concat([before, words[random(words.length)], after]);
    case 4:
      return Buffer.concat([before, Buffer.from([random(256)]), part.subarray(1), after]);
    default:
      return Buffer.concat([before, part.map((byte) => byte ^ (1 << random(8))), after]);
  }
}

/** Mostly only the header is changed and the lengths are made right, or nothing would get far. */
function mutated(frame, random) {
  if (frame.length < 24 || random(4) === 0) return damaged(frame, random);
  const header_end = Math.min(frame.length, 16 + frame.readUInt32LE(8));
  let header = frame.subarray(16, header_end);
  for (let times = 1 + random(3); times > 0; --times) header = damaged(header, random);
  const payload = frame.subarray((header_end + 7) & ~7);
  const prefix = Buffer.from(frame.subarray(0, 16));
  prefix.writeUInt32LE(header.length, 8);
  return Buffer.concat([prefix, header, Buffer.alloc(-header.length & 7), payload]);
}

/** Decoding either gives a message or throws a ProtocolError, whose fault is returned. */
function check(bytes) {
  const frame = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  let message;
  try {
    message = decode(frame);
  } catch (thrown) {
    assert.ok(thrown instanceof ProtocolError, `it threw ${thrown.stack}`);
    return thrown.fault;
  }
  for (const { data } of message.tensors) assert.equal(data.buffer, frame);
  const tensors = Array.isArray(message.header.tensors) ? message.tensors : null;
  const again = decode(encode(message.kind, message.header, tensors));
  assert.equal(again.kind, message.kind);
  message.tensors.forEach(({ data }, i) => assert.deepEqual(again.tensors[i].data, data));
  return 'ok';
}

test(`decoding ends well, whatever it is given (seed ${seed}, ${runs} runs)`, () => {
  assert.ok(corpus.length > 100);
  const random = make_random(seed);
  const outcomes = new Set();
  for (let run = 0; run < runs; ++run) {
    const frame = mutated(corpus[random(corpus.length)], random);
    try {
      outcomes.add(check(frame));
    } catch (thrown) {
      thrown.message = `run ${run}, ${frame.toString('hex')}: ${thrown.message}`;
      throw thrown;
    }
  }
  // A fuzzer that does not get everywhere proves little.
  const all =
    'bad_field bad_magic bad_padding bad_reserved bad_tensor bad_version header_too_large ' +
    'length_mismatch malformed_json ok truncated unknown_kind';
  assert.deepEqual([...outcomes].sort(), all.split(' '));
});
