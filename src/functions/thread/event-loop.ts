import { MessagePort, parentPort } from 'node:worker_threads'

/**
 * Says when nothing is under way in this thread. Node tells it by `beforeExit`, once nothing keeps its event loop alive: so
 * none of the thread's own ports may while a handler runs. A pool's port is known to Node alone, which lists what keeps the
 * loop alive.
 */
export class EmptyLoop {
  readonly #port: MessagePort

  /** @param port what keeps the thread alive while no handler runs */
  constructor(port: MessagePort, onEmpty: () => void) {
    this.#port = port
    const { _getActiveHandles: activeHandles } = process as unknown as { _getActiveHandles(): unknown[] }
    for (const handle of activeHandles.call(process)) if (handle instanceof MessagePort) handle.unref()
    parentPort?.unref()
    port.ref()
    process.on('beforeExit', () => {
      port.ref()
      onEmpty()
    })
  }

  /** From here on `onEmpty` is called when nothing is under way. */
  watch(): void {
    this.#port.unref()
  }

  /** Until the next `watch` the thread stays alive whatever is under way. */
  rest(): void {
    this.#port.ref()
  }
}
