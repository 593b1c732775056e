// Everpool worker page: which build of onnxruntime-web this browser can run. Pure.
// SPDX-License-Identifier: BSL-1.0
//
// The build for all three providers waits for the GPU inside WebAssembly, which takes JSPI
// (JavaScript promise integration). WebKit has none today; the plain build, which knows WebAssembly
// only, runs there. It is smaller, but not faster where both run.

const builds = {
  promising: {
    module: '/ort/ort.jspi.bundle.min.mjs',
    binary: '/ort/ort-wasm-simd-threaded.jspi.wasm',
    is_wasm_only: false,
  },
  plain: {
    module: '/ort/ort.wasm.bundle.min.mjs',
    binary: '/ort/ort-wasm-simd-threaded.wasm',
    is_wasm_only: true,
  },
};

/** The build for a browser whose WebAssembly object this is. */
export function choose_runtime(web_assembly) {
  const has_promises =
    typeof web_assembly.Suspending === 'function' && typeof web_assembly.promising === 'function';
  return has_promises ? builds.promising : builds.plain;
}

/** What of the browser's capabilities that build can use. */
export function limit_to_runtime(build, capabilities) {
  if (!build.is_wasm_only) return capabilities;
  const without = (found) =>
    found.available
      ? { ...found, available: false, reason: 'onnxruntime-web needs JSPI for it' }
      : found;
  return {
    ...capabilities,
    webgpu: without(capabilities.webgpu),
    webnn: without(capabilities.webnn),
  };
}
