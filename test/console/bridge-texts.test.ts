import { expect, test } from 'vitest'
import { bridgeStateText } from '../../src/console/browser/bridge-texts.js'

test('a bridge says what it waits for', () => {
  const waiting = (code: string) =>
    bridgeStateText({ kind: 'waiting', since: 0, error: { code, message: '', remedy: '' } })
  expect(waiting('KAFKA_UNAVAILABLE')).toBe('waiting for Kafka')
  expect(waiting('KAFKA_UNAUTHORIZED')).toBe('waiting for Kafka to let it in')
  expect(waiting('TOO_BUSY')).toBe('waiting for the store, which is busy')
  expect(waiting('STORAGE_FULL')).toBe('waiting for space on the disk')
  expect(bridgeStateText({ kind: 'starting', since: 0 })).toBe('connecting')
  expect(bridgeStateText({ kind: 'paused', since: 0 })).toBe('paused')
})
