import type { AbortedTransaction } from './record-batches.js'

/** What a broker answered for one partition. */
export interface PartitionAnswer {
  readonly partition: number
  /** 0 when it is one. */
  readonly errorCode: number
  /** Behind the newest record that is committed. */
  readonly lastStableOffset: number
  readonly aborted: readonly AbortedTransaction[]
  /** Whole record batches, the last of which may be cut off. */
  readonly batches: Buffer
}

export interface FetchAnswer {
  /** Of the whole request; 0 when there is none. */
  readonly errorCode: number
  /** For how long the broker wants no more, milliseconds; the library keeps to it. */
  readonly clientSideThrottleTime: number
  readonly partitions: readonly PartitionAnswer[]
}

/**
 * Fetch response, version 11: throttle i32, error i16, session i32, [topic string, [partition i32, error i16, high watermark i64, last
 * stable offset i64, log start i64, [producer i64, first offset i64], preferred replica i32, records bytes]].
 */
export function decodeFetchAnswer(payload: Buffer): FetchAnswer {
  let at = 0
  const int16 = (): number => {
    at += 2
    return payload.readInt16BE(at - 2)
  }
  const int32 = (): number => {
    at += 4
    return payload.readInt32BE(at - 4)
  }
  const int64 = (): number => {
    at += 8
    return Number(payload.readBigInt64BE(at - 8))
  }
  const clientSideThrottleTime = int32()
  const errorCode = int16()
  int32()
  const partitions: PartitionAnswer[] = []
  for (let topics = int32(); topics > 0; topics--) {
    const name = int16()
    at += name
    for (let left = int32(); left > 0; left--) {
      const partition = int32()
      const error = int16()
      int64()
      const lastStableOffset = int64()
      int64()
      const aborted: AbortedTransaction[] = []
      for (let count = int32(); count > 0; count--) {
        at += 8
        aborted.push({ producer: payload.readBigInt64BE(at - 8), firstOffset: int64() })
      }
      int32()
      const length = Math.max(0, int32())
      partitions.push({
        partition,
        errorCode: error,
        lastStableOffset,
        aborted,
        batches: payload.subarray(at, at + length),
      })
      at += length
    }
  }
  return { errorCode, clientSideThrottleTime, partitions }
}
