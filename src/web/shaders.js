// Everpool worker page: the `compute` operation, a WGSL shader given by the caller.
// SPDX-License-Identifier: BSL-1.0
//
// Bindings of group 0: the inputs first, in order, as read-only storage, then the outputs as
// read_write storage. The layout is written out rather than derived from the shader ("auto"),
// because a derived layout leaves out bindings that a shader does not use, and then the binding of
// all of them is refused.
//
// The device is made on first use, with all that the adapter has, since hello has promised its
// limits.

import { OperationError, words_of } from './operation_error.js';
import { device_works } from './device_trial.js';
import { bytes_of, is_data_type, tensor_bytes } from './tensor_data.js';
import { limits_of, request_adapter } from './capabilities.js';
import { pipelines_cached_max } from './limits.js';

const features_wanted = ['shader-f16', 'subgroups', 'float32-filterable'];

/** Buffers have whole words, and none is empty. */
const buffer_bytes = (bytes) => Math.max(4, Math.ceil(bytes / 4) * 4);

export class Shaders {
  #navigator;
  #webgpu; // Capabilities.webgpu
  #pump;
  #on_lost;
  #device = null; // promise of the device
  #lost = new WeakSet(); // devices whose loss has been told
  #pipelines = new Map(); // key -> promise of {pipeline, layout}; in order of use

  /** `on_lost(message)` when the device that was given out is gone. */
  constructor(navigator, webgpu, pump, on_lost) {
    this.#navigator = navigator;
    this.#webgpu = webgpu;
    this.#pump = pump;
    this.#on_lost = on_lost;
  }

  /** @returns the outcome of a run, see DataSession.on_done */
  async run(task) {
    const order = check_order(task.header.parameters);
    if (!this.#webgpu.available) {
      throw new OperationError(
        'provider_unavailable',
        `this browser gives no WebGPU device, ${this.#webgpu.reason}`,
      );
    }
    const device = await this.#get_device();
    check_sizes(device, order, task.tensors);
    try {
      const entry = await this.#get_pipeline(device, order, task.tensors.length);
      const started = performance.now();
      const tensors = await this.#execute(device, entry, order, task.tensors);
      return {
        tensors,
        provider: 'webgpu',
        is_fallback_adapter: this.#webgpu.is_fallback_adapter,
        compute_ms: performance.now() - started,
      };
    } catch (thrown) {
      // The run may have failed because the device is gone; then that is told first.
      if (!(await device_works(device, this.#pump))) this.#lose(device, words_of(thrown));
      throw thrown;
    }
  }

  #get_device() {
    this.#device ??= this.#make_device().catch((thrown) => {
      this.#device = null; // the next run asks again
      throw new OperationError('provider_unavailable', `no WebGPU device: ${words_of(thrown)}`);
    });
    return this.#device;
  }

  async #make_device() {
    const adapter = await request_adapter(this.#navigator.gpu);
    if (!adapter) throw new Error('requestAdapter gave none');
    const device = await adapter.requestDevice({
      requiredFeatures: features_wanted.filter((feature) => adapter.features.has(feature)),
      requiredLimits: requestable_limits(adapter.limits),
    });
    device.lost.then(({ reason, message }) => this.#lose(device, `${reason}: ${message}`));
    // Errors are collected by scopes; what escapes them belongs to no run.
    device.onuncapturederror = (event) => console.warn(words_of(event.error));
    return device;
  }

  #lose(device, words) {
    if (this.#lost.has(device)) return;
    this.#lost.add(device);
    this.#device = null;
    this.#pipelines.clear();
    this.#on_lost(`WebGPU device of the compute operation was lost (${words})`);
  }

  #get_pipeline(device, order, input_count) {
    const key = `${input_count} ${order.outputs.length} ${order.entry_point} ${order.wgsl}`;
    let entry = this.#pipelines.get(key);
    if (entry === undefined) {
      entry = compile(device, order, input_count);
      entry.catch(() => this.#pipelines.delete(key));
      if (this.#pipelines.size >= pipelines_cached_max) {
        this.#pipelines.delete(this.#pipelines.keys().next().value);
      }
    } else {
      this.#pipelines.delete(key);
    }
    this.#pipelines.set(key, entry); // last in order of use
    return entry;
  }

  async #execute(device, { pipeline, layout }, order, inputs) {
    const buffers = [];
    const make = (bytes, usage) => {
      const buffer = device.createBuffer({ size: buffer_bytes(bytes), usage });
      buffers.push(buffer);
      return buffer;
    };
    try {
      open_scopes(device);
      const bound = inputs.map(({ data }) => upload(device, make, bytes_of(data)));
      const results = order.outputs.map(({ bytes }) => ({
        storage: make(bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC),
        readback: make(bytes, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST),
      }));
      const entries = [...bound, ...results.map(({ storage }) => storage)].map(
        (buffer, binding) => ({ binding, resource: { buffer } }),
      );
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
      pass.dispatchWorkgroups(...order.workgroups);
      pass.end();
      for (const { storage, readback } of results) {
        encoder.copyBufferToBuffer(storage, 0, readback, 0, storage.size);
      }
      device.queue.submit([encoder.finish()]);
      const fault = close_scopes(device);
      const mapped = results.map(({ readback }) => readback.mapAsync(GPUMapMode.READ));
      const answers = Promise.all(mapped);
      answers.catch(() => {}); // if the scopes tell more, they are believed
      const words = await fault;
      if (words !== null)
        throw new OperationError('operation_failed', `the shader's run: ${words}`);
      await this.#pump.hurry(device, answers);
      return results.map(({ readback }, i) => download(readback, order.outputs[i]));
    } finally {
      for (const buffer of buffers) buffer.destroy();
    }
  }
}

/** The limits that requestDevice takes. */
function requestable_limits(limits) {
  const numbers = limits_of(limits);
  // Reported by some browsers, but refused as a requirement.
  delete numbers.minSubgroupSize;
  delete numbers.maxSubgroupSize;
  return numbers;
}

function upload(device, make, bytes) {
  const buffer = make(bytes.byteLength, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
  if (bytes.byteLength % 4 === 0) {
    device.queue.writeBuffer(buffer, 0, bytes);
  } else {
    const padded = new Uint8Array(buffer.size);
    padded.set(bytes);
    device.queue.writeBuffer(buffer, 0, padded);
  }
  return buffer;
}

function download(readback, { name, dtype, shape, bytes }) {
  const data = new Uint8Array(readback.getMappedRange().slice(0, bytes));
  return { name, dtype, shape, data };
}

const scopes = ['out-of-memory', 'internal', 'validation'];

function open_scopes(device) {
  for (const scope of scopes) device.pushErrorScope(scope);
}

/** Closes the scopes at once; the promise is of the first error's words, or of null. */
async function close_scopes(device) {
  const errors = await Promise.all(scopes.map(() => device.popErrorScope()));
  const error = errors.find((candidate) => candidate !== null);
  return error === undefined ? null : words_of(error);
}

async function compile(device, { wgsl, entry_point, outputs }, input_count) {
  open_scopes(device);
  const module = device.createShaderModule({ code: wgsl });
  const layout = device.createBindGroupLayout({
    entries: Array.from({ length: input_count + outputs.length }, (_, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: binding < input_count ? 'read-only-storage' : 'storage' },
    })),
  });
  const descriptor = {
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: entry_point },
  };
  const made = device.createComputePipelineAsync(descriptor).then(
    (pipeline) => ({ pipeline }),
    (thrown) => ({ words: words_of(thrown) }),
  );
  const fault = await close_scopes(device);
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter(({ type }) => type === 'error');
  if (errors.length > 0) {
    const lines = errors.map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}`);
    throw new OperationError(
      'operation_failed',
      `the shader does not compile: ${lines.join('; ')}`,
    );
  }
  const { pipeline, words } = await made;
  if (fault !== null || words !== undefined) {
    throw new OperationError('operation_failed', `the shader is refused: ${words ?? fault}`);
  }
  return { pipeline, layout };
}

/**
 * The `parameters` of a compute run, validated: {wgsl, entry_point, workgroups: [x, y, z], outputs:
 * [{name, dtype, shape, bytes}]}. Pure.
 */
export function check_order(parameters) {
  const fail = (what) => {
    throw new OperationError('invalid_request', `compute: ${what}`);
  };
  const { wgsl, entry_point = 'main', workgroups = [1], outputs } = parameters ?? {};
  if (typeof wgsl !== 'string' || wgsl === '') fail("parameter 'wgsl' must be the shader's source");
  if (typeof entry_point !== 'string') fail("parameter 'entry_point' must be a string");
  if (
    !Array.isArray(workgroups) ||
    workgroups.length < 1 ||
    workgroups.length > 3 ||
    !workgroups.every((count) => Number.isSafeInteger(count) && count >= 0)
  ) {
    fail("parameter 'workgroups' must be one to three counts");
  }
  if (!Array.isArray(outputs) || outputs.length === 0) {
    fail("parameter 'outputs' must list at least one output");
  }
  const checked = outputs.map((output, i) => {
    const { name, dtype, shape } = output ?? {};
    if (typeof name !== 'string') fail(`output ${i} has no name`);
    if (!is_data_type(dtype)) fail(`output '${name}' has the unknown dtype '${dtype}'`);
    if (!Array.isArray(shape) || Number.isNaN(tensor_bytes(dtype, shape))) {
      fail(`output '${name}' has no shape of sizes`);
    }
    return { name, dtype, shape, bytes: tensor_bytes(dtype, shape) };
  });
  return { wgsl, entry_point, workgroups, outputs: checked };
}

/** Says what is too large before the driver does, in words that name the culprit. Pure. */
export function check_sizes({ limits }, order, inputs) {
  const bytes_max = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  for (const { name, bytes } of [
    ...inputs.map((input) => ({ name: input.name, bytes: input.data.byteLength })),
    ...order.outputs,
  ]) {
    if (buffer_bytes(bytes) <= bytes_max) continue;
    throw new OperationError(
      'invalid_request',
      `compute: tensor '${name}' has ${bytes} bytes; this device binds ${bytes_max} at most`,
    );
  }
  const bindings = inputs.length + order.outputs.length;
  if (bindings > limits.maxStorageBuffersPerShaderStage) {
    throw new OperationError(
      'invalid_request',
      `compute: ${bindings} tensors; this device binds ` +
        `${limits.maxStorageBuffersPerShaderStage} at most`,
    );
  }
  const groups = order.workgroups.find((count) => count > limits.maxComputeWorkgroupsPerDimension);
  if (groups !== undefined) {
    throw new OperationError(
      'invalid_request',
      `compute: ${groups} workgroups in one dimension; ` +
        `this device takes ${limits.maxComputeWorkgroupsPerDimension} at most`,
    );
  }
}
