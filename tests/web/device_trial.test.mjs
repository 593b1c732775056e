// A failed run learns from its device whether that is lost, before the browser tells of the loss.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { context_works, device_works } from '../../src/web/device_trial.js';
import { GpuPump } from '../../src/web/gpu_pump.js';
import { Shaders } from '../../src/web/shaders.js';

const flags = { STORAGE: 1, COPY_SRC: 2, COPY_DST: 4, MAP_READ: 8, READ: 1, COMPUTE: 1 };
Object.assign(globalThis, { GPUBufferUsage: flags, GPUMapMode: flags, GPUShaderStage: flags });

const pump = new GpuPump('chromium');
const named = (name) => Object.assign(new Error('gone'), { name });

/** What a device does with the trial's buffer. */
const device_that = (map) => ({
  pushErrorScope: () => {},
  popErrorScope: () => Promise.reject(named('OperationError')),
  createBuffer: () => ({ mapAsync: map, destroy: () => {} }),
});

test('a device works that maps a buffer', async () => {
  assert.equal(await device_works(device_that(() => Promise.resolve()), pump), true);
});

test('a device that refuses to map is lost', async () => {
  const refuse = () => Promise.reject(named('AbortError'));
  assert.equal(await device_works(device_that(refuse), pump), false);
  const throws = () => {
    throw named('OperationError');
  };
  assert.equal(await device_works(device_that(throws), pump), false);
});

test('a context is lost only where it says that its state is wrong', async () => {
  const context_that = (createTensor) => ({ createTensor });
  const gives = async () => ({ destroy: () => {} });
  assert.equal(await context_works(context_that(gives)), true);
  const refuses = (name) => async () => {
    throw named(name);
  };
  assert.equal(await context_works(context_that(refuses('InvalidStateError'))), false);
  assert.equal(await context_works(context_that(refuses('TypeError'))), true);
});

/** A device whose commands all fail; `lost` is never told. Maps buffers while `works`. */
function failing_device(works) {
  return {
    ...device_that(() => (works ? Promise.resolve() : Promise.reject(named('AbortError')))),
    lost: new Promise(() => {}),
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
