// Everpool worker page: what this browser can do, found by trying.
// SPDX-License-Identifier: BSL-1.0
//
// That an API exists proves nothing: navigator.gpu may give no adapter, an adapter no device, and
// navigator.ml may reject every context. So each is asked for the real thing. Every probe has a
// time limit, because a driver that hangs must not keep the page from saying hello.

import { adapter_pause_ms, adapter_tries_max, probe_ms_max } from './limits.js';
import { bounded_text, words_of } from './operation_error.js';

/** (module (func (drop (i32x4.splat (i32.const 1))))): valid where the browser has SIMD. */
const simd_module = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 1, 253, 17, 26,
  11,
]);

/** (module (memory 1 1 shared) (func (atomic.fence))): valid where it has threads. */
const threads_module = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 5, 4, 1, 3, 1, 1, 10, 7, 1, 5, 0, 254,
  3, 0, 11,
]);

const device_types = ['cpu', 'gpu', 'npu'];

/** `probe`'s value, or `otherwise(words)` if it throws or takes too long. */
export async function within(probe, otherwise, ms_max = probe_ms_max) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(otherwise(`no answer within ${ms_max} ms`)), ms_max);
  });
  try {
    const answer = Promise.resolve(probe()).catch((thrown) => otherwise(words_of(thrown)));
    return await Promise.race([answer, late]);
  } catch (thrown) {
    return otherwise(words_of(thrown));
  } finally {
    clearTimeout(timer);
  }
}

/** The adapter's limits as plain numbers. */
export function limits_of(limits) {
  const numbers = {};
  for (const name in limits) {
    const value = limits[name];
    if (Number.isSafeInteger(value) && value >= 0) numbers[name] = value;
  }
  return numbers;
}

/**
 * A WebGPU adapter, or null. Chromium gives none while its GPU process is still starting, although
 * it will have one a moment later (seen in one of thirty starts); so it is asked more than once.
 */
export async function request_adapter(gpu) {
  for (let tries = 1; ; ++tries) {
    const adapter = await gpu.requestAdapter();
    if (adapter || tries === adapter_tries_max) return adapter;
    await new Promise((resolve) => setTimeout(resolve, adapter_pause_ms));
  }
}

const unavailable = (reason) => ({ available: false, reason });

async function probe_webgpu({ navigator }) {
  if (!navigator.gpu) return unavailable('there is no navigator.gpu');
  const adapter = await request_adapter(navigator.gpu);
  if (!adapter) return unavailable('requestAdapter gave none');
  const info = adapter.info ?? {};
  const found = {
    available: true,
    vendor: info.vendor ?? '',
    architecture: info.architecture ?? '',
    device: info.device ?? '',
    description: info.description ?? '',
    is_fallback_adapter: info.isFallbackAdapter ?? adapter.isFallbackAdapter ?? false,
    limits: limits_of(adapter.limits),
  };
  const device = await adapter.requestDevice();
  device.destroy();
  return found;
}

const without_webnn = (reason) => ({ ...unavailable(reason), device_types: [] });

async function probe_webnn({ navigator }) {
  if (!navigator.ml) return without_webnn('there is no navigator.ml');
  const refusal_of = (type) =>
    within(
      async () => {
        const context = await navigator.ml.createContext({ deviceType: type });
        context.destroy?.();
        return null;
      },
      (words) => words,
    );
  const refusals = await Promise.all(device_types.map(refusal_of));
  const types = device_types.filter((_, i) => refusals[i] === null);
  return types.length > 0
    ? { available: true, device_types: types }
    : without_webnn(bounded_text(refusals[0], 200));
}

/**
 * As the hello message carries it, with a `reason` beside what is not available. `scope` is
 * globalThis; `heap_bytes_max` only a window knows.
 */
export async function probe_capabilities(scope, heap_bytes_max = 0) {
  const validates = (bytes) => {
    try {
      return scope.WebAssembly.validate(bytes);
    } catch {
      return false;
    }
  };
  const is_isolated = scope.crossOriginIsolated === true;
  const has_shared_memory = is_isolated && typeof scope.SharedArrayBuffer === 'function';
  const [webgpu, webnn] = await Promise.all([
    within(
      () => probe_webgpu(scope),
      (words) => unavailable(bounded_text(words, 200)),
    ),
    probe_webnn(scope),
  ]);
  return {
    webgpu,
    webnn,
    wasm: { simd: validates(simd_module), threads: has_shared_memory && validates(threads_module) },
    memory: {
      device_memory_gib: scope.navigator.deviceMemory ?? 0,
      js_heap_bytes_max: heap_bytes_max,
    },
    cross_origin_isolated: is_isolated,
  };
}
