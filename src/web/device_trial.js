// Everpool worker page: whether a GPU device or a WebNN context still works.
// SPDX-License-Identifier: BSL-1.0
//
// A device that goes takes its runs with it, and `lost` tells of it later: Firefox when its GPU
// queue is next polled, 0.2 to 0.8 s later on a busy machine. What the device does with a buffer is
// known at once, so that a run that failed learns why before it says so. Neither function rejects;
// what answers neither way for device_trial_ms_max counts as what works.

import { device_trial_ms_max } from './limits.js';

/**
 * @param pump see gpu_pump.js
 * @returns a promise of false if the device is lost
 */
export const device_works = (device, pump) => judged(device, maps_buffer(device, pump));

/** @returns a promise of false if the context is lost */
export const context_works = (context) => judged(context, takes_tensor(context));

async function judged({ lost }, trial) {
  let timer;
  const patience = new Promise((over) => {
    timer = setTimeout(() => over(true), device_trial_ms_max);
  });
  try {
    return await Promise.race([trial, lost.then(() => false), patience]);
  } finally {
    clearTimeout(timer);
  }
}

async function maps_buffer(device, pump) {
  device.pushErrorScope('out-of-memory');
  device.pushErrorScope('validation'); // of a lost device's buffer: nobody else's error
  let map;
  try {
    const buffer = device.createBuffer({
      size: 4,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    map = buffer.mapAsync(GPUMapMode.READ).then(() => buffer.destroy());
  } catch (thrown) {
    map = Promise.reject(thrown);
  }
  const errors = [device.popErrorScope(), device.popErrorScope()];
  for (const error of errors) error.catch(() => {}); // of a lost device
  try {
    await pump.hurry(device, map);
    return true;
  } catch {
    const memory_error = await errors[1].catch(() => null);
    return memory_error !== null; // without memory it is poor, not lost
  }
}

async function takes_tensor(context) {
  try {
    const tensor = await context.createTensor({ dataType: 'float32', shape: [1] });
    tensor.destroy();
    return true;
  } catch (thrown) {
    return thrown?.name !== 'InvalidStateError';
  }
}
