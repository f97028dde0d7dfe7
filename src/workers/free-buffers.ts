import { MessageChannel } from 'node:worker_threads'

/** Nobody listens at its other end: what is transferred to it is freed there and then. */
const { port1: nowhere, port2 } = new MessageChannel()
port2.close()
nowhere.unref()

/**
 * Frees the memory of buffers at once, and leaves nothing in them for views that were kept. Left to the garbage collector,
 * each 64 MiB of chunks cost a collection of the whole heap.
 */
export function freeBuffers(buffers: readonly ArrayBuffer[]): void {
  nowhere.postMessage(undefined, buffers)
}
