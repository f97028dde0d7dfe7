import { randomFillSync } from 'node:crypto'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'
const random = Buffer.alloc(52 * 64)
let used = random.length

/** 52 characters, as AWS has them. Random bytes are drawn for 64 ids at once. */
export function requestId(): string {
  if (used >= random.length) {
    randomFillSync(random)
    used = 0
  }
  let id = ''
  for (const end = used + 52; used < end; used++) id += alphabet[(random[used] as number) & 31]
  return id
}
