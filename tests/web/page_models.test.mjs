// What fits a model, which provider is tried for it, how its file is fetched: parts of the page.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { OperationError } from '../../src/web/operation_error.js';
import {
  choose_providers,
  is_dead_runtime,
  is_hopeless_file,
  load_failure_code,
  order_device_types,
} from '../../src/web/provider_choice.js';
import { fetch_model } from '../../src/web/model_fetch.js';
import { input_fault } from '../../src/web/input_check.js';
import { tensor_specs } from '../../src/web/inference.js';

const rejects_with = (code, pattern) => (error) => {
  assert.ok(error instanceof OperationError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, pattern);
  return true;
};

describe('inputs of a model', () => {
  const specs = [
    { name: 'x', dtype: 'float32', shape: [1, 128] },
    { name: 'mask', dtype: 'int64', shape: [-1, 4] },
  ];
  const x = { name: 'x', dtype: 'float32', shape: [1, 128] };
  const mask = { name: 'mask', dtype: 'int64', shape: [7, 4] };

  test('are accepted in any order, free dimensions with any size', () => {
    assert.equal(input_fault('m', specs, [x, mask]), null);
    assert.equal(input_fault('m', specs, [{ ...mask, shape: [0, 4] }, x]), null);
    assert.equal(input_fault('m', [], []), null);
  });

  test('a wrong one is named, with what was expected and what was given', () => {
    assert.equal(
      input_fault('m', specs, [{ ...x, shape: [2, 128] }, mask]),
      "model 'm', input 'x': expected x float32[1,128], got x float32[2,128]",
    );
    assert.equal(
      input_fault('m', specs, [x, { ...mask, dtype: 'int32' }]),
      "model 'm', input 'mask': expected mask int64[?,4], got mask int32[7,4]",
    );
    assert.match(input_fault('m', specs, [{ ...x, shape: [128] }, mask]), /got x float32\[128\]/);
  });

  test('an unknown, missing or doubled one is named too', () => {
    assert.equal(
      input_fault('m', specs, [{ ...x, name: 'z' }]),
      "model 'm' has no input 'z'; it takes 'x', 'mask'",
    );
    assert.match(
      input_fault('m', specs, [x]),
      /input 'mask' is missing; expected mask int64\[\?,4\]/,
    );
    assert.match(input_fault('m', specs, [x, x, mask]), /input 'x' was given twice/);
  });
});

describe('choice of provider', () => {
  const capabilities = (webgpu, webnn, simd = true) => ({
    webgpu: { available: webgpu },
    webnn: { available: webnn, device_types: [], reason: 'probed' },
    wasm: { simd },
  });

  test('keeps the order of the spec and leaves out what the probes did not see work', () => {
    const wanted = ['webnn', 'webgpu', 'wasm'];
    assert.deepEqual(choose_providers(wanted, capabilities(true, true)).usable, wanted);
    const { usable, missing } = choose_providers(wanted, capabilities(true, false));
    assert.deepEqual(usable, ['webgpu', 'wasm']);
    assert.deepEqual(missing, [
      { provider: 'webnn', reason: 'this browser gives no WebNN context, probed' },
    ]);
  });

  test('an unknown provider is missing, a repeated one is tried once', () => {
    const { usable, missing } = choose_providers(
      ['wasm', 'wasm', 'cuda'],
      capabilities(false, false),
    );
    assert.deepEqual(usable, ['wasm']);
    assert.deepEqual(missing, [{ provider: 'cuda', reason: 'no such provider' }]);
  });

  test('WebNN device types are tried in one order, whatever the probes said first', () => {
    assert.deepEqual(order_device_types(['cpu', 'gpu', 'npu']), ['gpu', 'npu', 'cpu']);
    assert.deepEqual(order_device_types(['cpu']), ['cpu']);
  });

  test('a failed load is blamed on the file or on the provider', () => {
    const corrupt =
      "Can't create a session. ERROR_CODE: 7, ERROR_MESSAGE: protobuf parsing failed.";
    assert.ok(is_hopeless_file(corrupt));
    assert.ok(!is_hopeless_file("Can't create a session. ERROR_CODE: 9, ERROR_MESSAGE: x"));
    assert.equal(load_failure_code([]), 'provider_unavailable');
    assert.equal(
      load_failure_code([{ provider: 'webgpu', reason: 'no adapter' }]),
      'provider_unavailable',
    );
    assert.equal(load_failure_code([{ provider: 'webgpu', reason: corrupt }]), 'model_rejected');
    assert.equal(load_failure_code([{ provider: 'wasm', reason: 'anything' }]), 'model_rejected');
  });

  test('a dead runtime is told from a bad model', () => {
    assert.ok(is_dead_runtime('RuntimeError: unreachable'));
    assert.ok(is_dead_runtime('Error: Session already started'));
    // What could not be loaded is the runtime itself, so no model is to blame.
    assert.ok(is_dead_runtime('TypeError: Failed to fetch dynamically imported module: /ort/x'));
    assert.ok(is_dead_runtime('TypeError: error loading dynamically imported module: /ort/x'));
    assert.ok(is_dead_runtime('no available backend found. ERR: [wasm] RuntimeError: Aborted(x)'));
    assert.ok(!is_dead_runtime("Can't create a session. ERROR_CODE: 7"));
  });
});

describe('fetching a model', () => {
  const url = new URL('http://127.0.0.1:1/w/t/models/m');
  const answer = (parts, init) => async () =>
    new Response(
      new ReadableStream({
        start(controller) {
          for (const part of parts) controller.enqueue(new Uint8Array(part));
          controller.close();
        },
      }),
      init,
    );

  test('gives the bytes whatever length was promised, and ends with full progress', async () => {
    for (const bytes of [0, 3, 5, 100]) {
      const progress = [];
      const file = await fetch_model(
        url,
        'm',
        bytes,
        (...args) => progress.push(args),
        answer([
          [1, 2, 3],
          [4, 5],
        ]),
      );
      assert.deepEqual([...file], [1, 2, 3, 4, 5]);
      assert.deepEqual(progress.at(-1), ['fetch', 5, 5]);
    }
  });

  test('a refusal is a missing file, a broken connection may pass', async () => {
    await assert.rejects(
      fetch_model(url, 'm', 0, () => {}, answer([], { status: 404 })),
      rejects_with('model_file_missing', /'m': the host answered 404 for \/w\/t\/models\/m/),
    );
    await assert.rejects(
      fetch_model(
        url,
        'm',
        0,
        () => {},
        async () => {
          throw new TypeError('network');
        },
      ),
      rejects_with('worker_lost', /'m' could not be fetched: TypeError: network/),
    );
  });
});

describe("the runtime's metadata", () => {
  test('becomes tensor specs with -1 for what is free or symbolic', () => {
    assert.deepEqual(
      tensor_specs([
        { name: 'x', isTensor: true, type: 'float32', shape: ['batch', 3, -1, 0] },
        { name: 'list', isTensor: false },
      ]),
      [
        { name: 'x', dtype: 'float32', shape: [-1, 3, -1, 0] },
        { name: 'list', dtype: 'not a tensor', shape: [] },
      ],
    );
  });
});
