// The models' expected outputs, which plain numpy formulas gave, are also what onnxruntime-web's WASM
// provider computes; so a browser test that fails is not the models' fault.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const here = new URL('./', import.meta.url);
const webDir = new URL('../../src/web/', here);
const ort = await import(new URL('node_modules/onnxruntime-web/dist/ort.node.min.mjs', webDir));
ort.env.wasm.numThreads = 1;

const TOLERANCE = 1e-4;
const ARRAYS = { float32: Float32Array, int32: Int32Array };

// Samples lie one behind the other: inputs, then outputs, each padded to 8 bytes (README.md).
function* samplesOf(model) {
  const file = readFileSync(new URL(model.samples, here));
  const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
  let at = 0;
  const take = ({ name, dtype, shape }) => {
    const count = shape.reduce((product, dimension) => product * dimension, 1);
    const data = new ARRAYS[dtype](bytes, at, count);
    at += Math.ceil(data.byteLength / 8) * 8;
    return { name, dtype, shape, data };
  };
  for (let i = 0; i < model.sample_count; ++i) {
    yield { inputs: model.inputs.map(take), outputs: model.outputs.map(take) };
  }
  assert.equal(at, bytes.byteLength, 'the samples fill their file');
}

const { models } = JSON.parse(readFileSync(new URL('models.json', here), 'utf8'));

for (const [name, model] of Object.entries(models)) {
  test(`${name} gives its expected outputs`, async () => {
    const session = await ort.InferenceSession.create(readFileSync(new URL(model.file, here)));
    let checked = 0;
    for (const { inputs, outputs } of samplesOf(model)) {
      const feeds = {};
      for (const t of inputs) feeds[t.name] = new ort.Tensor(t.dtype, t.data, t.shape);
      const results = await session.run(feeds);
      for (const expected of outputs) {
        const actual = results[expected.name];
        assert.deepEqual(actual.dims, expected.shape);
        expected.data.forEach((value, i) => {
          const off = Math.abs(actual.data[i] - value);
          assert.ok(off <= TOLERANCE, `${expected.name}[${i}]: ${actual.data[i]}, not ${value}`);
        });
        ++checked;
      }
    }
    assert.ok(checked >= 4);
    await session.release();
  });
}

test('corrupt.onnx is refused', async () => {
  const bytes = readFileSync(new URL('corrupt.onnx', here));
  await assert.rejects(ort.InferenceSession.create(bytes));
});
