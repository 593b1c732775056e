// The worker page's pure parts: what fits a model, which provider is tried, how texts are bounded.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Connection, socket_url, token_of } from '../../src/web/connection.js';
import { connect_tries_max } from '../../src/web/limits.js';
import { engine_from } from '../../src/web/engine.js';
import { fetch_model } from '../../src/web/model_fetch.js';
import { input_fault } from '../../src/web/input_check.js';
import { limits_of, probe_capabilities, within } from '../../src/web/capabilities.js';
import {
  choose_providers, is_dead_runtime, is_hopeless_file, load_failure_code, order_device_types,
} from '../../src/web/provider_choice.js';
import { Modules, check_answer } from '../../src/web/modules.js';
import { OperationError, bounded_text, error_outcome, words_of } from '../../src/web/operation_error.js';
import { check_order, check_sizes } from '../../src/web/shaders.js';
import { data_fault, element_count, tensor_bytes, typed_data } from '../../src/web/tensor_data.js';

const rejects_with = (code, pattern) => (error) => {
  assert.ok(error instanceof OperationError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, pattern);
  return true;
};

describe('inputs of a model', () => {
  const specs = [
    { name: 'x', dtype: 'float32', shape: [1, 128] }, { name: 'mask', dtype: 'int64', shape: [-1, 4] },
  ];
  const x = { name: 'x', dtype: 'float32', shape: [1, 128] };
  const mask = { name: 'mask', dtype: 'int64', shape: [7, 4] };

  test('are accepted in any order, free dimensions with any size', () => {
    assert.equal(input_fault('m', specs, [x, mask]), null);
    assert.equal(input_fault('m', specs, [{ ...mask, shape: [0, 4] }, x]), null);
    assert.equal(input_fault('m', [], []), null);
  });

  test('a wrong one is named, with what was expected and what was given', () => {
    assert.equal(input_fault('m', specs, [{ ...x, shape: [2, 128] }, mask]),
      "model 'm', input 'x': expected x float32[1,128], got x float32[2,128]");
    assert.equal(input_fault('m', specs, [x, { ...mask, dtype: 'int32' }]),
      "model 'm', input 'mask': expected mask int64[?,4], got mask int32[7,4]");
    assert.match(input_fault('m', specs, [{ ...x, shape: [128] }, mask]), /got x float32\[128\]/);
  });

  test('an unknown, missing or doubled one is named too', () => {
    assert.equal(input_fault('m', specs, [{ ...x, name: 'z' }]),
      "model 'm' has no input 'z'; it takes 'x', 'mask'");
    assert.match(input_fault('m', specs, [x]), /input 'mask' is missing; expected mask int64\[\?,4\]/);
    assert.match(input_fault('m', specs, [x, x, mask]), /input 'x' was given twice/);
  });
});

describe('choice of provider', () => {
  const capabilities = (webgpu, webnn, simd = true) => ({
    webgpu: { available: webgpu }, webnn: { available: webnn, device_types: [] }, wasm: { simd },
  });

  test('keeps the order of the spec and leaves out what the probes did not see work', () => {
    const wanted = ['webnn', 'webgpu', 'wasm'];
    assert.deepEqual(choose_providers(wanted, capabilities(true, true)).usable, wanted);
    const { usable, missing } = choose_providers(wanted, capabilities(true, false));
    assert.deepEqual(usable, ['webgpu', 'wasm']);
    assert.deepEqual(missing, [{ provider: 'webnn', reason: 'this browser gives no WebNN context' }]);
  });

  test('an unknown provider is missing, a repeated one is tried once', () => {
    const { usable, missing } = choose_providers(['wasm', 'wasm', 'cuda'], capabilities(false, false));
    assert.deepEqual(usable, ['wasm']);
    assert.deepEqual(missing, [{ provider: 'cuda', reason: 'no such provider' }]);
  });

  test('WebNN device types are tried in one order, whatever the probes said first', () => {
    assert.deepEqual(order_device_types(['cpu', 'gpu', 'npu']), ['gpu', 'npu', 'cpu']);
    assert.deepEqual(order_device_types(['cpu']), ['cpu']);
  });

  test('a failed load is blamed on the file or on the provider', () => {
    const corrupt = "Can't create a session. ERROR_CODE: 7, ERROR_MESSAGE: protobuf parsing failed.";
    assert.ok(is_hopeless_file(corrupt));
    assert.ok(!is_hopeless_file("Can't create a session. ERROR_CODE: 9, ERROR_MESSAGE: x"));
    assert.equal(load_failure_code([]), 'provider_unavailable');
    assert.equal(load_failure_code([{ provider: 'webgpu', reason: 'no adapter' }]), 'provider_unavailable');
    assert.equal(load_failure_code([{ provider: 'webgpu', reason: corrupt }]), 'model_rejected');
    assert.equal(load_failure_code([{ provider: 'wasm', reason: 'anything' }]), 'model_rejected');
  });

  test('a dead runtime is told from a bad model', () => {
    assert.ok(is_dead_runtime('RuntimeError: unreachable'));
    assert.ok(is_dead_runtime('Error: Session already started'));
    assert.ok(!is_dead_runtime("Can't create a session. ERROR_CODE: 7"));
  });
});

describe('texts for the host', () => {
  test('are bounded in bytes, not in the middle of a character', () => {
    assert.equal(bounded_text('short'), 'short');
    assert.equal(bounded_text('a'.repeat(1024)).length, 1024);
    const cut = bounded_text('\u00e4'.repeat(600)); // 1200 bytes
    assert.ok(new TextEncoder().encode(cut).length <= 1024);
    assert.match(cut, /^\u00e4+\.\.\.$/);
    assert.equal(bounded_text('\u{1f600}'.repeat(10), 12), '\u{1f600}\u{1f600}...');
  });

  test('whatever is thrown has words', () => {
    assert.equal(words_of(new TypeError('bad')), 'TypeError: bad');
    assert.equal(words_of(new Error('plain')), 'plain');
    assert.equal(words_of('text'), 'text');
    assert.equal(words_of(undefined), 'undefined');
    assert.equal(words_of({ toString() { throw new Error(); } }), 'something was thrown that cannot be shown');
    assert.deepEqual(error_outcome(new OperationError('invalid_input', 'x')),
      { error: { code: 'invalid_input', message: 'x' } });
    assert.equal(error_outcome(42).error.code, 'operation_failed');
  });
});

describe('tensors', () => {
  test('sizes follow from type and shape', () => {
    assert.equal(element_count([]), 1);
    assert.equal(element_count([2, 0, 3]), 0);
    assert.ok(Number.isNaN(element_count([2, -1])));
    assert.equal(tensor_bytes('int64', [2, 3]), 48);
    assert.ok(Number.isNaN(tensor_bytes('string', [1])));
    assert.ok(Number.isNaN(tensor_bytes('toString', [1])));
  });

  test('bytes become the typed array of their type, without a copy where they are aligned', () => {
    const bytes = new Uint8Array(16);
    bytes.set(new Uint8Array(new Float32Array([1.5]).buffer), 8);
    const view = typed_data('float32', bytes.subarray(8, 12));
    assert.ok(view instanceof Float32Array);
    assert.equal(view[0], 1.5);
    assert.equal(view.buffer, bytes.buffer);
    assert.deepEqual([...typed_data('uint16', new Uint8Array([9, 1, 0, 2, 0]).subarray(1))], [1, 2]);
    assert.ok(typed_data('float16', new Uint8Array(4)) instanceof Uint16Array);
  });

  test('a bad one is described', () => {
    const good = { name: 'y', dtype: 'float32', shape: [2], data: new Float32Array(2) };
    assert.equal(data_fault(good), null);
    assert.match(data_fault({ ...good, data: new Float32Array(3) }), /has 8 bytes, its data 12/);
    assert.match(data_fault({ ...good, dtype: 'float8' }), /dtype 'float8' is unknown/);
    assert.match(data_fault({ ...good, shape: [2.5] }), /shape \[2.5\]/);
    assert.match(data_fault({ ...good, data: [1, 2] }), /neither a typed array/);
    assert.match(data_fault({ ...good, name: undefined }), /name/);
    assert.match(data_fault(null), /no tensor/);
  });
});

describe('operation modules', () => {
  const task = (header, tensors = []) => ({
    header: { operation: 'scale', module_url: 'modules/scale.js', ...header }, tensors,
    controller: new AbortController(),
  });
  const modules = (module) => new Modules('http://127.0.0.1:1/w/t/', async () => module);

  test('get inputs by name and a context, and are imported once', async () => {
    const urls = [];
    const seen = [];
    const imported = new Modules('http://127.0.0.1:1/w/t/', async (url) => {
      urls.push(url);
      return { run: async (inputs, context) => { seen.push([inputs, context]); return { outputs: {} }; } };
    });
    const tensor = { name: 'x', dtype: 'uint8', shape: [1], data: new Uint8Array(1) };
    await imported.run(task({ parameters: { a: 1 }, model: 'mlp' }, [tensor]));
    await imported.run(task({}));
    assert.deepEqual(urls, ['http://127.0.0.1:1/w/t/modules/scale.js']);
    const [inputs, context] = seen[0];
    assert.deepEqual(Object.keys(inputs), ['x']);
    assert.deepEqual(context.parameters, { a: 1 });
    assert.equal(context.model, 'mlp');
    assert.equal(context.signal.aborted, false);
    assert.deepEqual(seen[1][1].parameters, {});
  });

  test('without a module or its run there is no such operation', async () => {
    await assert.rejects(modules({}).run(task({})), rejects_with('unknown_operation', /exports no function 'run'/));
    await assert.rejects(modules({}).run(task({ module_url: '' })), rejects_with('unknown_operation', /'scale' is neither/));
  });

  test('a failed import is tried again the next time', async () => {
    let tries = 0;
    const imported = new Modules('http://127.0.0.1:1/w/t/', async () => {
      if (++tries === 1) throw new SyntaxError('unexpected token');
      return { run: () => ({ outputs: [] }) };
    });
    await assert.rejects(imported.run(task({})), rejects_with('operation_failed', /unexpected token/));
    assert.deepEqual((await imported.run(task({}))).tensors, []);
  });

  test('an exception after the cancel is the cancel', async () => {
    const cancelled = task({});
    const running = modules({ run: (_, { signal }) => new Promise((_r, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    }) }).run(cancelled);
    await new Promise(setImmediate);
    cancelled.controller.abort();
    await assert.rejects(running, rejects_with('cancelled', /AbortError/));
  });

  test('one that was cancelled during its import is not run', async () => {
    const cancelled = task({});
    cancelled.controller.abort();
    await assert.rejects(modules({ run: () => assert.fail('was run') }).run(cancelled),
      rejects_with('cancelled', /before it ran/));
  });

  test('answers are checked before they are sent', () => {
    const y = { dtype: 'float32', shape: [2], data: new Float32Array([1, 2]) };
    const { tensors, info } = check_answer('op', { outputs: { y }, info: { n: 1 } });
    assert.deepEqual(tensors[0].name, 'y');
    assert.deepEqual(info, { n: 1 });
    assert.equal(check_answer('op', { outputs: [{ name: 'z', ...y }] }).tensors[0].name, 'z');
    assert.deepEqual(check_answer('op', {}).tensors, []);
    const circle = {};
    circle.self = circle;
    for (const [answer, pattern] of [
      [undefined, /gave no \{outputs\} back/],
      [{ outputs: 3 }, /outputs that are no object/],
      [{ outputs: { y: { ...y, shape: [3] } } }, /bad output 'y': float32\[3\] has 12 bytes/],
      [{ outputs: [null] }, /bad output 0/],
      [{ outputs: {}, info: [1] }, /info that is no object/],
      [{ outputs: {}, info: circle }, /info that is no JSON/],
    ]) {
      assert.throws(() => check_answer('op', answer), rejects_with('operation_failed', pattern));
    }
  });
});

describe('compute orders', () => {
  const good = {
    wgsl: '@compute fn main() {}', workgroups: [4, 2],
    outputs: [{ name: 'y', dtype: 'float32', shape: [3] }],
  };

  test('have defaults and sizes', () => {
    const order = check_order(good);
    assert.equal(order.entry_point, 'main');
    assert.deepEqual(order.outputs, [{ name: 'y', dtype: 'float32', shape: [3], bytes: 12 }]);
  });

  test('a bad one is an invalid request that names the parameter', () => {
    for (const [change, pattern] of [
      [{ wgsl: '' }, /'wgsl'/], [{ entry_point: 1 }, /'entry_point'/], [{ workgroups: [1, 2, 3, 4] }, /'workgroups'/],
      [{ workgroups: [-1] }, /'workgroups'/], [{ outputs: [] }, /'outputs'/],
      [{ outputs: [{ name: 'y', dtype: 'text', shape: [] }] }, /output 'y' has the unknown dtype/],
      [{ outputs: [{ name: 'y', dtype: 'int8', shape: [-1] }] }, /output 'y' has no shape/],
    ]) {
      assert.throws(() => check_order({ ...good, ...change }), rejects_with('invalid_request', pattern));
    }
    assert.throws(() => check_order(undefined), rejects_with('invalid_request', /'wgsl'/));
  });

  test("what exceeds the device's limits is named", () => {
    const device = { limits: {
      maxStorageBufferBindingSize: 16, maxBufferSize: 64, maxStorageBuffersPerShaderStage: 2,
      maxComputeWorkgroupsPerDimension: 100,
    } };
    const input = { name: 'x', data: new Uint8Array(16) };
    check_sizes(device, check_order(good), [input]);
    const large = { name: 'large', data: new Uint8Array(17) };
    assert.throws(() => check_sizes(device, check_order(good), [large]), rejects_with('invalid_request', /'large' has 17 bytes/));
    assert.throws(() => check_sizes(device, check_order(good), [input, input]), rejects_with('invalid_request', /3 tensors/));
    assert.throws(() => check_sizes(device, check_order({ ...good, workgroups: [101] }), [input]),
      rejects_with('invalid_request', /101 workgroups/));
  });
});

describe('fetching a model', () => {
  const url = new URL('http://127.0.0.1:1/w/t/models/m');
  const answer = (parts, init) => async () => new Response(new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(new Uint8Array(part));
      controller.close();
    },
  }), init);

  test('gives the bytes whatever length was promised, and ends with full progress', async () => {
    for (const bytes of [0, 3, 5, 100]) {
      const progress = [];
      const file = await fetch_model(url, 'm', bytes, (...args) => progress.push(args),
        answer([[1, 2, 3], [4, 5]]));
      assert.deepEqual([...file], [1, 2, 3, 4, 5]);
      assert.deepEqual(progress.at(-1), ['fetch', 5, 5]);
    }
  });

  test('a refusal is a missing file, a broken connection may pass', async () => {
    await assert.rejects(fetch_model(url, 'm', 0, () => {}, answer([], { status: 404 })),
      rejects_with('model_file_missing', /'m': the host answered 404 for \/w\/t\/models\/m/));
    await assert.rejects(fetch_model(url, 'm', 0, () => {}, async () => { throw new TypeError('network'); }),
      rejects_with('worker_lost', /'m' could not be fetched: TypeError: network/));
  });
});

describe('capabilities', () => {
  const scope = (extra) => ({ WebAssembly, crossOriginIsolated: false, navigator: {}, ...extra });

  test('without any API nothing is available, and nothing fails', async () => {
    const found = await probe_capabilities(scope());
    assert.equal(found.webgpu.available, false);
    assert.deepEqual(found.webnn, { available: false, device_types: [] });
    assert.deepEqual(found.wasm, { simd: true, threads: false }); // this node has SIMD
    assert.deepEqual(found.memory, { device_memory_gib: 0, js_heap_bytes_max: 0 });
  });

  test('APIs that exist but refuse are not available', async () => {
    const found = await probe_capabilities(scope({ navigator: {
      gpu: { requestAdapter: async () => null },
      ml: { createContext: async () => { throw new Error('not supported on this platform'); } },
    } }));
    assert.equal(found.webgpu.available, false);
    assert.equal(found.webnn.available, false);
  });

  test('an adapter without a device is not available', async () => {
    const found = await probe_capabilities(scope({ navigator: { gpu: { requestAdapter: async () => ({
      limits: {}, requestDevice: async () => { throw new Error('out of devices'); },
    }) } } }));
    assert.equal(found.webgpu.available, false);
  });

  test('what works is described: adapter, limits, the WebNN types that gave a context', async () => {
    const found = await probe_capabilities(scope({
      crossOriginIsolated: true, SharedArrayBuffer,
      navigator: {
        deviceMemory: 8,
        gpu: { requestAdapter: async () => ({
          info: { vendor: 'google', architecture: 'swiftshader', isFallbackAdapter: true },
          limits: { maxBufferSize: 1024, odd: 'x' },
          requestDevice: async () => ({ destroy() {} }),
        }) },
        ml: { createContext: async ({ deviceType }) => {
          if (deviceType === 'npu') throw new Error('none');
          return {};
        } },
      },
    }), 4096);
    assert.deepEqual(found.webgpu, {
      available: true, vendor: 'google', architecture: 'swiftshader', device: '', description: '',
      is_fallback_adapter: true, limits: { maxBufferSize: 1024 },
    });
    assert.deepEqual(found.webnn, { available: true, device_types: ['cpu', 'gpu'] });
    assert.equal(found.wasm.threads, true);
    assert.deepEqual(found.memory, { device_memory_gib: 8, js_heap_bytes_max: 4096 });
    assert.equal(found.cross_origin_isolated, true);
  });

  test('a probe that hangs or throws has its time limit', async () => {
    assert.equal(await within(() => new Promise(() => {}), 'late', 5), 'late');
    assert.equal(await within(() => { throw new Error(); }, 'otherwise'), 'otherwise');
    assert.equal(await within(async () => { throw new Error(); }, 'otherwise'), 'otherwise');
    assert.equal(await within(async () => 'value', 'otherwise'), 'value');
  });

  test('limits are plain sizes', () => {
    assert.deepEqual(limits_of({ a: 1, b: 2 ** 53, c: -1, d: NaN }), { a: 1 });
  });
});

describe('engine', () => {
  for (const [user_agent, brands, name, version] of [
    ['Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0', [], 'firefox', '153.0'],
    ['Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36', [], 'chromium', '156.0.0.0'],
    ['Mozilla/5.0 Chrome/156.0.0.0 Safari/537.36', [{ brand: 'Not A Brand', version: '8' }, { brand: 'Chromium', version: '156.0.8078.79' }], 'chromium', '156.0.8078.79'],
    ['Mozilla/5.0 Chrome/156.0.0.0', [{ brand: 'Chromium', version: '156.0.1.2' }, { brand: 'Google Chrome', version: '156.0.1.3' }], 'chrome', '156.0.1.3'],
    ['Mozilla/5.0 Chrome/156.0.0.0 Safari/537.36 Edg/156.1.0.0', [], 'edge', '156.1.0.0'],
    ['Mozilla/5.0 (X11) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15', [], 'webkit', '26.0'],
    ['lynx', [], 'unknown', ''],
  ]) {
    test(`${name} ${version}`, () => {
      assert.deepEqual(engine_from(user_agent, brands), { name, version, user_agent });
    });
  }
});

describe('connection', () => {
  class FakeSocket {
    static all = [];
    readyState = 0;
    sent = [];
    constructor(url, protocol) { Object.assign(this, { url, protocol }); FakeSocket.all.push(this); }
    send(bytes) { this.sent.push(bytes); }
    close() { this.readyState = 3; }
    open() { this.readyState = 1; this.onopen(); }
    lose() { this.readyState = 3; this.onclose(); }
  }
  const connect = () => {
    FakeSocket.all = [];
    const told = [];
    const timers = [];
    const connection = new Connection('ws://x', {
      on_open: () => told.push('open'), on_frame: (frame) => told.push(frame),
      on_text: () => told.push('text'), on_closed: (was_open) => told.push(`closed ${was_open}`),
    }, { WebSocket: FakeSocket, setTimeout: (action) => timers.push(action) });
    return { connection, told, timers };
  };

  test("follows from the page's URL", () => {
    const page = 'http://127.0.0.1:8080/w/0a1b2c/?x#y';
    assert.equal(socket_url(page, 'data'), 'ws://127.0.0.1:8080/w/0a1b2c/data');
    assert.equal(socket_url('https://h/w/t/', 'control'), 'wss://h/w/t/control');
    assert.equal(token_of(page), '0a1b2c');
    assert.equal(token_of('http://127.0.0.1/'), '');
  });

  test('opening is tried a few times, then given up', () => {
    const { told, timers } = connect();
    for (let i = 0; i < connect_tries_max; ++i) {
      FakeSocket.all.at(-1).lose();
      timers.shift()?.();
    }
    assert.equal(FakeSocket.all.length, connect_tries_max);
    assert.deepEqual(told, ['closed false']);
  });

  test('one that was open and closes is never opened again', () => {
    const { told, timers } = connect();
    FakeSocket.all[0].open();
    FakeSocket.all[0].lose();
    assert.equal(timers.length, 0);
    assert.deepEqual(told, ['open', 'closed true']);
  });

  test('sends only while it is open, and nothing arrives after close()', () => {
    const { connection, told } = connect();
    connection.send('early');
    FakeSocket.all[0].open();
    connection.send('bytes');
    FakeSocket.all[0].onmessage({ data: 'text' });
    connection.close();
    connection.send('late');
    FakeSocket.all[0].onmessage({ data: new ArrayBuffer(1) });
    FakeSocket.all[0].onclose();
    assert.deepEqual(FakeSocket.all[0].sent, ['bytes']);
    assert.deepEqual(told, ['open', 'text']);
  });
});
