import { compareHash, type Hash64, MillraceError } from '../runtime/index.js'
import { splitCutsMax } from './api.js'
import type { Shard } from './types.js'

/** Throws BAD_REQUEST. */
export function checkCuts({ id, low, high }: Shard, cuts: readonly Hash64[]): void {
  if (cuts.length < 1 || cuts.length > splitCutsMax)
    throw new MillraceError('BAD_REQUEST', `A split has 1 to ${splitCutsMax} cuts, not ${cuts.length}.`)
  cuts.forEach((cut, i) => {
    if (compareHash(cut, low) <= 0 || compareHash(cut, high) > 0)
      throw new MillraceError(
        'BAD_REQUEST',
        `A cut must lie above the first hash of shard ${id} and not above its last one.`,
      )
    if (i > 0 && compareHash(cuts[i - 1] as Hash64, cut) >= 0)
      throw new MillraceError('BAD_REQUEST', 'The cuts must ascend.')
  })
}
