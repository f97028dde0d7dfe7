import { Family, type RowEffect } from '../../commit/index.js'
import { MillraceError } from '../../runtime/index.js'

const version = 1

/**
 * `kafkaOffset`: family, id of the bridge (16 bytes), partition u32be -> version u8, next offset u64le. It is in the commit of the
 * records below it.
 */
function offsetKey(instance: string, partition: number): Buffer {
  const key = Buffer.alloc(21)
  key[0] = Family.kafkaOffset
  key.write(instance.replaceAll('-', ''), 1, 'hex')
  key.writeUInt32BE(partition, 17)
  return key
}

export function offsetRow(instance: string, partition: number, next: number): RowEffect {
  const value = Buffer.alloc(9)
  value[0] = version
  value.writeBigUInt64LE(BigInt(next), 1)
  return { key: offsetKey(instance, partition), value }
}

export const offsetGone = (instance: string, partition: number): RowEffect => ({
  key: offsetKey(instance, partition),
  value: undefined,
})

/** The next offset of each partition, below a number of them, that has a row. */
export async function storedOffsets(
  commit: { readDurableMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> },
  instance: string,
  partitions: number,
): Promise<Map<number, number>> {
  const keys = Array.from({ length: partitions }, (_, partition) => offsetKey(instance, partition))
  const offsets = new Map<number, number>()
  for (const [partition, value] of (await commit.readDurableMany(keys)).entries()) {
    if (!value) continue
    if (value[0] !== version)
      throw new MillraceError(
        'DATA_DIR_NEWER',
        `A stored offset has the row version ${value[0]}; this version of Millrace knows ${version}.`,
      )
    offsets.set(partition, Number(value.readBigUInt64LE(1)))
  }
  return offsets
}
