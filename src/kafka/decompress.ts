import zlib from 'node:zlib'
import { MillraceError } from '../runtime/index.js'
import { lz4Frame } from './lz4.js'
import { snappyStream } from './snappy.js'

/** Bytes of one batch when it is unpacked: a producer makes batches of a megabyte or so; more is refused, not held. */
export const batchBytesMax = 64 * 1024 * 1024

interface Place {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Node has it from 22.15 and 23.8 on. */
const zstd = (zlib as { zstdDecompressSync?: (bytes: Buffer, options: { maxOutputLength: number }) => Buffer })
  .zstdDecompressSync

/** By the number that a batch's attributes have. */
const methods: Readonly<Record<number, { readonly name: string; readonly unpack?: (bytes: Buffer) => Buffer }>> = {
  1: { name: 'gzip', unpack: (bytes) => zlib.gunzipSync(bytes, { maxOutputLength: batchBytesMax }) },
  2: { name: 'snappy', unpack: (bytes) => snappyStream(bytes, batchBytesMax) },
  3: { name: 'lz4', unpack: (bytes) => lz4Frame(bytes, batchBytesMax) },
  4: {
    name: 'zstd',
    ...(zstd ? { unpack: (bytes: Buffer) => zstd(bytes, { maxOutputLength: batchBytesMax }) } : {}),
  },
}

/** The records of a compressed batch. Throws KAFKA_REFUSED. */
export function decompressed(bytes: Buffer, compression: number, { topic, partition, offset }: Place): Buffer {
  const method = methods[compression]
  const where = `The batch at offset ${offset} of partition ${partition} of ${topic}`
  const details = { topic, partition, offset }
  if (!method?.unpack)
    throw new MillraceError(
      'KAFKA_REFUSED',
      `${where} is compressed with ${method?.name ?? `an unknown method (${compression})`}, which this version of Node cannot unpack.`,
      {
        remedy: 'Run Millrace on Node 22.15 or newer for zstd, or let producers use another compression.',
        details: { ...details, kafka: 'UNSUPPORTED_COMPRESSION_TYPE' },
      },
    )
  try {
    return method.unpack(bytes)
  } catch (cause) {
    throw new MillraceError(
      'KAFKA_REFUSED',
      `${where} cannot be unpacked with ${method.name}: ${(cause as Error).message}.`,
      {
        cause,
        remedy: `Batches are read up to ${batchBytesMax >> 20} MiB. Delete the records up to behind it with kafka-delete-records and begin behind them; then resume.`,
        details: { ...details, kafka: 'CORRUPT_MESSAGE' },
      },
    )
  }
}
