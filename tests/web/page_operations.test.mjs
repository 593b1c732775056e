// Operation modules, compute orders, tensors and the words of errors. Pure parts of the page.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Limits } from '../../src/web/protocol.js';
import { Modules, check_answer } from '../../src/web/modules.js';
import {
  OperationError,
  bounded_text,
  error_outcome,
  words_of,
} from '../../src/web/operation_error.js';
import { answer_fault, signature_fault } from '../../src/web/answer_check.js';
import { check_order, check_sizes } from '../../src/web/shaders.js';
import { signature_count_max } from '../../src/web/limits.js';
import { data_fault, element_count, tensor_bytes, typed_data } from '../../src/web/tensor_data.js';

const rejects_with = (code, pattern) => (error) => {
  assert.ok(error instanceof OperationError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, pattern);
  return true;
};

describe('texts for the host', () => {
  test('are bounded in bytes, not in the middle of a character', () => {
    assert.equal(bounded_text('short'), 'short');
    assert.equal(bounded_text('half \ud83d'), 'half \ufffd');
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
    assert.equal(
      words_of({
        toString() {
          throw new Error();
        },
      }),
      'something was thrown that cannot be shown',
    );
    assert.deepEqual(error_outcome(new OperationError('invalid_input', 'x')), {
      error: { code: 'invalid_input', message: 'x' },
    });
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
    assert.deepEqual(
      [...typed_data('uint16', new Uint8Array([9, 1, 0, 2, 0]).subarray(1))],
      [1, 2],
    );
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
    header: { operation: 'scale', module_url: 'modules/scale.js', ...header },
    tensors,
    controller: new AbortController(),
  });
  const modules = (module) => new Modules('http://127.0.0.1:1/w/t/', async () => module);

  test('get inputs by name and a context, and are imported once', async () => {
    const urls = [];
    const seen = [];
    const imported = new Modules('http://127.0.0.1:1/w/t/', async (url) => {
      urls.push(url);
      return {
        run: async (inputs, context) => {
          seen.push([inputs, context]);
          return { outputs: {} };
        },
      };
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
    await assert.rejects(
      modules({}).run(task({})),
      rejects_with('unknown_operation', /exports no function 'run'/),
    );
    await assert.rejects(
      modules({}).run(task({ module_url: '' })),
      rejects_with('unknown_operation', /'scale' is neither/),
    );
  });

  test('a failed import is tried again the next time', async () => {
    let tries = 0;
    const imported = new Modules('http://127.0.0.1:1/w/t/', async () => {
      if (++tries === 1) throw new SyntaxError('unexpected token');
      return { run: () => ({ outputs: [] }) };
    });
    await assert.rejects(
      imported.run(task({})),
      rejects_with('operation_failed', /unexpected token/),
    );
    assert.deepEqual((await imported.run(task({}))).tensors, []);
  });

  test('an exception after the cancel is the cancel', async () => {
    const cancelled = task({});
    const running = modules({
      run: (_, { signal }) =>
        new Promise((_r, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    }).run(cancelled);
    await new Promise(setImmediate);
    cancelled.controller.abort();
    await assert.rejects(running, rejects_with('cancelled', /AbortError/));
  });

  test('one that was cancelled during its import is not run', async () => {
    const cancelled = task({});
    cancelled.controller.abort();
    await assert.rejects(
      modules({ run: () => assert.fail('was run') }).run(cancelled),
      rejects_with('cancelled', /before it ran/),
    );
  });

  test('answers are checked before they are sent', () => {
    const y = { dtype: 'float32', shape: [2], data: new Float32Array([1, 2]) };
    const { tensors, info } = check_answer('op', {
      outputs: { y },
      info: { n: 1, half: '\ud800' },
    });
    assert.deepEqual(tensors[0].name, 'y');
    assert.deepEqual(info, { n: 1, half: '\ufffd' });
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
      // Objects, but not as JSON; the host would take such a message for a broken peer's.
      [{ outputs: {}, info: new Date(0) }, /info that is no object/],
      [{ outputs: {}, info: { toJSON: () => null } }, /info that is no object/],
      [{ outputs: {}, info: { toJSON: () => undefined } }, /info that is no JSON/],
    ]) {
      assert.throws(() => check_answer('op', answer), rejects_with('operation_failed', pattern));
    }
  });
});

describe('compute orders', () => {
  const good = {
    wgsl: '@compute fn main() {}',
    workgroups: [4, 2],
    outputs: [{ name: 'y', dtype: 'float32', shape: [3] }],
  };

  test('have defaults and sizes', () => {
    const order = check_order(good);
    assert.equal(order.entry_point, 'main');
    assert.deepEqual(order.outputs, [{ name: 'y', dtype: 'float32', shape: [3], bytes: 12 }]);
  });

  test('a bad one is an invalid request that names the parameter', () => {
    for (const [change, pattern] of [
      [{ wgsl: '' }, /'wgsl'/],
      [{ entry_point: 1 }, /'entry_point'/],
      [{ workgroups: [1, 2, 3, 4] }, /'workgroups'/],
      [{ workgroups: [-1] }, /'workgroups'/],
      [{ outputs: [] }, /'outputs'/],
      [{ outputs: [{ name: 'y', dtype: 'text', shape: [] }] }, /output 'y' has the unknown dtype/],
      [{ outputs: [{ name: 'y', dtype: 'int8', shape: [-1] }] }, /output 'y' has no shape/],
    ]) {
      assert.throws(
        () => check_order({ ...good, ...change }),
        rejects_with('invalid_request', pattern),
      );
    }
    assert.throws(() => check_order(undefined), rejects_with('invalid_request', /'wgsl'/));
  });

  test("what exceeds the device's limits is named", () => {
    const device = {
      limits: {
        maxStorageBufferBindingSize: 16,
        maxBufferSize: 64,
        maxStorageBuffersPerShaderStage: 2,
        maxComputeWorkgroupsPerDimension: 100,
      },
    };
    const input = { name: 'x', data: new Uint8Array(16) };
    check_sizes(device, check_order(good), [input]);
    const large = { name: 'large', data: new Uint8Array(17) };
    assert.throws(
      () => check_sizes(device, check_order(good), [large]),
      rejects_with('invalid_request', /'large' has 17 bytes/),
    );
    assert.throws(
      () => check_sizes(device, check_order(good), [input, input]),
      rejects_with('invalid_request', /3 tensors/),
    );
    assert.throws(
      () => check_sizes(device, check_order({ ...good, workgroups: [101] }), [input]),
      rejects_with('invalid_request', /101 workgroups/),
    );
  });
});

describe('answers on the wire', () => {
  const y = { name: 'y', dtype: 'uint8', shape: [1], data: new Uint8Array(1) };
  const nested = (levels) => (levels === 0 ? {} : { inner: nested(levels - 1) });

  test('within its limits are sent', () => {
    assert.equal(answer_fault({ tensors: [] }), null);
    assert.equal(answer_fault({ tensors: [y, y], info: nested(10) }), null);
  });

  test('the frame is as large as the host takes it', () => {
    const large = { ...y, shape: [70_000], data: new Uint8Array(70_000) };
    assert.equal(answer_fault({ tensors: [large] }, 100_000), null);
    assert.match(
      answer_fault({ tensors: [large] }, 64 << 10),
      /outputs of 70000 bytes; a frame takes 65536/,
    );
  });

  test('a model whose inputs or outputs it cannot describe is refused, by name', () => {
    const spec = { name: 'x', dtype: 'float32', shape: [1, -1] };
    assert.equal(signature_fault([spec, spec]), null);
    for (const [specs, pattern] of [
      [[spec, { ...spec, name: 'odd', dtype: 'string' }], /'odd' is of type string/],
      [[{ ...spec, name: 'n'.repeat(Limits.name_bytes_max + 1) }], /name of 1025 bytes/],
      [[{ ...spec, shape: Array(17).fill(1) }], /'x' has 17 dimensions; 16 at most/],
      [Array(signature_count_max + 1).fill(spec), /1025 of them; 1024 at most/],
    ]) {
      assert.match(signature_fault(specs), pattern);
    }
  });

  test('beyond one of them are refused, by name', () => {
    for (const [answer, pattern] of [
      [{ tensors: Array(Limits.tensor_count_max + 1).fill(y) }, /1025 outputs; 1024 at most/],
      [{ tensors: [{ ...y, name: 'n'.repeat(Limits.name_bytes_max + 1) }] }, /output 0: its name/],
      [{ tensors: [{ ...y, name: '\ud800' }] }, /its name is no text/],
      [{ tensors: [{ ...y, shape: Array(17).fill(1) }] }, /17 dimensions; 16 at most/],
      [{ tensors: [{ ...y, shape: [2] }] }, /has 2 bytes, its data 1/],
      [{ tensors: [], info: nested(20) }, /deeper than 16/],
      [
        { tensors: [], info: { text: 'x'.repeat(Limits.header_bytes_max) } },
        /an info of \d+ bytes/,
      ],
    ]) {
      assert.match(answer_fault(answer), pattern);
    }
  });
});
