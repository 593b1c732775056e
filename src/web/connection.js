// Everpool worker page: one WebSocket to the host.
// SPDX-License-Identifier: BSL-1.0
//
// Opening is tried connect_tries_max times. A connection that was open and has closed is not opened
// again: the host has seen it close and decides what is thrown away (compute thread, page,
// process); a page that came back by itself would be taken for the new one.

import { connect_pause_ms, connect_tries_max } from './limits.js';

export const subprotocol = 'everpool.v1';

/** "ws://host:port/w/<token>/data" for the page's "http://host:port/w/<token>/?...". */
export function socket_url(page_url, channel) {
  const url = new URL(channel, page_url);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.search = '';
  url.hash = '';
  return url.href;
}

/** The token in the page's URL, its second path segment; '' if there is none. */
export function token_of(page_url) {
  return /^\/w\/([^/]+)\//.exec(new URL(page_url).pathname)?.[1] ?? '';
}

/** The largest frame that the host takes: what the page's URL says, `otherwise` if nothing. */
export function frame_bytes_max_of(page_url, otherwise) {
  const bytes = Number(new URL(page_url).searchParams.get('frame_bytes_max'));
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : otherwise;
}

export class Connection {
  #socket = null;
  #tries = 0;
  #is_over = false;

  /** `handlers`: on_open(), on_frame(ArrayBuffer), on_text(), on_closed(was_open). */
  constructor(url, handlers, scope = globalThis) {
    this.url = url;
    this.handlers = handlers;
    this.scope = scope;
    this.#open();
  }

  /** Bytes; silently dropped when the connection is not open, since nobody is there to hear it. */
  send(bytes) {
    if (this.#socket?.readyState === 1) this.#socket.send(bytes);
  }

  /** For good. Messages sent before are delivered; on_closed is not called. */
  close() {
    this.#is_over = true;
    this.#socket?.close(1000);
  }

  #open() {
    this.#tries += 1;
    const socket = new this.scope.WebSocket(this.url, subprotocol);
    let was_open = false;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      was_open = true;
      if (this.#is_over) socket.close(1000);
      else this.handlers.on_open();
    };
    socket.onmessage = (event) => {
      if (this.#is_over) return;
      if (typeof event.data === 'string') this.handlers.on_text();
      else this.handlers.on_frame(event.data);
    };
    socket.onclose = () => {
      if (this.#is_over) return;
      if (!was_open && this.#tries < connect_tries_max) {
        this.scope.setTimeout(() => this.#is_over || this.#open(), connect_pause_ms * this.#tries);
        return;
      }
      this.#is_over = true;
      this.handlers.on_closed(was_open);
    };
    this.#socket = socket;
  }
}
