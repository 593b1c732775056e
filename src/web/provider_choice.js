// Everpool worker page: which execution providers are worth trying, and what a failure means. Pure.
// SPDX-License-Identifier: BSL-1.0
//
// onnxruntime-web skips a provider of its list only if the browser lacks the whole API. Where
// navigator.ml exists but no context can be had, creating a session throws, list or no list; and
// where a list succeeds, it does not say which provider it was. So this page tries providers one by
// one, and only those that its own probes have seen at work.

/** Splits what a model's spec wants into {usable: [provider], missing: [{provider, reason}]}. */
export function choose_providers(wanted, capabilities) {
  const usable = [];
  const missing = [];
  for (const provider of new Set(wanted)) {
    const reason = reason_against(provider, capabilities);
    if (reason === null) usable.push(provider);
    else missing.push({ provider, reason });
  }
  return { usable, missing };
}

function reason_against(provider, { webgpu, webnn, wasm }) {
  switch (provider) {
    case 'webgpu':
      return webgpu.available ? null : `this browser gives no WebGPU device, ${webgpu.reason}`;
    case 'webnn':
      return webnn.available ? null : `this browser gives no WebNN context, ${webnn.reason}`;
    case 'wasm':
      return wasm.simd ? null : 'this browser has no WebAssembly SIMD';
    default:
      return 'no such provider';
  }
}

/** WebNN device types in the order in which they are tried: what is fastest where it is real. */
export function order_device_types(device_types) {
  return ['gpu', 'npu', 'cpu'].filter((type) => device_types.includes(type));
}

/** "webnn: this browser gives no WebNN context; wasm: ..." */
export function list_reasons(missing) {
  return missing.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ');
}

// The runtime's status codes, as it writes them into its messages.
const file_is_unreadable = /ERROR_CODE: (7|10)\b/; // invalid protobuf, invalid graph
// Also: bad argument, no such file, not implemented.
const file_is_refused = /ERROR_CODE: (2|3|7|9|10)\b/;

/** True if no provider could load the file, so that the others need not be tried. */
export function is_hopeless_file(words) {
  return file_is_unreadable.test(words);
}

const signs_of_death = [
  'unreachable',
  'memory access out of bounds',
  'table index is out of bounds',
  'null function or function signature mismatch',
  'Session already started',
  'another WebGPU EP inference session is being created',
  "previous call to 'initializeWebAssembly()' failed",
  'Aborted(', // its last word, also where its binary could not be fetched
  'dynamically imported module', // Chromium and Firefox, where its script could not be fetched
  'Importing a module script failed', // the same in WebKit
];

/**
 * True if the runtime itself is broken in this realm, which it says in these ways after it has lost
 * a device, has crashed or could not be loaded. Only a new compute thread helps.
 */
export function is_dead_runtime(words) {
  return signs_of_death.some((sign) => words.includes(sign));
}

/** The code of a model that no provider could load; `failures` are [{provider, reason}]. */
export function load_failure_code(failures) {
  if (failures.length === 0) return 'provider_unavailable';
  // What plain WebAssembly cannot load is the file's fault; of others only a status tells.
  const is_refused = failures.some(
    ({ provider, reason }) => provider === 'wasm' || file_is_refused.test(reason),
  );
  return is_refused ? 'model_rejected' : 'provider_unavailable';
}
