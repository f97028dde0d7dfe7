import type { Bridge } from './answers.js'

/** What a bridge waits for that waits for something else than brokers. */
const waitingFor: Readonly<Record<string, string>> = {
  KAFKA_UNAUTHORIZED: 'waiting for Kafka to let it in',
  TOO_BUSY: 'waiting for the store, which is busy',
  CONFLICT: 'waiting for the store, which is busy',
  STORAGE_FULL: 'waiting for space on the disk',
}

/** What a bridge is doing, and what it waits for. */
export function bridgeStateText(state: Bridge['state']): string {
  if (state.kind === 'starting') return 'connecting'
  return state.kind === 'waiting' ? (waitingFor[state.error.code] ?? 'waiting for Kafka') : state.kind
}
