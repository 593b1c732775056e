// Everpool worker page: whether a GPU device or a WebNN context still works.
// SPDX-License-Identifier: BSL-1.0
//
// A device that goes takes its runs with it, and `lost` tells of it later: Firefox when its GPU
// queue is next polled, 0.2 to 0.8 s later on a busy machine. What the device does with a buffer is
// known at once, so that a run that failed learns why before it says so. Neither function rejects;
// a device that hangs leaves the promise open, and the operation's deadline judges it.

/**
 * @param pump see gpu_pump.js
 * @returns a promise of true if the device still maps a buffer
 */
export async function device_works(device, pump) {
  try {
    // A lost device makes an invalid buffer; the error is this trial's and nobody else's.
    device.pushErrorScope('validation');
    const buffer = device.createBuffer({
      size: 4,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    device.popErrorScope().catch(() => {});
    await pump.hurry(device, buffer.mapAsync(GPUMapMode.READ));
    buffer.destroy();
    return true;
  } catch {
    return false;
  }
}

/** @returns a promise of false if the context refuses a tensor because it is lost */
export async function context_works(context) {
  try {
    const tensor = await context.createTensor({ dataType: 'float32', shape: [1] });
    tensor.destroy();
    return true;
  } catch (thrown) {
    return thrown?.name !== 'InvalidStateError';
  }
}
