// WebNN for real: a Chromium whose build has it (Debian's has only the API) runs models on it under
// the page's strict Content-Security-Policy, and loses it.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser, reason_to_skip } from './harness/browsers.mjs';
import { Kind } from '../../src/web/protocol.js';
import { PageHost, is_installed } from './harness/page_host.mjs';
import { assert_outputs, samples_of } from './harness/model_samples.mjs';

const skip = reason_to_skip('webnn') || (!is_installed && 'run `npm ci` in src/web first');

describe('WebNN', { skip }, () => {
  let host;
  let browser;
  let control;
  let data;
  let last_id = 0;

  const load = (model, providers) => {
    const id = ++last_id;
    data.send(Kind.load_model, { id, model, url: `models/${model}`, bytes: 0, providers });
    return data.take_answer(id);
  };
  const infer = (model, { inputs }) => {
    const id = ++last_id;
    data.send(Kind.run, { id, attempt: 1, operation: 'inference', model }, inputs);
    return data.take_answer(id);
  };

  before(async () => {
    host = new PageHost();
    await host.listen();
    browser = new Browser('webnn', host.page_url);
    [control, data] = await Promise.all([
      host.connection('control'),
      host.connection('data'),
    ]).catch((error) => {
      throw new Error(`${error.message}; the browser wrote: ${browser.words}`);
    });
  });
  after(async () => {
    await browser?.close();
    await host?.close();
  });

  test('is offered with the device types that gave a context', () => {
    const { webnn } = data.hello.capabilities;
    assert.equal(webnn.available, true);
    assert.ok(webnn.device_types.includes('cpu'));
  });

  for (const model of ['mlp', 'small_cnn', 'audio_conv', 'tiny_encoder']) {
    test(`is the provider that ${model} runs on, with the right outputs`, async () => {
      const ready = await load(model, ['webnn', 'webgpu', 'wasm']);
      assert.equal(ready.kind, Kind.ready, JSON.stringify(ready.header));
      assert.equal(ready.header.provider, 'webnn');
      for (const sample of samples_of(model)) {
        const { kind, header, tensors } = await infer(model, sample);
        assert.equal(kind, Kind.result, JSON.stringify(header));
        assert.equal(header.provider, 'webnn');
        assert.equal(header.is_fallback_adapter, false);
        assert_outputs(tensors, sample.outputs);
      }
    });
  }

  test('stands beside WebGPU and WebAssembly in one compute thread', async () => {
    for (const provider of ['webgpu', 'wasm', 'webnn']) {
      const ready = await load('mlp', [provider]);
      assert.equal(ready.header.provider, provider, JSON.stringify(ready.header));
      const [sample] = samples_of('mlp');
      assert_outputs((await infer('mlp', sample)).tensors, sample.outputs);
    }
  });

  test('that is lost is told, and the same compute thread has it again', async () => {
    await load('mlp', ['webnn']);
    assert.ok(browser.kill_child('gpu-process')); // where WebNN lives in Chromium
    const { header } = await data.take_kind('event');
    assert.equal(header.type, 'context_lost');
    const refused = await infer('mlp', samples_of('mlp')[0]);
    assert.equal(refused.header.code, 'unknown_model', JSON.stringify(refused.header));
    assert.equal((await load('mlp', ['webnn'])).header.provider, 'webnn');
    const [sample] = samples_of('mlp');
    assert_outputs((await infer('mlp', sample)).tensors, sample.outputs);
  });

  test('is there in a new compute thread, too', async () => {
    control.send(Kind.drain, { restart_compute: true });
    data = await host.connection('data');
    assert.equal(data.hello.realm, 2);
    assert.equal((await load('mlp', ['webnn'])).header.provider, 'webnn');
    const [sample] = samples_of('mlp');
    assert_outputs((await infer('mlp', sample)).tensors, sample.outputs);
  });

  test('is tried by a run that fails, and told to be lost if nobody else tells', async () => {
    control.send(Kind.drain, { restart_compute: true });
    data = await host.connection('data');
    const order = { id: ++last_id, attempt: 1, operation: 'lose' };
    data.send(Kind.run, { ...order, module_url: 'modules/lose_context.js' }, []);
    assert.equal((await data.take_answer(last_id)).kind, Kind.result);
    assert.equal((await load('mlp', ['webnn'])).header.provider, 'webnn');
    const failed = await infer('mlp', samples_of('mlp')[0]);
    assert.equal(failed.header.code, 'device_lost', JSON.stringify(failed.header));
    assert.equal((await data.take_kind('event')).header.type, 'context_lost');
  });

  test('needs nothing that the strict Content-Security-Policy forbids', () => {
    assert.deepEqual(host.violations, []);
  });
});
