// The worker page in real browsers: every kind of message, every kind of operation, every way in
// which it is told to stop. One page per browser; the tests of a browser build on each other, in
// order.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser, reason_to_skip } from './harness/browsers.mjs';
import { Kind } from '../../src/web/protocol.js';
import { PageHost, is_installed } from './harness/page_host.mjs';
import { assert_outputs, samples_of } from './harness/model_samples.mjs';

const double_wgsl = `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> unused: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = 2 * x[id.x]; }
}`;

const frame_bytes_max = 4 << 20;

const floats = (name, values) => ({
  name,
  dtype: 'float32',
  shape: [values.length],
  data: Float32Array.from(values),
});

for (const [name, trait] of Object.entries({
  'chromium-headless-shell': { engine: 'chromium', has_gpu_process: true },
  chromium: { engine: 'chromium', has_gpu_process: true },
  firefox: { engine: 'firefox', has_gpu_process: false },
})) {
  const skip = reason_to_skip(name) || (!is_installed && 'run `npm ci` in src/web first');

  describe(name, { skip }, () => {
    let host;
    let browser;
    let control;
    let data;
    let last_id = 0;

    const run = (operation, header = {}, tensors = []) => {
      const id = ++last_id;
      data.send(Kind.run, { id, attempt: 1, operation, ...header }, tensors);
      return id;
    };
    const answer_of = async (operation, header, tensors) =>
      data.take_answer(run(operation, header, tensors));
    const load = (model, providers, url = `models/${model}`) => {
      const id = ++last_id;
      data.send(Kind.load_model, { id, model, url, bytes: 0, providers });
      return id;
    };
    const infer = (model, sample) => run('inference', { model }, sample.inputs);

    /** The code of an error answer whose message says `pattern`. */
    const assert_error = ({ kind, header }, code, pattern) => {
      assert.equal(kind, Kind.error, `not refused: ${JSON.stringify(header)}`);
      assert.equal(header.code, code, header.message);
      assert.match(header.message, pattern);
    };
    const assert_ready = ({ kind, header }, provider) => {
      assert.equal(kind, Kind.ready, JSON.stringify(header));
      assert.equal(header.provider, provider);
    };
    const assert_inferences = async (model, provider) => {
      const samples = samples_of(model);
      const ids = samples.map((sample) => infer(model, sample)); // all outstanding at once
      for (const [i, id] of ids.entries()) {
        const { kind, header, tensors } = await data.take_answer(id);
        assert.equal(kind, Kind.result, JSON.stringify(header));
        assert.equal(header.provider, provider);
        assert.equal(header.attempt, 1);
        assert.ok(header.compute_ms >= 0 && header.queue_ms >= 0);
        assert_outputs(tensors, samples[i].outputs);
      }
    };

    before(async () => {
      host = new PageHost();
      await host.listen();
      browser = new Browser(name, `${host.page_url}?frame_bytes_max=${frame_bytes_max}`);
      [control, data] = await Promise.all([
        host.connection('control'),
        host.connection('data'),
      ]).catch((error) => {
        throw new Error(`${error.message}; ${name} wrote: ${browser.words}`);
      });
    });
    after(async () => {
      await browser?.close();
      await host?.close();
    });

    test('says hello on both connections with what it can really do', () => {
      assert.equal(control.hello.role, 'control');
      assert.equal(data.hello.role, 'data');
      for (const hello of [control.hello, data.hello]) {
        assert.equal(hello.token, host.token);
        assert.equal(hello.protocol, 1);
        assert.equal(hello.realm, 1);
        assert.equal(hello.engine.name, trait.engine);
        assert.match(hello.engine.version, /^\d+\.\d+/);
      }
      assert.equal(control.hello.capabilities, undefined);
      const { webgpu, webnn, wasm, cross_origin_isolated } = data.hello.capabilities;
      assert.equal(cross_origin_isolated, true);
      assert.deepEqual(wasm, { simd: true, threads: true });
      assert.equal(webgpu.available, true);
      assert.equal(webgpu.is_fallback_adapter, true); // this test's flags ask for software
      assert.ok(webgpu.limits.maxBufferSize >= 1 << 26);
      assert.equal(webnn.available, false);
    });

    test('echo gives every data type back unchanged, small and large', async () => {
      const bytes = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 31) >> 3);
      const tensors = [
        floats('x', [1.5, -0, NaN]),
        { name: 'empty', dtype: 'int64', shape: [0, 3], data: new BigInt64Array(0) },
        { name: 'flags', dtype: 'bool', shape: [3], data: new Uint8Array([1, 0, 1]) },
        { name: 'large', dtype: 'uint8', shape: [1 << 20], data: bytes },
      ];
      const { kind, header, tensors: echoed } = await answer_of('echo', {}, tensors);
      assert.equal(kind, Kind.result);
      assert.equal(header.attempt, 1);
      assert.deepEqual(
        echoed.map(({ name: n, dtype, shape }) => ({ name: n, dtype, shape })),
        tensors.map(({ name: n, dtype, shape }) => ({ name: n, dtype, shape })),
      );
      tensors.forEach((tensor, i) => assert.deepEqual(echoed[i].data, tensor.data));
      assert.deepEqual((await answer_of('echo')).tensors, []);
    });

    test('loads a model with progress and runs it on WebAssembly', async () => {
      const id = load('mlp', ['webnn', 'wasm']);
      const ready = await data.take_answer(id);
      assert_ready(ready, 'wasm'); // webnn is skipped, since the probe got no context
      assert.deepEqual(ready.header.inputs, [{ name: 'x', dtype: 'float32', shape: [1, 128] }]);
      assert.deepEqual(ready.header.outputs, [
        { name: 'probabilities', dtype: 'float32', shape: [1, 10] },
      ]);
      assert.ok(ready.header.create_ms > 0);
      const fetched = await data.take(
        'fetch progress',
        ({ kind, header }) =>
          kind === Kind.progress && header.phase === 'fetch' && header.loaded === header.total,
      );
      assert.equal(fetched.header.id, id);
      assert.ok(fetched.header.total > 100_000);
      await data.take(
        'create progress',
        ({ kind, header }) => kind === Kind.progress && header.phase === 'create',
      );
      await assert_inferences('mlp', 'wasm');
    });

    test('runs models on WebGPU and says so', async () => {
      for (const model of ['tiny_encoder', 'small_cnn']) {
        const ready = await data.take_answer(load(model, ['webgpu']));
        assert_ready(ready, 'webgpu');
        assert.equal(ready.header.is_fallback_adapter, true);
        await assert_inferences(model, 'webgpu');
      }
      await assert_inferences('mlp', 'wasm'); // both providers side by side
    });

    test('names what is wrong with an input, a model or a file', async () => {
      const x = { name: 'x', dtype: 'float32', shape: [1, 127], data: new Float32Array(127) };
      assert_error(
        await answer_of('inference', { model: 'mlp' }, [x]),
        'invalid_input',
        /'mlp', input 'x': expected x float32\[1,128\], got x float32\[1,127\]/,
      );
      assert_error(await answer_of('inference', { model: 'bert' }, [x]), 'unknown_model', /'bert'/);
      assert_error(await data.take_answer(load('absent', ['wasm'])), 'model_file_missing', /404/);
      assert_error(
        await data.take_answer(load('corrupt', ['webgpu', 'wasm'])),
        'model_rejected',
        /protobuf/i,
      );
      assert_error(await data.take_answer(load('mlp', ['webnn'])), 'provider_unavailable', /WebNN/);
      await assert_inferences('mlp', 'wasm'); // none of this did any harm
    });

    test('forgets a model that is unloaded', async () => {
      const id = ++last_id;
      data.send(Kind.unload_model, { id, model: 'small_cnn' });
      const { header } = await data.take_answer(id);
      assert.deepEqual(header, { id, model: 'small_cnn', unloaded: true });
      const [sample] = samples_of('small_cnn');
      assert_error(
        await data.take_answer(infer('small_cnn', sample)),
        'unknown_model',
        /loaded: 'mlp'/,
      );
      assert_ready(await data.take_answer(load('small_cnn', ['webgpu'])), 'webgpu');
      await assert_inferences('small_cnn', 'webgpu');
    });

    test('runs a shader of the caller, twice from one compilation', async () => {
      const parameters = {
        wgsl: double_wgsl,
        entry_point: 'main',
        workgroups: [2, 1, 1],
        outputs: [{ name: 'y', dtype: 'float32', shape: [5] }],
      };
      const unused = { name: 'unused', dtype: 'uint8', shape: [3], data: new Uint8Array(3) };
      for (const values of [
        [1, 2, 3, 4, 5],
        [-1, 0.5, 0, 8, 9],
      ]) {
        const { kind, header, tensors } = await answer_of('compute', { parameters }, [
          floats('x', values),
          unused,
        ]);
        assert.equal(kind, Kind.result, JSON.stringify(header));
        assert.equal(header.provider, 'webgpu');
        assert.equal(header.is_fallback_adapter, true);
        assert.deepEqual(
          [...tensors[0].data],
          values.map((value) => 2 * value),
        );
      }
      const broken = { ...parameters, wgsl: 'fn main() {\n  nonsense();\n}' };
      assert_error(
        await answer_of('compute', { parameters: broken }),
        'operation_failed',
        /2:\d+ /,
      );
      const misnamed = { ...parameters, entry_point: 'absent' };
      assert_error(
        await answer_of('compute', { parameters: misnamed }, [floats('x', [1]), unused]),
        'operation_failed',
        /shader/,
      );
      assert_error(await answer_of('compute', { parameters: {} }), 'invalid_request', /'wgsl'/);
    });

    test('an answer larger than the host takes costs one operation and no more', async () => {
      const id_wgsl = `
        @group(0) @binding(0) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(1) fn main() { y[0] = 1; }`;
      const compute = (elements) =>
        answer_of('compute', {
          parameters: {
            wgsl: id_wgsl,
            outputs: [{ name: 'y', dtype: 'float32', shape: [elements] }],
          },
        });
      const largest = frame_bytes_max / 4;
      assert.equal((await compute(largest / 2)).kind, Kind.result);
      // Too large by its tensors, and only with its header.
      assert_error(await compute(2 * largest), 'message_too_large', /outputs of 8388608 bytes/);
      assert_error(await compute(largest), 'message_too_large', /the host takes 4194304/);
      await data.ping(9);
    });

    test('runs operation modules of the user', async () => {
      const module_url = 'modules/scale.js';
      const parameters = { factor: 3 };
      for (const calls of [1, 2]) {
        // imported once, so it counts on
        const { kind, header, tensors } = await answer_of('scale', { module_url, parameters }, [
          floats('x', [1, 2]),
        ]);
        assert.equal(kind, Kind.result, JSON.stringify(header));
        assert.deepEqual(header.info, { calls });
        assert.equal(header.provider, undefined);
        assert.deepEqual(
          [...new Float32Array(tensors[0].data.buffer, tensors[0].data.byteOffset, 2)],
          [3, 6],
        );
      }
      assert_error(
        await answer_of('scale', { module_url, parameters: { fail: 'too large' } }),
        'operation_failed',
        /RangeError: too large/,
      );
      assert_error(
        await answer_of('x', { module_url: 'modules/empty.js' }),
        'unknown_operation',
        /'run'/,
      );
      assert_error(
        await answer_of('x', { module_url: 'modules/absent.js' }),
        'operation_failed',
        /import/,
      );
      assert_error(await answer_of('x'), 'unknown_operation', /'x'/);
    });

    test('answers pings on the control connection while the compute thread is busy', async () => {
      const module_url = 'modules/spin.js';
      await answer_of('spin', { module_url, parameters: { ms: 0 } }); // it is imported now
      const spinning = run('spin', { module_url, parameters: { ms: 1500 } });
      data.send(Kind.ping, { sequence: 7 }); // behind it, in the same thread
      await control.ping(1);
      await control.ping(2);
      const { arrived } = await data.take_answer(spinning);
      const late = await data.take(
        'pong',
        ({ kind, header }) => kind === Kind.pong && header.sequence === 7,
      );
      assert.ok(late.arrived >= arrived, 'the compute thread answers its own pings');
      const before_end = await Promise.race([
        control.ping(3).then(() => 'pong'),
        data.ping(8).then(() => 'pong'),
      ]);
      assert.equal(before_end, 'pong');
    });

    test('drops a waiting run and stops a running module when they are cancelled', async () => {
      for (const words of [/cancelled before it ran/, /cancelled while it ran/]) {
        // The first time it is cancelled while its module is being imported.
        const waiting = run('wait', { module_url: 'modules/wait.js' });
        data.send(Kind.cancel, { id: waiting, attempt: 1 });
        assert_error(await data.take_answer(waiting), 'cancelled', words);
      }

      let release;
      host.hold_models = new Promise((resolve) => {
        release = resolve;
      });
      const loading = load('audio_conv', ['wasm']); // keeps the model lane busy until released
      const [sample] = samples_of('mlp');
      const [dropped, kept] = [infer('mlp', sample), infer('mlp', sample)];
      data.send(Kind.cancel, { id: dropped, attempt: 1 });
      assert_error(await data.take_answer(dropped), 'cancelled', /while waiting/);
      release();
      host.hold_models = null;
      assert_ready(await data.take_answer(loading), 'wasm');
      const { kind, header, tensors } = await data.take_answer(kept);
      assert.equal(kind, Kind.result);
      assert.ok(header.queue_ms > 0);
      assert_outputs(tensors, sample.outputs);
    });

    test('reports errors that nobody caught', async () => {
      await answer_of('stray', { module_url: 'modules/stray.js' });
      const { header } = await data.take_kind('event');
      assert.equal(header.type, 'unhandled_error');
      assert.match(header.message, /nobody catches this/);
    });

    test('a busy compute thread is replaced at once, and the next one works', async () => {
      run('spin', { module_url: 'modules/spin.js', parameters: { ms: 60_000 } });
      control.send(Kind.drain, { restart_compute: true });
      data = await host.connection('data');
      assert.equal(data.hello.realm, 2);
      assert_error(
        await data.take_answer(infer('mlp', samples_of('mlp')[0])),
        'unknown_model',
        /none/,
      );
      assert_ready(await data.take_answer(load('mlp', ['wasm'])), 'wasm');
      await assert_inferences('mlp', 'wasm');
      await control.ping(4);
    });

    test('a runtime that cannot be loaded is not the fault of a model', async () => {
      for (const [realm, path] of [
        [3, '/ort/ort.jspi.bundle.min.mjs'],
        [4, '/ort/ort-wasm-simd-threaded.jspi.wasm'],
      ]) {
        control.send(Kind.drain, { restart_compute: true });
        data = await host.connection('data');
        assert.equal(data.hello.realm, realm);
        host.refuse = path;
        assert_error(await data.take_answer(load('mlp', ['wasm'])), 'device_lost', /in this realm/);
        host.refuse = null;
        const { header } = await data.take_kind('event');
        assert.equal(header.type, 'device_lost');
      }
      control.send(Kind.drain, { restart_compute: true });
      data = await host.connection('data');
      assert_ready(await data.take_answer(load('mlp', ['wasm'])), 'wasm');
    });

    test('a run that fails learns from its device that it is lost, if nobody else tells', async () => {
      const lose = async () => {
        control.send(Kind.drain, { restart_compute: true });
        data = await host.connection('data');
        const { kind } = await answer_of('lose', { module_url: 'modules/lose_device.js' });
        assert.equal(kind, Kind.result);
      };
      await lose();
      assert_ready(await data.take_answer(load('tiny_encoder', ['webgpu'])), 'webgpu');
      const [sample] = samples_of('tiny_encoder');
      assert_error(await data.take_answer(infer('tiny_encoder', sample)), 'device_lost', /lost/);
      assert.equal((await data.take_kind('event')).header.type, 'device_lost');

      await lose();
      const parameters = {
        wgsl: double_wgsl,
        outputs: [{ name: 'y', dtype: 'float32', shape: [4] }],
      };
      const inputs = [floats('x', [1, 2, 3, 4]), floats('unused', [1])];
      const shaded = await answer_of('compute', { parameters }, inputs);
      assert_error(shaded, 'device_lost', /lost/);
      assert.equal((await data.take_kind('event')).header.type, 'device_lost');
      control.send(Kind.drain, { restart_compute: true });
      data = await host.connection('data');
    });

    test(
      'a lost GPU is told, every run is answered, and a new compute thread has it again',
      { skip: !trait.has_gpu_process && 'has no GPU process of its own' },
      async () => {
        assert_ready(await data.take_answer(load('tiny_encoder', ['webgpu'])), 'webgpu');
        const [sample] = samples_of('tiny_encoder');
        const ids = Array.from({ length: 30 }, () => infer('tiny_encoder', sample));
        const first = await data.take_answer(ids[0]);
        assert.equal(first.kind, Kind.result);
        assert.ok(browser.kill_child('gpu-process'));
        const answers = await Promise.all(ids.slice(1).map((id) => data.take_answer(id)));
        const lost = answers.filter(({ kind }) => kind === Kind.error);
        assert.ok(lost.length > 0);
        for (const error of lost) assert_error(error, 'device_lost', /lost|dead/);
        for (const { kind, tensors } of answers) {
          if (kind === Kind.result) assert_outputs(tensors, sample.outputs);
        }
        const { header } = await data.take_kind('event');
        assert.equal(header.type, 'device_lost');

        control.send(Kind.drain, { restart_compute: true });
        data = await host.connection('data');
        assert.equal(data.hello.realm, 9);
        assert_ready(await data.take_answer(load('tiny_encoder', ['webgpu'])), 'webgpu');
        await assert_inferences('tiny_encoder', 'webgpu');
      },
    );

    test(
      'a GPU lost under shaders is told to each of them as just that',
      { skip: !trait.has_gpu_process && 'has no GPU process of its own' },
      async () => {
        const parameters = {
          wgsl: double_wgsl.replace(
            'y[id.x] =',
            'for (var i = 0u; i < 4000u; i++) { y[id.x] += f32(i); } y[id.x] =',
          ),
          workgroups: [4096],
          outputs: [{ name: 'y', dtype: 'float32', shape: [16384] }],
        };
        const x = floats('x', new Float32Array(16384));
        const unused = { name: 'unused', dtype: 'uint8', shape: [3], data: new Uint8Array(3) };
        const ids = Array.from({ length: 30 }, () => run('compute', { parameters }, [x, unused]));
        assert.equal((await data.take_answer(ids[0])).kind, Kind.result);
        assert.ok(browser.kill_child('gpu-process'));
        const answers = await Promise.all(ids.slice(1).map((id) => data.take_answer(id)));
        const lost = answers.filter(({ kind }) => kind === Kind.error);
        assert.ok(lost.length > 0);
        for (const error of lost) assert_error(error, 'device_lost', /lost/);
        const { header } = await data.take_kind('event');
        assert.equal(header.type, 'device_lost');
      },
    );

    test('draining, it takes nothing new and goes on answering pings', async () => {
      control.send(Kind.drain, { restart_compute: false });
      await control.ping(5);
      // The word has to travel to the compute thread; from then on every answer is the same.
      let refused;
      do refused = await answer_of('echo');
      while (refused.kind !== Kind.error);
      assert_error(refused, 'pool_draining', /takes no more/);
      await data.ping(30);
    });

    test('a frame that is no message ends the connection, with a reason', async () => {
      data.send_raw(new Uint8Array(64));
      assert_error(await data.take_kind('error'), 'protocol_error', /malformed/);
      await data.take_kind('bye');
      await assert.rejects(data.take_kind('nothing more'), /closed/);
      await control.ping(6); // the other connection is untouched
    });

    test('the strict Content-Security-Policy was never violated', () => {
      // Firefox asks for an icon by itself; that it may not have one is right.
      assert.deepEqual(
        host.violations.filter((report) => !report.includes('/favicon.ico')),
        [],
      );
      const refused = host.refused_paths.filter((path) => !/favicon|absent|^\/ort\//.test(path));
      assert.deepEqual(refused, []);
    });
  });
}
