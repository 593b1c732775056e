// Everpool worker page: from a task to the part that performs it.
// SPDX-License-Identifier: BSL-1.0

import { OperationError, error_outcome } from './operation_error.js';
import { answer_fault } from './answer_check.js';

export class Operations {
  #inference;
  #shaders;
  #modules;
  #frame_bytes_max;

  /** `frame_bytes_max`: what the host takes. */
  constructor({ inference, shaders, modules, frame_bytes_max }) {
    this.#inference = inference;
    this.#shaders = shaders;
    this.#modules = modules;
    this.#frame_bytes_max = frame_bytes_max;
  }

  /**
   * Performs a started task (see session.js). Never rejects.
   * @param on_progress (phase, loaded, total), of load tasks
   * @returns the outcome for DataSession.on_done
   */
  async perform(task, on_progress) {
    try {
      switch (task.what) {
        case 'load':
          return await this.#inference.load(task, on_progress);
        case 'unload':
          return await this.#inference.unload(task);
        default:
          return this.#checked(await this.#run(task));
      }
    } catch (thrown) {
      return error_outcome(thrown);
    }
  }

  #run(task) {
    switch (task.lane) {
      case 'model':
        return this.#inference.run(task);
      case 'shader':
        return this.#shaders.run(task);
      default:
        return this.#modules.run(task);
    }
  }

  #checked(outcome) {
    const fault = answer_fault(outcome, this.#frame_bytes_max);
    if (fault === null) return outcome;
    throw new OperationError('message_too_large', `the answer does not fit the wire: ${fault}`);
  }
}
