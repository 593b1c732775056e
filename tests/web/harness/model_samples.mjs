// The test models' samples with their expected outputs; the format is in tests/models/README.md.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { models_dir } from './page_host.mjs';

const arrays = { float32: Float32Array, int32: Int32Array };
export const { models } = JSON.parse(readFileSync(new URL('models.json', models_dir), 'utf8'));

/** [{inputs: [tensor], outputs: [tensor]}] of a model. */
export function samples_of(name) {
  const model = models[name];
  const file = readFileSync(new URL(model.samples, models_dir));
  const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
  let at = 0;
  const take = (spec) => {
    const count = spec.shape.reduce((product, size) => product * size, 1);
    const data = new arrays[spec.dtype](bytes, at, count);
    at += Math.ceil(data.byteLength / 8) * 8;
    return { ...spec, data };
  };
  const samples = Array.from({ length: model.sample_count }, () => ({
    inputs: model.inputs.map(take),
    outputs: model.outputs.map(take),
  }));
  assert.equal(at, bytes.byteLength, 'the samples fill their file');
  return samples;
}

export function assert_outputs(actual, expected, tolerance = 1e-4) {
  assert.deepEqual(
    actual.map(({ name }) => name),
    expected.map(({ name }) => name),
  );
  expected.forEach((tensor, t) => {
    assert.deepEqual(actual[t].shape, tensor.shape);
    const { data } = actual[t];
    assert.equal(data.length, tensor.data.length);
    tensor.data.forEach((value, i) => {
      assert.ok(
        Math.abs(data[i] - value) <= tolerance,
        `${tensor.name}[${i}]: ${data[i]}, not ${value}`,
      );
    });
  });
}
