import { type Shard, type ShardedLog, type StreamId, splitCutsMax } from '../../log/index.js'
import { type Hash64, MillraceError } from '../../runtime/index.js'

/** Looks at a layout that others change meanwhile. */
const attemptsMax = 5

/**
 * Splits the open shards of a stream until there are at least as many as wanted, each into even pieces and the wider ones
 * into more of them. Several commits; what a stop leaves undone is done when it is asked for again.
 */
export async function widen(log: ShardedLog, stream: StreamId, wanted: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const open = log.openShards(stream).map(({ shard }) => shard)
    if (open.length === 0 || open.length >= wanted) return
    try {
      const pieces = piecesOf(open.map(widthOf), wanted)
      for (const [i, shard] of open.entries()) await splitAt(log, shard, evenCuts(shard, pieces[i] as number))
      return
    } catch (error) {
      // A shard was split by its load in the meantime.
      if (!(error instanceof MillraceError && error.code === 'CONFLICT') || attempt >= attemptsMax) throw error
    }
  }
}

/** How many pieces each width gives, `wanted` in all and at least one each: always the widest piece is cut. */
export function piecesOf(widths: readonly bigint[], wanted: number): number[] {
  const pieces = widths.map(() => 1)
  for (let left = wanted - widths.length; left > 0; left--) {
    let widest = 0
    widths.forEach((width, i) => {
      if (width / BigInt(pieces[i] as number) > (widths[widest] as bigint) / BigInt(pieces[widest] as number))
        widest = i
    })
    pieces[widest] = (pieces[widest] as number) + 1
  }
  return pieces
}

const wide = ({ hi, lo }: Hash64): bigint => (BigInt(hi) << 32n) | BigInt(lo)
const hashOf = (value: bigint): Hash64 => ({ hi: Number(value >> 32n), lo: Number(value & 0xffff_ffffn) })
const widthOf = ({ low, high }: Shard): bigint => wide(high) - wide(low) + 1n

/** The first hashes of all pieces but the first. */
function evenCuts(shard: Shard, pieces: number): Hash64[] {
  const width = widthOf(shard)
  const cuts: Hash64[] = []
  for (let i = 1; i < pieces; i++) {
    const offset = (width * BigInt(i)) / BigInt(pieces)
    if (offset > 0n) cuts.push(hashOf(wide(shard.low) + offset))
  }
  return cuts
}

/** One split has a bounded number of cuts: of more, some are made first and the rest in the children. */
async function splitAt(log: ShardedLog, shard: Shard, cuts: readonly Hash64[]): Promise<void> {
  if (cuts.length === 0) return
  const step = Math.ceil(cuts.length / splitCutsMax)
  const chosen = cuts.filter((_, i) => i % step === step - 1)
  const rest = new Set(cuts.filter((cut) => !chosen.includes(cut)))
  for (const child of await log.split(shard.id, chosen)) {
    const inside = [...rest].filter((cut) => wide(cut) > wide(child.low) && wide(cut) <= wide(child.high))
    await splitAt(log, child, inside)
  }
}
