// Everpool worker page: a model's bytes from the host, with progress.
// SPDX-License-Identifier: BSL-1.0

import { OperationError, words_of } from './operation_error.js';
import { progress_interval_ms } from './limits.js';

/**
 * The file at `url`. `bytes` is how many the host expects, 0 if it does not know; what arrives
 * counts. on_progress('fetch', loaded, total) at most every progress_interval_ms, and at the end.
 */
export async function fetch_model(url, model, bytes, on_progress, fetch = globalThis.fetch) {
  const response = await answered(fetch(url), model);
  if (!response.ok) {
    throw new OperationError(
      'model_file_missing',
      `model '${model}': the host answered ${response.status} for ${url.pathname}`,
    );
  }
  const total = bytes > 0 ? bytes : Number(response.headers.get('content-length') ?? 0);
  const reader = response.body.getReader();
  let file = new Uint8Array(total);
  let loaded = 0;
  let told = performance.now();
  for (;;) {
    const { done, value } = await answered(reader.read(), model);
    if (done) break;
    if (loaded + value.length > file.length) {
      const larger = new Uint8Array(Math.max(2 * file.length, loaded + value.length));
      larger.set(file.subarray(0, loaded));
      file = larger;
    }
    file.set(value, loaded);
    loaded += value.length;
    const now = performance.now();
    if (now - told >= progress_interval_ms) {
      told = now;
      on_progress('fetch', loaded, Math.max(total, loaded));
    }
  }
  on_progress('fetch', loaded, loaded);
  return file.subarray(0, loaded);
}

/** A network failure is the host's or the browser's trouble, not the model's: it may pass. */
async function answered(promise, model) {
  try {
    return await promise;
  } catch (thrown) {
    throw new OperationError(
      'worker_lost',
      `model '${model}' could not be fetched: ${words_of(thrown)}`,
    );
  }
}
