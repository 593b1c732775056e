// Who the page is, what it can do, and how it reaches the host. Pure parts of the page.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Connection, frame_bytes_max_of, socket_url, token_of } from '../../src/web/connection.js';
import { adapter_tries_max, connect_tries_max } from '../../src/web/limits.js';
import { engine_from } from '../../src/web/engine.js';
import { limits_of, probe_capabilities, within } from '../../src/web/capabilities.js';

describe('capabilities', () => {
  const scope = (extra) => ({ WebAssembly, crossOriginIsolated: false, navigator: {}, ...extra });

  test('without any API nothing is available, and nothing fails', async () => {
    const found = await probe_capabilities(scope());
    assert.deepEqual(found.webgpu, { available: false, reason: 'there is no navigator.gpu' });
    assert.equal(found.webnn.available, false);
    assert.deepEqual(found.webnn.device_types, []);
    assert.deepEqual(found.wasm, { simd: true, threads: false }); // this node has SIMD
    assert.deepEqual(found.memory, { device_memory_gib: 0, js_heap_bytes_max: 0 });
  });

  test('APIs that exist but refuse are not available', async () => {
    const found = await probe_capabilities(
      scope({
        navigator: {
          gpu: { requestAdapter: async () => null },
          ml: {
            createContext: async () => {
              throw new Error('not supported on this platform');
            },
          },
        },
      }),
    );
    assert.deepEqual(found.webgpu, { available: false, reason: 'requestAdapter gave none' });
    assert.equal(found.webnn.available, false);
    assert.equal(found.webnn.reason, 'not supported on this platform');
  });

  test('an adapter that comes late is waited for, a little', async () => {
    for (const [late_by, available] of [
      [adapter_tries_max - 1, true],
      [adapter_tries_max, false],
    ]) {
      let tries = 0;
      const adapter = { limits: {}, requestDevice: async () => ({ destroy() {} }) };
      const gpu = { requestAdapter: async () => (++tries > late_by ? adapter : null) };
      const found = await probe_capabilities(scope({ navigator: { gpu } }));
      assert.equal(found.webgpu.available, available);
      assert.equal(tries, adapter_tries_max);
    }
  });

  test('an adapter without a device is not available', async () => {
    const found = await probe_capabilities(
      scope({
        navigator: {
          gpu: {
            requestAdapter: async () => ({
              limits: {},
              requestDevice: async () => {
                throw new Error('out of devices');
              },
            }),
          },
        },
      }),
    );
    assert.deepEqual(found.webgpu, { available: false, reason: 'out of devices' });
  });

  test('what works is described: adapter, limits, WebNN types that gave a context', async () => {
    const found = await probe_capabilities(
      scope({
        crossOriginIsolated: true,
        SharedArrayBuffer,
        navigator: {
          deviceMemory: 8,
          gpu: {
            requestAdapter: async () => ({
              info: { vendor: 'google', architecture: 'swiftshader', isFallbackAdapter: true },
              limits: { maxBufferSize: 1024, odd: 'x' },
              requestDevice: async () => ({ destroy() {} }),
            }),
          },
          ml: {
            createContext: async ({ deviceType }) => {
              if (deviceType === 'npu') throw new Error('none');
              return {};
            },
          },
        },
      }),
      4096,
    );
    assert.deepEqual(found.webgpu, {
      available: true,
      vendor: 'google',
      architecture: 'swiftshader',
      device: '',
      description: '',
      is_fallback_adapter: true,
      limits: { maxBufferSize: 1024 },
    });
    assert.deepEqual(found.webnn, { available: true, device_types: ['cpu', 'gpu'] });
    assert.equal(found.wasm.threads, true);
    assert.deepEqual(found.memory, { device_memory_gib: 8, js_heap_bytes_max: 4096 });
    assert.equal(found.cross_origin_isolated, true);
  });

  test('a probe that hangs or throws has its time limit', async () => {
    const otherwise = (words) => `otherwise ${words}`;
    const bad = new Error('bad');
    const hangs = () => new Promise(() => {});
    const throws = () => {
      throw bad;
    };
    assert.equal(await within(hangs, otherwise, 5), 'otherwise no answer within 5 ms');
    assert.equal(await within(throws, otherwise), 'otherwise bad');
    assert.equal(await within(() => Promise.reject(bad), otherwise), 'otherwise bad');
    assert.equal(await within(async () => 'value', otherwise), 'value');
  });

  test('limits are plain sizes', () => {
    assert.deepEqual(limits_of({ a: 1, b: 2 ** 53, c: -1, d: NaN }), { a: 1 });
  });
});

describe('engine', () => {
  for (const [user_agent, brands, name, version] of [
    [
      'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0',
      [],
      'firefox',
      '153.0',
    ],
    [
      'Mozilla/5.0 (X11) AppleWebKit/537.36 HeadlessChrome/156.0.0.0 Safari/537.36',
      [],
      'chromium',
      '156.0.0.0',
    ],
    [
      'Mozilla/5.0 Chrome/156.0.0.0 Safari/537.36',
      [
        { brand: 'Not A Brand', version: '8' },
        { brand: 'Chromium', version: '156.0.8078.79' },
      ],
      'chromium',
      '156.0.8078.79',
    ],
    [
      'Mozilla/5.0 Chrome/156.0.0.0',
      [
        { brand: 'Chromium', version: '156.0.1.2' },
        { brand: 'Google Chrome', version: '156.0.1.3' },
      ],
      'chrome',
      '156.0.1.3',
    ],
    ['Mozilla/5.0 Chrome/156.0.0.0 Safari/537.36 Edg/156.1.0.0', [], 'edge', '156.1.0.0'],
    [
      'Mozilla/5.0 (X11) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15',
      [],
      'webkit',
      '26.0',
    ],
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
    constructor(url, protocol) {
      Object.assign(this, { url, protocol });
      FakeSocket.all.push(this);
    }
    send(bytes) {
      this.sent.push(bytes);
    }
    close() {
      this.readyState = 3;
    }
    open() {
      this.readyState = 1;
      this.onopen();
    }
    lose() {
      this.readyState = 3;
      this.onclose();
    }
  }
  const connect = () => {
    FakeSocket.all = [];
    const told = [];
    const timers = [];
    const connection = new Connection(
      'ws://x',
      {
        on_open: () => told.push('open'),
        on_frame: (frame) => told.push(frame),
        on_text: () => told.push('text'),
        on_closed: (was_open) => told.push(`closed ${was_open}`),
      },
      { WebSocket: FakeSocket, setTimeout: (action) => timers.push(action) },
    );
    return { connection, told, timers };
  };

  test("follows from the page's URL", () => {
    const page = 'http://127.0.0.1:8080/w/0a1b2c/?x#y';
    assert.equal(socket_url(page, 'data'), 'ws://127.0.0.1:8080/w/0a1b2c/data');
    assert.equal(socket_url('https://h/w/t/', 'control'), 'wss://h/w/t/control');
    assert.equal(token_of(page), '0a1b2c');
    assert.equal(token_of('http://127.0.0.1/'), '');
  });

  test('says how large a frame may be; what is no size is as nothing', () => {
    const page = 'http://127.0.0.1:8080/w/0a1b2c/';
    assert.equal(frame_bytes_max_of(`${page}?frame_bytes_max=65536`, 7), 65536);
    for (const said of ['', '?frame_bytes_max=', '?frame_bytes_max=-1', '?frame_bytes_max=x']) {
      assert.equal(frame_bytes_max_of(page + said, 7), 7);
    }
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
