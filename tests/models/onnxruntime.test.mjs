// The expected outputs, which plain numpy formulas gave, are also what onnxruntime-web's WASM
// provider computes; so a browser test that fails is not the models' fault.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { assert_outputs, models, samples_of } from '../web/harness/model_samples.mjs';
import { models_dir, ort_dir } from '../web/harness/page_host.mjs';

const ort = await import(new URL('ort.node.min.mjs', ort_dir));
ort.env.wasm.numThreads = 1;

for (const [name, { file }] of Object.entries(models)) {
  test(`${name} gives its expected outputs`, async () => {
    const session = await ort.InferenceSession.create(readFileSync(new URL(file, models_dir)));
    const samples = samples_of(name);
    assert.ok(samples.length >= 4);
    for (const { inputs, outputs } of samples) {
      const feeds = {};
      for (const t of inputs) feeds[t.name] = new ort.Tensor(t.dtype, t.data, t.shape);
      const given = await session.run(feeds);
      assert_outputs(
        outputs.map((expected) => {
          const { dims, data } = given[expected.name];
          return { name: expected.name, shape: dims, data };
        }),
        outputs,
      );
    }
    await session.release();
  });
}

test('corrupt.onnx is refused', async () => {
  const bytes = readFileSync(new URL('corrupt.onnx', models_dir));
  await assert.rejects(ort.InferenceSession.create(bytes));
});
