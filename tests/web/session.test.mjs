// What the page owes the host, without a page: the protocol state machines of src/web/session.js.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ControlSession, DataSession } from '../../src/web/session.js';
import { Kind } from '../../src/web/protocol.js';
import { early_events_max, tasks_held_max, text_bytes_max } from '../../src/web/limits.js';

const engine = { name: 'chromium', version: '1.2', user_agent: 'test' };
const capabilities = { webgpu: { available: false } };

const message = (kind, header, tensors = []) => ({ kind, header, tensors });
const run = (id, operation, extra = {}) =>
  message(Kind.run, { id, attempt: 1, operation, ...extra });
const load = (id, model = 'mlp') =>
  message(Kind.load_model, { id, model, url: `models/${model}`, bytes: 1, providers: ['wasm'] });
const cancel = (id, attempt = 1) => message(Kind.cancel, { id, attempt });
const done = { tensors: [], provider: 'wasm', is_fallback_adapter: false, compute_ms: 2 };

function greeted_session() {
  const session = new DataSession('secret', 1);
  session.hello(engine, capabilities);
  return session;
}

/** Compares actions by what they do and to whom. */
const told = (actions) =>
  actions.map((action) => {
    if (action.do === 'send') {
      const name = Object.keys(Kind).find((key) => Kind[key] === action.kind);
      const { id, code, sequence, type } = action.header;
      return [name, id ?? sequence ?? type, code].filter((part) => part !== undefined).join(' ');
    }
    const header = action.task?.header ?? action.message?.header;
    return header ? `${action.do} ${header.id}` : action.do;
  });

/** Starts are followed by their task, so that tests can end them. */
const started = (actions) => actions.find((action) => action.do === 'start').task;

describe('hello', () => {
  test('says who it is, and its capabilities on the data connection only', () => {
    const [data] = new DataSession('secret', 3).hello(engine, capabilities);
    assert.equal(data.kind, Kind.hello);
    assert.deepEqual(data.header, {
      role: 'data',
      token: 'secret',
      protocol: 1,
      realm: 3,
      engine,
      capabilities,
    });
    const [control] = new ControlSession('secret', 1).hello(engine);
    assert.deepEqual(control.header, {
      role: 'control',
      token: 'secret',
      protocol: 1,
      realm: 1,
      engine,
    });
  });

  test('is the first message: events from before wait for it, and only so many', () => {
    const session = new ControlSession('secret', 1);
    for (let i = 0; i < early_events_max + 5; ++i) {
      assert.deepEqual(session.event('page_hidden', ''), []);
    }
    const actions = told(session.hello(engine));
    assert.equal(actions[0], 'hello');
    assert.equal(actions.length, 1 + early_events_max);
    assert.deepEqual(told(session.event('page_visible', '')), ['event page_visible']);
  });
});

describe('both connections', () => {
  for (const [name, make] of [
    ['control', () => new ControlSession('t', 1)],
    ['data', () => new DataSession('t', 1)],
  ]) {
    test(`${name}: a ping is answered with its own number`, () => {
      assert.deepEqual(told(make().on_message(message(Kind.ping, { sequence: 41 }), 0)), [
        'pong 41',
      ]);
    });

    test(`${name}: what only the page may send is a protocol error and ends the connection`, () => {
      for (const kind of [
        Kind.hello,
        Kind.ready,
        Kind.result,
        Kind.progress,
        Kind.pong,
        Kind.event,
      ]) {
        const session = make();
        const actions = session.on_message(message(kind, {}), 0);
        assert.deepEqual(told(actions), ['error 0 protocol_error', 'bye', 'close']);
        assert.deepEqual(session.on_message(message(Kind.ping, { sequence: 1 }), 0), []);
      }
    });

    test(`${name}: a malformed frame is said once, bounded`, () => {
      const session = make();
      const actions = session.on_malformed('x'.repeat(5000));
      assert.deepEqual(told(actions), ['error 0 protocol_error', 'bye', 'close']);
      assert.ok(actions[0].header.message.length <= text_bytes_max);
      assert.deepEqual(session.on_malformed('again'), []);
    });

    test(`${name}: bye closes the connection without a word`, () => {
      assert.deepEqual(told(make().on_message(message(Kind.bye, { reason: 'r' }), 0)), ['close']);
    });
  }
});

describe('control', () => {
  test('drain with restart_compute starts the next realm, each time', () => {
    const session = new ControlSession('t', 1);
    const drain = message(Kind.drain, { restart_compute: true });
    assert.deepEqual(told(session.on_message(drain)), ['restart_compute']);
    assert.equal(session.realm, 2);
    session.on_message(drain);
    assert.equal(session.realm, 3);
  });

  test('drain without it only passes the word on', () => {
    const session = new ControlSession('t', 1);
    assert.deepEqual(told(session.on_message(message(Kind.drain, { restart_compute: false }))), [
      'drain_compute',
    ]);
    assert.equal(session.realm, 1);
  });

  test('operations do not belong there', () => {
    assert.deepEqual(told(new ControlSession('t', 1).on_message(run(1, 'echo'))), [
      'error 0 protocol_error',
      'bye',
      'close',
    ]);
  });
});

describe('data: order', () => {
  test('echo, shaders and modules begin at once, side by side', () => {
    const session = greeted_session();
    assert.deepEqual(told(session.on_message(run(1, 'echo'), 0)), ['echo 1']);
    assert.deepEqual(told(session.on_message(run(2, 'compute'), 0)), ['start 2']);
    assert.deepEqual(told(session.on_message(run(3, 'tokenize'), 0)), ['start 3']);
    assert.deepEqual(told(session.on_message(run(4, 'compute'), 0)), ['start 4']);
    assert.equal(session.task_count, 3); // an echo is over before it could be held
  });

  test('models run one after the other in order of arrival, a turn of the event loop apart', () => {
    const session = greeted_session();
    const first = started(session.on_message(load(1), 100));
    assert.deepEqual(session.on_message(run(2, 'inference'), 110), []);
    assert.deepEqual(session.on_message(run(3, 'inference'), 111), []);
    const ready = { provider: 'wasm', inputs: [], outputs: [] };
    assert.deepEqual(told(session.on_done(first, { ready })), ['ready 1', 'continue']);
    // In the gap nothing overtakes those that wait.
    assert.deepEqual(session.on_message(run(4, 'inference'), 112), []);
    const order = [];
    for (let now = 120; ; now += 10) {
      const actions = session.on_continue(now);
      if (actions.length === 0) break;
      const task = started(actions);
      order.push([task.header.id, task.queue_ms]);
      session.on_done(task, done);
    }
    assert.deepEqual(order, [
      [2, 10],
      [3, 19],
      [4, 28],
    ]);
    assert.equal(session.task_count, 0);
  });

  test('an idle model lane begins at once, and a needless continue does nothing', () => {
    const session = greeted_session();
    const task = started(session.on_message(run(1, 'inference'), 0));
    assert.deepEqual(session.on_continue(0), []);
    assert.deepEqual(told(session.on_done(task, done)), ['result 1']);
    assert.deepEqual(session.on_continue(1), []);
    assert.deepEqual(told(session.on_message(run(2, 'inference'), 2)), ['start 2']);
  });
});

describe('data: answers', () => {
  test('a result says what was used and where the time went', () => {
    const session = greeted_session();
    session.on_message(run(1, 'inference'), 0);
    const waiting = session.on_message(run(2, 'compute'), 5);
    const [{ header, tensors }] = session.on_done(started(waiting), {
      tensors: ['y'],
      provider: 'webgpu',
      is_fallback_adapter: true,
      compute_ms: 7.5,
    });
    assert.deepEqual(header, {
      id: 2,
      attempt: 1,
      is_fallback_adapter: true,
      queue_ms: 0,
      compute_ms: 7.5,
      provider: 'webgpu',
    });
    assert.deepEqual(tensors, ['y']);
  });

  test("a module's info is passed on, and no provider is invented for it", () => {
    const session = greeted_session();
    const task = started(session.on_message(run(1, 'tokenize'), 0));
    const [{ header }] = session.on_done(task, { tensors: [], info: { tokens: 3 }, compute_ms: 1 });
    assert.deepEqual(header.info, { tokens: 3 });
    assert.ok(!('provider' in header));
  });

  test('a failure is an error with its code, of load_model with attempt 0', () => {
    const session = greeted_session();
    const task = started(session.on_message(load(9), 0));
    const [{ kind, header }] = session.on_done(task, {
      error: { code: 'model_rejected', message: 'm' },
    });
    assert.equal(kind, Kind.error);
    assert.deepEqual(header, { id: 9, attempt: 0, code: 'model_rejected', message: 'm' });
  });

  test('a second end of the same task is ignored', () => {
    const session = greeted_session();
    const task = started(session.on_message(run(1, 'compute'), 0));
    session.on_done(task, done);
    assert.deepEqual(session.on_done(task, done), []);
  });

  test('a duplicate of a run that is held is ignored, another attempt is a run of its own', () => {
    const session = greeted_session();
    session.on_message(run(1, 'compute'), 0);
    assert.deepEqual(session.on_message(run(1, 'compute'), 1), []);
    assert.deepEqual(told(session.on_message(run(1, 'compute', { attempt: 2 }), 2)), ['start 1']);
  });

  test('progress is told while the model loads, and not after', () => {
    const session = greeted_session();
    const task = started(session.on_message(load(5), 0));
    const [{ header }] = session.on_progress(task, 'fetch', 10, 20);
    assert.deepEqual(header, { id: 5, model: 'mlp', phase: 'fetch', loaded: 10, total: 20 });
    session.on_done(task, { ready: {} });
    assert.deepEqual(session.on_progress(task, 'fetch', 20, 20), []);
  });

  test('a run without its fields is a protocol error', () => {
    for (const header of [
      { attempt: 1, operation: 'echo' },
      { id: 1, operation: 'echo' },
      { id: 1, attempt: 1 },
      { id: -1, attempt: 1, operation: 'echo' },
    ]) {
      const actions = greeted_session().on_message(message(Kind.run, header), 0);
      assert.deepEqual(told(actions), ['error 0 protocol_error', 'bye', 'close']);
    }
  });
});

describe('data: cancel', () => {
  test('a waiting run is dropped and answered cancelled', () => {
    const session = greeted_session();
    const first = started(session.on_message(run(1, 'inference'), 0));
    session.on_message(run(2, 'inference'), 0);
    session.on_message(run(3, 'inference'), 0);
    assert.deepEqual(told(session.on_message(cancel(2), 1)), ['error 2 cancelled']);
    session.on_done(first, done);
    assert.equal(started(session.on_continue(2)).header.id, 3);
  });

  test('a running one is told to stop and still answers', () => {
    const session = greeted_session();
    const task = started(session.on_message(run(1, 'tokenize'), 0));
    assert.deepEqual(told(session.on_message(cancel(1), 1)), ['abort 1']);
    assert.deepEqual(told(session.on_done(task, { error: { code: 'cancelled', message: '' } })), [
      'error 1 cancelled',
    ]);
  });

  test('an unknown, finished or differently numbered one is ignored', () => {
    const session = greeted_session();
    const task = started(session.on_message(run(1, 'tokenize'), 0));
    assert.deepEqual(session.on_message(cancel(1, 2), 1), []);
    assert.deepEqual(session.on_message(cancel(7), 1), []);
    session.on_done(task, done);
    assert.deepEqual(session.on_message(cancel(1), 1), []);
  });

  test('cancelling the last that waits leaves the lane usable', () => {
    const session = greeted_session();
    const task = started(session.on_message(run(1, 'inference'), 0));
    session.on_message(run(2, 'inference'), 0);
    assert.deepEqual(told(session.on_done(task, done)), ['result 1', 'continue']);
    session.on_message(cancel(2), 1);
    assert.deepEqual(told(session.on_message(run(3, 'inference'), 2)), ['start 3']);
    assert.deepEqual(session.on_continue(3), []);
  });
});

describe('data: a lost device', () => {
  test("the runtime's: model tasks are answered device_lost, once, and so are later ones", () => {
    const session = greeted_session();
    const running = started(session.on_message(run(1, 'inference'), 0));
    session.on_message(run(2, 'inference'), 0);
    session.on_message(run(3, 'compute'), 0);
    assert.deepEqual(told(session.on_device_lost('model', 'gone')), [
      'error 1 device_lost',
      'error 2 device_lost',
      'event device_lost',
    ]);
    assert.deepEqual(session.on_device_lost('model', 'gone again'), []);
    assert.deepEqual(session.on_done(running, done), []); // late, answered already
    assert.deepEqual(told(session.on_message(run(4, 'inference'), 1)), ['error 4 device_lost']);
    assert.deepEqual(told(session.on_message(load(5), 1)), ['error 5 device_lost']);
    assert.equal(session.task_count, 1); // the shader has a device of its own
  });

  test('a lost WebNN context is told first, and models can be loaded again', () => {
    const session = greeted_session();
    const running = started(session.on_message(run(1, 'inference'), 0));
    session.on_message(run(2, 'inference'), 0);
    session.on_message(run(3, 'compute'), 0);
    assert.deepEqual(told(session.on_context_lost('gone')), [
      'event context_lost',
      'error 1 device_lost',
      'error 2 device_lost',
    ]);
    assert.deepEqual(session.on_done(running, done), []); // late, answered already
    assert.deepEqual(told(session.on_message(load(4), 1)), ['start 4']);
    assert.equal(session.task_count, 2); // the shader, and the model that is being loaded
  });

  test('after its runtime is lost a realm tells of no contexts', () => {
    const session = greeted_session();
    session.on_device_lost('model', 'gone');
    assert.deepEqual(session.on_context_lost('gone'), []);
  });

  test("the shaders': their runs are answered, models go on", () => {
    const session = greeted_session();
    const model = started(session.on_message(run(1, 'inference'), 0));
    session.on_message(run(2, 'compute'), 0);
    assert.deepEqual(told(session.on_device_lost('shader', 'gone')), [
      'error 2 device_lost',
      'event device_lost',
    ]);
    assert.deepEqual(told(session.on_done(model, done)), ['result 1']);
    assert.deepEqual(told(session.on_message(run(3, 'compute'), 1)), ['start 3']);
  });
});

describe('data: limits and ends', () => {
  test(`at most ${tasks_held_max} operations are held; more are answered queue_full`, () => {
    const session = greeted_session();
    for (let id = 1; id <= tasks_held_max; ++id) session.on_message(run(id, 'inference'), 0);
    assert.equal(session.task_count, tasks_held_max);
    assert.deepEqual(told(session.on_message(run(tasks_held_max + 1, 'inference'), 0)), [
      `error ${tasks_held_max + 1} queue_full`,
    ]);
  });

  test('draining, it finishes what it has and takes nothing new, not even an echo', () => {
    const session = greeted_session();
    const task = started(session.on_message(run(1, 'inference'), 0));
    session.on_message(run(2, 'inference'), 0);
    assert.equal(session.is_taking, true);
    session.drain();
    assert.equal(session.is_taking, false);
    assert.deepEqual(told(session.on_message(run(3, 'echo'), 1)), ['error 3 pool_draining']);
    assert.deepEqual(told(session.on_message(load(4), 1)), ['error 4 pool_draining']);
    assert.deepEqual(told(session.on_done(task, done)), ['result 1', 'continue']);
    assert.equal(started(session.on_continue(2)).header.id, 2);
    assert.deepEqual(told(session.on_message(message(Kind.ping, { sequence: 5 }), 3)), ['pong 5']);
  });

  test('after a protocol error what waits is not begun and what runs may stop', () => {
    const session = greeted_session();
    const task = started(session.on_message(run(1, 'inference'), 0));
    session.on_message(run(2, 'inference'), 0);
    assert.deepEqual(told(session.on_malformed('garbage')), [
      'error 0 protocol_error',
      'bye',
      'close',
      'abort 1',
    ]);
    assert.deepEqual(session.on_done(task, done), []);
    assert.deepEqual(session.on_continue(1), []);
    assert.equal(session.task_count, 0);
  });

  test('when the connection is gone, what runs is told to stop and nothing more is said', () => {
    const session = greeted_session();
    const task = started(session.on_message(run(1, 'tokenize'), 0));
    session.on_message(load(2), 0);
    session.on_message(run(3, 'inference'), 0);
    assert.deepEqual(told(session.on_closed()), ['abort 1', 'abort 2']);
    assert.deepEqual(session.on_done(task, done), []);
    assert.deepEqual(session.on_continue(1), []);
    assert.deepEqual(session.event('unhandled_error', ''), []);
    assert.deepEqual(session.on_device_lost('model', ''), []);
  });
});
