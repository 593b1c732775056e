// Which build of onnxruntime-web a browser gets, and what it can use of its own then.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';

import { choose_providers } from '../../src/web/provider_choice.js';
import { choose_runtime, limit_to_runtime } from '../../src/web/runtime_choice.js';

const chromium = { Suspending: class {}, promising() {} };
const webkit = {};

const everything = {
  webgpu: { available: true, is_fallback_adapter: false },
  webnn: { available: true, device_types: ['cpu'] },
  wasm: { simd: true },
};

test('a browser with JSPI gets the build for all providers, and keeps what it has', () => {
  const build = choose_runtime(chromium);
  assert.match(build.module, /jspi/);
  assert.match(build.binary, /jspi/);
  assert.equal(limit_to_runtime(build, everything), everything);
});

test('a browser without JSPI, or with half of it, gets the plain build', () => {
  for (const web_assembly of [webkit, { Suspending: class {} }, { promising() {} }]) {
    const build = choose_runtime(web_assembly);
    assert.doesNotMatch(build.module, /jspi/);
    assert.doesNotMatch(build.binary, /jspi/);
  }
});

test('with the plain build models fall to WebAssembly, and the reason is told', () => {
  const capabilities = limit_to_runtime(choose_runtime(webkit), everything);
  const { usable, missing } = choose_providers(['webnn', 'webgpu', 'wasm'], capabilities);
  assert.deepEqual(usable, ['wasm']);
  assert.deepEqual(
    missing.map(({ provider }) => provider),
    ['webnn', 'webgpu'],
  );
  for (const { reason } of missing) assert.match(reason, /needs JSPI/);
  assert.equal(everything.webgpu.available, true); // the browser's own, which compute uses
});

test("what the browser itself has not got keeps the browser's reason", () => {
  const capabilities = limit_to_runtime(choose_runtime(webkit), {
    ...everything,
    webgpu: { available: false, reason: 'no navigator.gpu' },
  });
  assert.equal(capabilities.webgpu.reason, 'no navigator.gpu');
});

test('both builds are among the files that are embedded', () => {
  const dist = new URL('../../src/web/node_modules/onnxruntime-web/dist/', import.meta.url);
  for (const build of [choose_runtime(chromium), choose_runtime(webkit)])
    for (const path of [build.module, build.binary])
      assert.ok(existsSync(new URL(path.replace('/ort/', ''), dist)), path);
});
