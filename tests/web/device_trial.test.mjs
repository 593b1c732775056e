// A failed run learns from its device whether that is lost, before the browser tells of the loss.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { context_works, device_works } from '../../src/web/device_trial.js';
import { device_trial_ms_max } from '../../src/web/limits.js';
import { GpuPump } from '../../src/web/gpu_pump.js';
import { Shaders } from '../../src/web/shaders.js';

const flags = { STORAGE: 1, COPY_SRC: 2, COPY_DST: 4, MAP_READ: 8, READ: 1, COMPUTE: 1 };
Object.assign(globalThis, { GPUBufferUsage: flags, GPUMapMode: flags, GPUShaderStage: flags });

const pump = new GpuPump('chromium');
const named = (name) => Object.assign(new Error('gone'), { name });

/** What a device does with the trial's buffer; `memory_error` is what its scopes tell. */
const device_that = (map, memory_error = null) => {
  const scopes = [];
  return {
    scopes,
    lost: new Promise(() => {}),
    pushErrorScope: (filter) => scopes.push(filter),
    popErrorScope: async () => (scopes.pop() === 'out-of-memory' ? memory_error : null),
    createBuffer: () => ({ mapAsync: async () => map(), destroy: () => {} }),
  };
};
const refuses = () => {
  throw named('OperationError');
};

test('a device works that maps a buffer', async () => {
  assert.equal(await device_works(device_that(() => {}), pump), true);
});

test('a device that refuses to map is lost, whatever its scopes say', async () => {
  assert.equal(await device_works(device_that(refuses), pump), false);
  const silent = { ...device_that(refuses), popErrorScope: async () => refuses() };
  assert.equal(await device_works(silent, pump), false);
});

test('a device that throws is lost, and its error scopes are closed', async () => {
  const device = { ...device_that(() => {}), createBuffer: refuses };
  assert.equal(await device_works(device, pump), false);
  assert.deepEqual(device.scopes, []);
});

test('a device that has no memory is not lost', async () => {
  assert.equal(await device_works(device_that(refuses, named('GPUOutOfMemoryError')), pump), true);
});

test('a device that hangs is lost when it says so, and else not', async () => {
  const hangs = () => new Promise(() => {});
  const gone = { ...device_that(hangs), lost: Promise.resolve({ reason: 'unknown' }) };
  assert.equal(await device_works(gone, pump), false);
  const { setTimeout } = globalThis;
  const waits = [];
  globalThis.setTimeout = (over, ms) => waits.push({ over, ms });
  const works = device_works(device_that(hangs), pump);
  globalThis.setTimeout = setTimeout;
  assert.deepEqual(
    waits.map(({ ms }) => ms),
    [device_trial_ms_max],
  );
  waits[0].over();
  assert.equal(await works, true);
});

test('a context is lost only where it says that its state is wrong', async () => {
  const context_that = (createTensor) => ({ createTensor, lost: new Promise(() => {}) });
  const gives = async () => ({ destroy: () => {} });
  assert.equal(await context_works(context_that(gives)), true);
  const throws = (name) => async () => {
    throw named(name);
  };
  assert.equal(await context_works(context_that(throws('InvalidStateError'))), false);
  assert.equal(await context_works(context_that(throws('TypeError'))), true);
});

/** A device whose commands all fail; `lost` is never told. Maps buffers while `works`. */
function failing_device(works) {
  return {
    ...device_that(works ? () => {} : refuses),
    limits: {
      maxStorageBufferBindingSize: 1024,
      maxBufferSize: 1024,
      maxStorageBuffersPerShaderStage: 8,
      maxComputeWorkgroupsPerDimension: 8,
    },
    createShaderModule: () => {
      throw named('OperationError');
    },
  };
}

async function run_on(device, told) {
  const gpu = {
    requestAdapter: async () => ({
      features: new Set(),
      limits: device.limits,
      requestDevice: async () => device,
    }),
  };
  const shaders = new Shaders({ gpu }, { available: true }, pump, (message) => told.push(message));
  const outputs = [{ name: 'y', dtype: 'float32', shape: [1] }];
  const task = { header: { parameters: { wgsl: 'fn main() {}', outputs } }, tensors: [] };
  await assert.rejects(shaders.run(task));
}

test("a shader's run that fails with its device tells of the loss before it fails", async () => {
  const told = [];
  await run_on(failing_device(false), told);
  assert.equal(told.length, 1);
  assert.match(told[0], /device of the compute operation was lost \(.*gone/);
});

test("a shader's run that fails by itself tells of no loss", async () => {
  const told = [];
  await run_on(failing_device(true), told);
  assert.deepEqual(told, []);
});
