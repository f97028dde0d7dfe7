import { expect, it } from 'vitest'
import { showKey } from '../../src/daemon/show-key.js'
import { encodeKeyValue } from '../../src/tables/index.js'

const plain = { kind: 'plain' } as const
const table = { kind: 'table' } as const

it('shows keys as people write them, and of long ones the beginning', () => {
  expect(showKey(plain, Buffer.from('user 1'))).toBe('user 1')
  expect(showKey(plain, Buffer.from([0, 255]))).toBe('0x00ff')
  const key = encodeKeyValue({ S: 'x'.repeat(1000) })
  expect(showKey(table, encodeKeyValue({ S: 'user 1' }))).toBe('{"S":"user 1"}')
  expect(showKey(table, encodeKeyValue({ N: '-7' }))).toBe('{"N":"-7"}')
  expect(showKey(table, key.subarray(0, 256))).toBe(`{"S":"${'x'.repeat(255)}"}...`)
  expect(showKey(table, Buffer.from([0, 1]))).toBe('0x0001')
})
