// Everpool worker page: the main thread. It holds the control connection and owns the compute
// thread.
// SPDX-License-Identifier: BSL-1.0
//
// Nothing else is ever done here. A busy model must not silence the control connection, and in
// Firefox and WebKit a busy main thread would silence the compute thread's connection as well.

import { Connection, socket_url, token_of } from './connection.js';
import { ControlSession } from './session.js';
import { decode, encode } from './protocol.js';
import { detect_engine } from './engine.js';
import { error_events_max } from './limits.js';
import { words_of } from './operation_error.js';

class Page {
  #session;
  #connection;
  #compute = null;
  #error_events = 0;

  constructor(page_url) {
    this.page_url = page_url;
    this.#session = new ControlSession(token_of(page_url), 1);
    const engine = detect_engine(globalThis);
    this.#connection = new Connection(socket_url(page_url, 'control'), {
      on_open: async () => this.#act(this.#session.hello(await engine)),
      on_frame: (frame) => this.#on_frame(frame),
      on_text: () => this.#act(this.#session.on_malformed('a text message')),
      on_closed: () => {}, // the host has seen it and decides
    });
    this.#start_compute();
  }

  tell(type, message) {
    this.#act(this.#session.event(type, message));
  }

  /** See drills.js. */
  drill(drill) {
    this.#compute.postMessage({ type: 'drill', drill });
  }

  on_unhandled_error(thrown) {
    if (this.#error_events++ < error_events_max) this.tell('unhandled_error', words_of(thrown));
  }

  #on_frame(frame) {
    let message;
    try {
      message = decode(frame);
    } catch (thrown) {
      this.#act(this.#session.on_malformed(words_of(thrown)));
      return;
    }
    this.#act(this.#session.on_message(message));
  }

  #act(actions) {
    for (const action of actions) {
      switch (action.do) {
        case 'send':
          this.#connection.send(encode(action.kind, action.header, action.tensors));
          break;
        case 'restart_compute':
          this.#start_compute();
          break;
        case 'drain_compute':
          this.#compute.postMessage({ type: 'drain' });
          break;
        case 'close':
          this.#connection.close();
          this.#compute.terminate();
          break;
      }
    }
  }

  #start_compute() {
    this.#compute?.terminate();
    const { realm, token } = this.#session;
    this.#compute = new Worker('/everpool/compute.js', {
      type: 'module',
      name: `compute ${realm}`,
    });
    this.#compute.onerror = (event) => {
      this.on_unhandled_error(
        `compute thread ${realm}: ${event.message ?? 'its script cannot be loaded'}`,
      );
    };
    this.#compute.postMessage({
      type: 'start',
      page_url: this.page_url,
      token,
      realm,
      heap_bytes_max: performance.memory?.jsHeapSizeLimit ?? 0,
    });
  }
}

const page = new Page(location.href);

document.addEventListener('visibilitychange', () => {
  page.tell(document.hidden ? 'page_hidden' : 'page_visible', '');
});
addEventListener('everpool-drill', ({ detail }) => page.drill(detail));
addEventListener('error', (event) => page.on_unhandled_error(event.error ?? event.message));
addEventListener('unhandledrejection', (event) => page.on_unhandled_error(event.reason));
