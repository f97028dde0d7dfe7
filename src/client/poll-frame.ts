import { parseShape, type Shape } from '../log/bodies.js'
import { MillraceError } from '../runtime/index.js'

export interface FramePage {
  readonly shard: number
  /** Whole chunks, one behind the other, as views into the answer. */
  readonly chunks: readonly Buffer[]
  readonly bytes: number
  readonly next: number
  readonly ended: boolean
}

export interface PollFrame {
  readonly generation: number
  readonly assigned: readonly { readonly shard: number; readonly lease: number; readonly next: number }[]
  readonly revoked: readonly number[]
  readonly pages: readonly FramePage[]
  /** The stream's shapes behind those that were known, with the number of the first. */
  readonly shapes: { readonly from: number; readonly list: readonly Shape[] }
}

interface Head extends Omit<PollFrame, 'pages' | 'shapes'> {
  readonly shapes?: { readonly from: number; readonly list: readonly unknown[] }
  readonly pages: readonly {
    readonly shard: number
    readonly next: number
    readonly ended: boolean
    readonly chunks: number
  }[]
}

/** Takes an answer to a poll apart (docs/formats.md); no record is looked at. Throws FORMAT_INVALID. */
export function readFrame(answer: Buffer): PollFrame {
  if (answer.length < 4 || answer.readUInt32LE(0) > answer.length - 4)
    throw new MillraceError('FORMAT_INVALID', 'The answer to a poll is no frame.')
  let at = 4 + answer.readUInt32LE(0)
  const head = JSON.parse(answer.toString('utf8', 4, at)) as Head
  const pages = head.pages.map(({ chunks: count, ...page }): FramePage => {
    const start = at
    const chunks: Buffer[] = []
    for (let i = 0; i < count; i++) {
      const end = at + (at + 12 <= answer.length ? answer.readUInt32LE(at + 8) : 0)
      if (end <= at || end > answer.length)
        throw new MillraceError('FORMAT_INVALID', 'The answer to a poll ends within a chunk.')
      chunks.push(answer.subarray(at, end))
      at = end
    }
    return { ...page, chunks, bytes: at - start }
  })
  const { from = 0, list = [] } = head.shapes ?? {}
  return { ...head, pages, shapes: { from, list: list.map(parseShape) } }
}
